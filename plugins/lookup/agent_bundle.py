# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: agent_bundle
short_description: Pack the agent that runs on the nodes of a swarm
version_added: 0.1.0
description:
  - Packs the collection's agent into a single executable file, in Ansible's temporary folder on the controller.
  - The same sources give the same bytes.
author: The swarm.aws maintainers (@swarm-aws)
options: {}
"""

EXAMPLES = r"""
- name: Pack the agent
  ansible.builtin.set_fact:
    bundle: "{{ lookup('swarm.aws.agent_bundle') }}"
"""

RETURN = r"""
_raw:
  description: >-
    A bundle, with its RV(ignore:sha256), its RV(ignore:version), the RV(ignore:key) that it has in the bucket, and its
    RV(ignore:path), which lasts as long as the playbook runs.
  type: list
  elements: dict
  sample:
    - key: agent/5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03.pyz
      path: /home/operator/.ansible/tmp/ansible-local-4711/agent.pyz
      sha256: 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
      version: 0.1.0+5891b5b5
"""

import hashlib
import re
from pathlib import Path

from ansible import constants
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils.account.bundle import BundleError, pack

VERSION = re.compile(r'^VERSION = "(.+)"$', re.MULTILINE)
COLLECTION = Path(__file__).resolve().parents[2]


class LookupModule(LookupBase):
    """The agent of this collection."""

    def run(self, terms, variables=None, **kwargs):
        try:
            content = pack(COLLECTION)
        except BundleError as error:
            raise AnsibleLookupError(str(error)) from error
        path = Path(constants.DEFAULT_LOCAL_TMP, "agent.pyz")
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        # Only a program can import the agent.
        (number,) = VERSION.findall((COLLECTION / "runtime/swarm_agent/__init__.py").read_text())
        version = f"{number}+{sha256[:8]}"
        return [{"sha256": sha256, "version": version, "key": f"agent/{sha256}.pyz", "path": str(path)}]
