#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_tidy
short_description: Remove what a converged stack no longer needs
version_added: 0.1.0
description:
  - Marks the newest release of a stack as converged, so that a later release can be rolled back to it, and removes the
    stack's configs and secrets that neither its services nor a rollback need.
  - Run it after M(swarm.aws.stack_converged) has succeeded.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager.stack
  - swarm.aws.attributes.changes
seealso:
  - module: swarm.aws.stack_converged
"""

EXAMPLES = r"""
- name: Tidy up the stack
  swarm.aws.stack_tidy:
    name: shop
"""

RETURN = r"""
removed:
  description: Names of the removed configs and secrets.
  returned: success
  type: list
  elements: str
  sample: [shop_settings_0a1b2c3d4e5f]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.stack.deploy import tidied
from ..module_utils.stack.stack_engine import StackEngine
from ..module_utils.stack.stack_error import StackError


def main() -> None:
    module = AnsibleModule(argument_spec={"name": {"type": "str", "required": True}}, supports_check_mode=True)
    try:
        removed = tidied(StackEngine(module.run_command), module.params["name"], check=module.check_mode)
    except StackError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(removed),
        removed=removed,
        diff={"before": {"configs and secrets": removed} if removed else {}, "after": {}},
    )


if __name__ == "__main__":
    main()
