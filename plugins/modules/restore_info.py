#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_info
short_description: Show what is left of a swarm, and choose how to restore it
version_added: 0.1.0
description:
  - On a manager, returns what this instance's engine knows of the cluster's swarm, whether or not the swarm works, what
    the bucket publishes, and the backups. Changes nothing.
  - With O(answers), on the controller, chooses the manager and the source for restoring the swarm. A manager that still
    has the swarm's state is preferred to every backup, since nothing is lost then. If the bucket does not name the
    swarm, the states of all managers must be of the same swarm. Fails if the swarm works, and names its managers.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager
  - swarm.aws.attributes.reads
options:
  answers:
    description: The results of this module on all managers that answered, to choose from.
    type: list
    elements: dict
  backup:
    description: Name of a backup to restore, even if a manager still has the state. By default the newest, if none has.
    type: str
  force:
    description: The cluster's name, to restore a backup although the swarm works.
    type: str
seealso:
  - module: swarm.aws.cluster_restore
"""

EXAMPLES = r"""
- name: Read what the managers have left of the swarm
  swarm.aws.restore_info:
  become: true
  register: left

- name: Choose the manager and the source
  swarm.aws.restore_info:
    answers: "{{ ansible_play_hosts_all | map('extract', hostvars, 'left') | list }}"
  delegate_to: localhost
  run_once: true
  register: choice
"""

RETURN = r"""
manager:
  description: The state of this instance.
  returned: without O(answers)
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
  returned: without O(answers)
  type: str
published:
  description: The cluster record in the bucket. Null if there is none.
  returned: without O(answers)
  type: dict
backups:
  description: Names of the backups, the newest first.
  returned: without O(answers)
  type: list
  elements: str
  sample: [20260102T030405Z-i-0123456789abcdef0]
instance:
  description: The instance on which to restore the swarm.
  returned: with O(answers)
  type: str
source:
  description: The source, V(survivor) for the instance's own state or V(backup) for a backup.
  returned: with O(answers)
  type: str
backup:
  description: Name of the backup. Empty for a survivor.
  returned: with O(answers)
  type: str
reason:
  description: The reason, as a sentence.
  returned: with O(answers)
  type: str
"""

from dataclasses import asdict

from ..module_utils._core.join.cluster_record import ClusterRecord
from ..module_utils._core.restore_choice import CannotRestore, Manager, choose
from ..module_utils.verbs.on_manager import place, run
from ..module_utils.verbs.restore import Host

ARGUMENTS = {
    "answers": {"type": "list", "elements": "dict"},
    "backup": {"type": "str"},
    "force": {"type": "str"},
}


def left(where, run_command):
    """What is left of the swarm here. Raises SwarmError."""
    host = Host(**where, run_command=run_command)
    cluster_record = host.store.read()
    return {
        "cluster": where["cluster"],
        "manager": asdict(host.examine()),
        "published": asdict(cluster_record.value) if cluster_record else None,
        "backups": host.backups.names(),
    }


def choice(answers, backup, force):
    """The manager and the source, from the answers of all managers. Raises SwarmError."""
    reasons = " ".join(str(answer["msg"]) for answer in answers if answer.get("msg"))
    answers = [answer for answer in answers if answer.get("manager")]
    if not answers and reasons:
        raise CannotRestore(f"No manager's instance returns its state: {reasons}")
    newest = max(answers, key=lambda answer: (answer["published"] or {}).get("generation", 0), default={})
    published = newest.get("published")
    chosen = choose(
        [Manager(**answer["manager"]) for answer in answers],
        ClusterRecord(**{**published, "former": tuple(published["former"])}) if published else None,
        newest.get("backups", []),
        cluster=newest.get("cluster", ""),
        wanted=backup or "",
        force=force or "",
    )
    return asdict(chosen)


def work(module):
    given = module.params
    if given["answers"] is None:
        return left(place(given), module.run_command)
    return choice(given["answers"], given["backup"], given["force"])


def main() -> None:
    run(ARGUMENTS, work, required_by={"backup": ["answers"], "force": ["answers"]})


if __name__ == "__main__":
    main()
