#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_join
short_description: Make a node a member of its cluster's swarm
version_added: 0.1.0
description:
  - Does on the node that the task runs on what the node's agent does when it boots. It initialises the cluster's swarm
    if nobody else does, and otherwise joins the one that is published in the cluster's bucket.
  - Any number of nodes may run it at once, beside their agents too, and it may be killed and run again at any moment.
    There is only ever one swarm.
  - A node that is a member already is left alone. A node that is a member of another swarm makes it fail.
  - A node that has left the swarm joins it again as a new node, with another ID and without labels; the leader's agent
    sets those of the configuration.
  - Needs the rights of the instance's own role, and root.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager
attributes:
  check_mode:
    description: Says what it would do first, as things are now.
    support: full
  diff_mode:
    description: Shows what was claimed, published, left and joined, without tokens.
    support: full
options:
  role:
    description: Which part the node takes in the swarm, by default that of the host's C(/etc/swarm-agent/config.json).
    type: str
    choices: [manager, worker]
  deleted_node:
    description:
      - ID of a node that was deleted from the swarm (C(docker node rm)), if there is one.
      - The engine of such a node is not told, and takes itself for a member. If this host's does for this node, it
        leaves the swarm before it joins again.
    type: str
  new_swarm:
    description:
      - Initialise a swarm even if another running manager may be in one that the bucket does not name.
      - Only if there is no swarm, as after C(docker swarm leave) on all managers. Otherwise the cluster has two then.
    type: bool
    default: false
  timeout:
    description: Seconds to go on trying.
    type: int
    default: 600
seealso:
  - module: swarm.aws.cluster_info
  - module: swarm.aws.cluster_policy
"""

EXAMPLES = r"""
- name: Join the swarm now rather than when the agent gets to it
  swarm.aws.cluster_join:
  become: true

- name: See what would have to be done
  swarm.aws.cluster_join:
  become: true
  check_mode: true
  register: joining

- name: Join again as another node than the one that was deleted
  swarm.aws.cluster_join:
    deleted_node: "{{ joining.node_id }}"
  become: true
"""

RETURN = r"""
cluster_id:
  description: The swarm that the node is a member of. Null in check mode if it is not.
  returned: success
  type: str
  sample: 7yekslzqnk0p4nxu9rjlcp6t0
node_id:
  description: The node's ID in it. In check mode the one that its engine takes it for, null if that is in no swarm.
  returned: success
  type: str
  sample: iw6m2bm0l4yt3r4h1qk2h8zfb
next:
  description: What the node would do next.
  returned: in check mode
  type: str
  sample: Join the swarm 7yekslzqnk0p4nxu9rjlcp6t0.
log:
  description: What was done and waited for.
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
from ..module_utils.adapters.clock import SystemClock
from ..module_utils.adapters.commands import Commands
from ..module_utils.adapters.node_config import Config
from ..module_utils.adapters.node_joiner import joiner
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
    """The options that say where to join, from the file where they are not given. Raises SwarmError."""
    given = {name: params[name] for name in PLACE}
    if all(given.values()):
        return given
    config = Config.load()
    found = {name: given[name] or getattr(config, name) for name in PLACE}
    if found["role"] not in ROLES:
        raise SwarmError("This instance is for trying a backup, and joins no swarm.")
    return found


def preview(work):
    """What check mode returns. Raises SwarmError when it cannot be told."""
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
    """What was changed so far."""
    changes = work.changes if work else []
    return {
        "changed": bool(changes),
        "changes": [change.sentence for change in changes],
        "diff": [change.diff() for change in changes],
    }


if __name__ == "__main__":
    main()
