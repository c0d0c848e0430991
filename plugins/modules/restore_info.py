#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_info
short_description: Show what a manager's instance still has of its swarm
version_added: 0.1.0
description:
  - Returns what this instance's engine knows of the cluster's swarm, whether or not the swarm works, what the bucket
    publishes, and the backups, as input for M(swarm.aws.restore_choice). Changes nothing.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager
  - swarm.aws.attributes.reads
seealso:
  - module: swarm.aws.restore_choice
  - module: swarm.aws.cluster_restore
"""

EXAMPLES = r"""
- name: Read what is left of the swarm
  swarm.aws.restore_info:
  become: true
  register: left
"""

RETURN = r"""
manager:
  description: The state of this instance.
  returned: success
  type: dict
  contains:
    instance:
      description: Its ID.
      type: str
    state:
      description: State of its engine in the swarm.
      type: str
    cluster_id:
      description: The swarm of its state. Null if it has no state.
      type: str
    works:
      description: Whether that swarm has a leader.
      type: bool
cluster:
  description: Name of the cluster.
  returned: success
  type: str
published:
  description: The cluster record in the bucket. Null if there is none.
  returned: success
  type: dict
backups:
  description: Names of the backups, the newest first.
  returned: success
  type: list
  elements: str
  sample: [20260102T030405Z-i-0123456789abcdef0]
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.errors import SwarmError
from ..module_utils.verbs.on_manager import ARGUMENTS, place
from ..module_utils.verbs.restore import Host


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        where = place(module.params)
        host = Host(**where, run_command=module.run_command)
        cluster_record = host.store.read()
        module.exit_json(
            changed=False,
            cluster=where["cluster"],
            manager=asdict(host.examine()),
            published=asdict(cluster_record.value) if cluster_record else None,
            backups=host.backups.names(),
        )
    except SwarmError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
