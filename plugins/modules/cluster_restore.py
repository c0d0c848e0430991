#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_restore
short_description: Restore a swarm that has lost its quorum for good
version_added: 0.1.0
description:
  - Makes the instance that it runs on the only manager of the cluster's swarm, from its own state or from a backup, and
    publishes the swarm. The agents of all other instances then join it.
  - No node joins meanwhile. Run it again if a run was interrupted.
  - With O(try=true) the backup is only tested, in an isolated swarm that is removed afterwards.
  - Needs root.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager
  - swarm.aws.attributes.changes
attributes:
  check_mode:
    description: Says what it would do. A backup is not fetched.
options:
  source:
    description: Restore from the instance's own state (V(survivor)) or from a backup.
    type: str
    choices: [survivor, backup]
    required: true
  backup:
    description: Name of the backup. The default is the newest backup.
    type: str
    default: ""
  try:
    description: Whether only to test the backup.
    type: bool
    default: false
seealso:
  - module: swarm.aws.restore_info
  - module: swarm.aws.cluster_backup
"""

EXAMPLES = r"""
- name: Restore the swarm from this manager's state
  swarm.aws.cluster_restore:
    source: survivor
  become: true
"""

RETURN = r"""
cluster_id:
  description: The swarm's ID. Null in check mode.
  returned: success
  type: str
backup:
  description: Name of the backup. Empty for a survivor.
  returned: success
  type: str
counts:
  description: Number of nodes, services, secrets and configs in the swarm.
  returned: success
  type: dict
  sample: {nodes: 4, services: 4, secrets: 2, configs: 3}
log:
  description: What was done, a sentence each.
  returned: always
  type: list
  elements: str
  sample: [No node joins the swarm until it is restored.]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.backup_schedule import chosen
from ..module_utils._core.errors import SwarmError
from ..module_utils._core.restore_choice import BACKUP, SURVIVOR
from ..module_utils.verbs.on_manager import ARGUMENTS, place
from ..module_utils.verbs.restore import Host


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "str", "choices": [SURVIVOR, BACKUP], "required": True},
            "backup": {"type": "str", "default": ""},
            "try": {"type": "bool", "default": False},
            **ARGUMENTS,
        },
        supports_check_mode=True,
    )
    params, log = module.params, []
    try:
        host = Host(**place(params), run_command=module.run_command, report=log.append)
        name = chosen(host.backups.names(), params["backup"]) if params["source"] == BACKUP else ""
        before = host.examine()
        if module.check_mode:
            result = {"cluster_id": None, "counts": {}}
        elif params["try"]:
            result = host.drill(name)
        else:
            result = host.restore(params["source"], name)
    except SwarmError as error:
        module.fail_json(msg=str(error), log=log)
    after = f"the only manager, restored from {name or 'its own state'}"
    changed = not params["try"]
    module.exit_json(
        changed=changed,
        backup=name,
        log=log,
        diff={"before": f"{before.state}\n", "after": f"{after}\n"} if changed else {},
        **result,
    )


if __name__ == "__main__":
    main()
