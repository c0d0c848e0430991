#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_choice
short_description: Choose the manager and the source for restoring a swarm
version_added: 0.1.0
description:
  - Chooses from the results of M(swarm.aws.restore_info) on the reachable managers. Changes nothing.
  - A manager that still has the swarm's state is preferred to every backup, since nothing is lost then. If the bucket
    does not name the swarm, the states of all managers must be of the same swarm.
  - Fails if the swarm works, and names its managers.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.attributes.reads
options:
  found:
    description: The results of M(swarm.aws.restore_info) on all managers that answered.
    type: list
    elements: dict
    required: true
  backup:
    description: Name of a backup to restore, even if a manager still has the state. By default the newest, if none has.
    type: str
    default: ""
  force:
    description: The cluster's name, to restore a backup although the swarm works.
    type: str
    default: ""
seealso:
  - module: swarm.aws.restore_info
  - module: swarm.aws.cluster_restore
"""

EXAMPLES = r"""
- name: Choose the manager and the source
  swarm.aws.restore_choice:
    found: "{{ ansible_play_hosts_all | map('extract', hostvars, 'left') | list }}"
  delegate_to: localhost
  run_once: true
  register: choice
"""

RETURN = r"""
instance:
  description: The instance on which to restore the swarm.
  returned: success
  type: str
source:
  description: The source, V(survivor) for the instance's own state or V(backup) for a backup.
  returned: success
  type: str
backup:
  description: Name of the backup. Empty for a survivor.
  returned: success
  type: str
reason:
  description: The reason, as a sentence.
  returned: success
  type: str
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.errors import SwarmError
from ..module_utils._core.join.cluster_record import ClusterRecord
from ..module_utils._core.restore_choice import CannotRestore, Manager, choose


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "found": {"type": "list", "elements": "dict", "required": True},
            "backup": {"type": "str", "default": ""},
            "force": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        answers = [answer for answer in params["found"] if answer.get("manager")]
        reasons = " ".join(str(answer["msg"]) for answer in params["found"] if answer.get("msg"))
        if not answers and reasons:
            raise CannotRestore(f"No manager's instance returns its state: {reasons}")
        newest = max(answers, key=lambda answer: (answer["published"] or {}).get("generation", 0), default={})
        published = newest.get("published")
        choice = choose(
            [Manager(**answer["manager"]) for answer in answers],
            ClusterRecord(**{**published, "former": tuple(published["former"])}) if published else None,
            newest.get("backups", []),
            cluster=newest.get("cluster", ""),
            wanted=params["backup"],
            force=params["force"],
        )
    except SwarmError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **asdict(choice))


if __name__ == "__main__":
    main()
