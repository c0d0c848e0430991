# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: login
short_description: Load an inventory plugin, and stop if the AWS login is missing
version_added: 0.1.0
description:
  - Loads the plugin that a YAML inventory file names, such as C(amazon.aws.aws_ec2), as
    Ansible's C(auto) does.
  - If there are no AWS credentials, or they have expired, it stops Ansible with a sentence that has the command to
    type. Otherwise Ansible would continue without hosts after several warnings.
author: The swarm.aws maintainers (@swarm-aws)
requirements:
  - C(enable_plugins) in C(ansible.cfg) has C(swarm.aws.login)
"""

EXAMPLES = r"""
# In ansible.cfg. Inventory files keep their plugin: amazon.aws.aws_ec2.
# [inventory]
# enable_plugins = swarm.aws.login, ansible.builtin.host_list
"""

from ansible import context
from ansible.plugins.inventory.auto import InventoryModule as Auto

from ..module_utils.aws.aws_session import login_problem


class InventoryModule(Auto):
    """Loads a plugin."""

    NAME = "swarm.aws.login"

    def parse(self, inventory, loader, path, cache=True):
        try:
            super().parse(inventory, loader, path, cache=cache)
        except Exception as error:
            cause = error
            while cause and not login_problem(cause):
                cause = cause.__cause__ or cause.__context__
            if cause is None:
                raise
            # A syntax check needs no hosts.
            if not context.CLIARGS.get("syntax"):
                self.display.error(login_problem(cause), wrap_text=False)
                # Ansible turns other exceptions into warnings.
                raise SystemExit(1) from None
