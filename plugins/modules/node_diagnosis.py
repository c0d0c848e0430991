#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: node_diagnosis
short_description: Collect logs, versions and states of a node, without its secrets
version_added: 0.1.0
description:
  - Writes an archive with the logs of the agent, the engine, cloud-init and the kernel, with versions, and with the
    state of the system, the engine and, on a manager, the swarm, as far as the engine answers.
  - Secrets are redacted before anything is written. These are join tokens and unlock keys, the values of all
    environment variables of services and containers, private keys, AWS credentials, and any value of a name such as
    C(password) or C(token). Logs of services are not collected.
  - Runs on any node, as root.
author: The swarm.aws maintainers (@swarm-aws)
attributes:
  check_mode:
    description: Collects and writes nothing.
    support: full
  diff_mode:
    description: The archive is new each time.
    support: none
options:
  dest:
    description: Path of the archive, a C(.tar.gz) that only root can read. The folder must exist.
    type: path
    required: true
  lines:
    description: Maximum number of lines of each log.
    type: int
    default: 5000
  hours:
    description: Maximum age of log entries in hours.
    type: int
    default: 24
seealso:
  - module: swarm.aws.diagnosis_bundle
"""

EXAMPLES = r"""
- name: Collect the diagnosis of a node
  swarm.aws.node_diagnosis:
    dest: /root/node.tar.gz
  become: true
"""

RETURN = r"""
files:
  description: The files in the archive.
  returned: success
  type: list
  elements: str
  sample: [docker.log, engine.json, swarm-agent.log, system.txt]
failures:
  description: What could not be collected, and why.
  returned: success
  type: list
  elements: str
size:
  description: The archive's size in bytes.
  returned: success
  type: int
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.diagnosis.archive import pack
from ..module_utils.diagnosis.collect import Collector

ARGUMENTS = {
    "dest": {"type": "path", "required": True},
    "lines": {"type": "int", "default": 5000},
    "hours": {"type": "int", "default": 24},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    dest = Path(module.params["dest"])
    for name in ("lines", "hours"):
        if module.params[name] < 1:
            module.fail_json(msg=f"{name} is {module.params[name]}, but must be above 0.")
    if not dest.parent.is_dir():
        module.fail_json(msg=f"dest is {dest}, but there is no folder {dest.parent}: create it first.")
    if module.check_mode:
        module.exit_json(changed=True, files=[], failures=[], size=0)
    module.run_command_environ_update = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    collector = Collector(module.run_command, module.params["lines"], module.params["hours"])
    files = collector.files()
    try:
        size = pack(files, dest)
    except OSError as error:
        module.fail_json(msg=f"{dest} cannot be written: {error.strerror or error}")
    module.exit_json(changed=True, files=sorted(files), failures=collector.failures, size=size)


if __name__ == "__main__":
    main()
