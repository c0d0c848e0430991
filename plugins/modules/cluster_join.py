#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_join
short_description: Join a node to its cluster's swarm
version_added: 0.1.0
description:
  - Does what the node's agent does at boot, on the node that the task runs on. It initialises the cluster's swarm if no
    other node does, and otherwise joins the swarm that is published in the cluster's bucket.
  - Any number of nodes may run it at once, also beside their agents, and it may be killed and run again at any moment.
    There is never more than one swarm.
  - A node that is already a member is left alone. Fails on a member of another swarm.
  - A node that has left the swarm joins it again as a new node, with a new ID and without labels. The leader's agent
    sets the configured labels.
  - Needs the permissions of the instance's own role, and root.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager
attributes:
  check_mode:
    description: Returns what it would do first.
    support: full
  diff_mode:
    description: Shows what was claimed, published, left and joined, without tokens.
    support: full
options:
  role:
    description: The node's role in the swarm. The default is in the host's C(/etc/swarm-agent/config.json).
    type: str
    choices: [manager, worker]
  deleted_node:
    description:
      - ID of a node that was deleted from the swarm (C(docker node rm)).
      - The swarm does not tell the engine of a deleted node, which still believes that it is a member. If this host's
        engine does so with this ID, it leaves the swarm before it joins again.
    type: str
  new_swarm:
    description:
      - Initialise a swarm even if another running manager may be in a swarm that the bucket does not name.
      - Only use it if there is no swarm, as after C(docker swarm leave) on all managers. Otherwise the cluster gets two
        swarms.
    type: bool
    default: false
  timeout:
    description: Seconds to keep trying.
    type: int
    default: 600
seealso:
  - module: swarm.aws.cluster_info
  - module: swarm.aws.cluster_policy
"""

EXAMPLES = r"""
- name: Join the swarm
  swarm.aws.cluster_join:
  become: true

- name: Show what would be done
  swarm.aws.cluster_join:
  become: true
  check_mode: true
  register: joining

- name: Join again after the node was deleted
  swarm.aws.cluster_join:
    deleted_node: "{{ joining.node_id }}"
  become: true
"""

RETURN = r"""
cluster_id:
  description: The swarm that the node is a member of. Null in check mode if it is not a member.
  returned: success
  type: str
  sample: 7yekslzqnk0p4nxu9rjlcp6t0
node_id:
  description: The node's ID in the swarm. In check mode the ID that its engine tells, or null if it is in no swarm.
  returned: success
  type: str
  sample: iw6m2bm0l4yt3r4h1qk2h8zfb
next:
  description: What the node would do next.
  returned: in check mode
  type: str
  sample: Join the swarm 7yekslzqnk0p4nxu9rjlcp6t0.
log:
  description: What was done and what was waited for.
  returned: always
  type: list
  elements: str
  sample: [Joining the swarm 7yekslzqnk0p4nxu9rjlcp6t0 through i-0123456789abcdef0 (10.20.0.11).]
changes:
  description: What was changed.
  returned: always
  type: list
  elements: str
  sample: [create the swarm of this node]
"""

from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.errors import SwarmError
from ..module_utils._core.join.join_decision import Finish, Refuse, Wait, decide, describe
from ..module_utils._core.join.joiner import CannotJoin
from ..module_utils._core.join.ports import ROLES
from ..module_utils.adapters.commands import Commands
from ..module_utils.adapters.node_config import Config
from ..module_utils.adapters.node_joiner import joiner
from ..module_utils.aws.clock import SystemClock
from ..module_utils.verbs import on_manager

ARGUMENTS = {
    **on_manager.ARGUMENTS,
    "role": {"type": "str", "choices": ["manager", "worker"]},
    "deleted_node": {"type": "str"},
    "new_swarm": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 600},
}
PLACE = (*on_manager.ARGUMENTS, "role")


def place(params):
    """The cluster, region, bucket and role, from the options or the node's configuration. Raises SwarmError."""
    given = {name: params[name] for name in PLACE}
    if all(given.values()):
        return given
    config = Config.load()
    found = {name: given[name] or getattr(config, name) for name in PLACE}
    if found["role"] not in ROLES:
        raise SwarmError("This instance is for a backup drill and joins no swarm.")
    return found


def preview(work):
    """The result in check mode. Raises SwarmError if it cannot be told."""
    view = work.look()
    action = decide(work.me, view)
    if isinstance(action, Refuse):
        raise CannotJoin(action.reason)
    member = isinstance(action, Finish)
    changed = not member and not isinstance(action, Wait)
    before, sentence = view.membership.state, describe(action)
    return {
        "changed": changed,
        "changes": [sentence] if changed else [],
        "diff": [{"before": before + "\n", "after": sentence + "\n"}] if changed else [],
        "next": sentence,
        "cluster_id": action.cluster_id if member else None,
        "node_id": view.membership.node_id,
    }


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    log, work = [], None
    try:
        commands = Commands(module.run_command)
        work = joiner(clock=SystemClock(), report=log.append, commands=commands, **place(module.params))
        params = module.params
        work.me = replace(work.me, deleted=params["deleted_node"] or None, new_swarm=params["new_swarm"])
        if module.check_mode:
            module.exit_json(log=log, **preview(work))
        joined = work.run(module.params["timeout"])
    except SwarmError as error:
        module.fail_json(msg=str(error), log=log, **made(work))
    module.exit_json(cluster_id=joined.cluster_id, node_id=joined.node_id, log=log, **made(work))


def made(work):
    """The changes so far."""
    changes = work.changes if work else []
    return {
        "changed": bool(changes),
        "changes": [change.sentence for change in changes],
        "diff": [change.diff() for change in changes],
    }


if __name__ == "__main__":
    main()
