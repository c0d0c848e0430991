#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: node_drain
short_description: Remove a node from a swarm without a failed request
version_added: 0.1.0
description:
  - Requests the removal of an instance and follows it. The leader's agent does the work, and continues if this stops.
  - The node is cordoned and withdrawn from DNS. Once no resolver caches its address and its tasks have healthy
    replacements elsewhere, it is drained. Once its tasks have stopped it is demoted, its Auto Scaling group terminates
    the instance, and the node is deleted from the swarm.
  - Refused, before anything changes, if too few managers would be left for a quorum, or if no other node has room for
    its tasks.
  - Runs on any other manager, with the credentials of its instance profile. The node itself need not be reachable.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager
  - swarm.aws.attributes.changes
options:
  instance:
    description: ID of the instance.
    type: str
    required: true
  state:
    description:
      - V(removed) removes it.
      - V(kept) calls off a removal, as long as the instance is not being terminated. The node then keeps working.
    type: str
    choices: [removed, kept]
    default: removed
  replace:
    description: Whether its Auto Scaling group launches a replacement. Otherwise its desired size is reduced by 1.
    type: bool
    default: true
  force:
    description:
      - Whether to continue if no other node has room for tasks, which are lost then.
      - The managers' quorum is kept even so.
    type: bool
    default: false
  together:
    description:
      - IDs of other instances, for which the same is requested in the same call. All removals must be possible
        together, or none is requested.
      - Only the removal of O(instance) is followed.
    type: list
    elements: str
    default: []
  until:
    description:
      - The stage to wait for. V(requested) does not wait.
      - V(begun) is when the node is cordoned, V(ready) when it is about to be drained, V(drained) when no task is left
        on it, and V(removed) when it is deleted from the swarm and its instance is being terminated.
    type: str
    choices: [requested, begun, ready, drained, removed]
    default: removed
  seen:
    description: The RV(seen) of an earlier call for the same removal, to continue from.
    type: dict
    default: {}
  timeout:
    description: Seconds to wait at most. The removal continues after that.
    type: int
    default: 1800
seealso:
  - module: swarm.aws.cluster_info
  - module: swarm.aws.node_remove
"""

EXAMPLES = r"""
- name: Replace an instance
  swarm.aws.node_drain:
    instance: i-0123456789abcdef0
  become: true

- name: Remove an instance without a replacement
  swarm.aws.node_drain:
    instance: i-0123456789abcdef0
    replace: false
  become: true

- name: Call off the removal
  swarm.aws.node_drain:
    instance: i-0123456789abcdef0
    state: kept
  become: true
"""

RETURN = r"""
node:
  description: ID of its node. Null if it has no node.
  returned: success
  type: str
over:
  description: Whether nothing is left to be removed.
  returned: success
  type: bool
awaited:
  description: What the removal waits for.
  returned: success
  type: list
  elements: str
  sample: [8 s until no resolver knows i-0123456789abcdef0]
services:
  description:
    - By the name of each replicated service, the number of declared tasks and the lowest number of healthy tasks, as
      seen about every second. Completed tasks count as healthy.
  returned: success
  type: dict
  sample: {shop_web: {declared: 6, lowest: 6}}
seconds:
  description: Duration of each step and of all steps.
  returned: success
  type: dict
  sample: {withdrawn: 0.6, ready: 10.3, drained: 5.1, removed: 3.9, all: 19.9}
notes:
  description: What was not smooth, a sentence each.
  returned: success
  type: list
  elements: str
seen:
  description: What was observed so far, for the next call.
  returned: success
  type: dict
"""

import time

from ..module_utils._core.removal_progress import STAGES
from ..module_utils.aws.clock import aws_time
from ..module_utils.verbs.on_manager import control_plane, look, run
from ..module_utils.verbs.removal_request import RemovalRequest, describe

ARGUMENTS = {
    "instance": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["removed", "kept"], "default": "removed"},
    "replace": {"type": "bool", "default": True},
    "force": {"type": "bool", "default": False},
    "together": {"type": "list", "elements": "str", "default": []},
    "until": {"type": "str", "choices": list(STAGES), "default": "removed"},
    "seen": {"type": "dict", "default": {}},
    "timeout": {"type": "int", "default": 1800},
}


def drain(cluster, params, *, check: bool, now=aws_time.now, sleep=time.sleep) -> dict:
    """Do the module's work through the control plane and return its result. Raises SwarmError."""
    policy, observed = look(cluster)
    ids = [*params["together"], params["instance"]]
    removals = [RemovalRequest(cluster, policy, observed, instance, now=now, sleep=sleep) for instance in ids]
    removal, how = removals[-1], {"replace": params["replace"], "force": params["force"]}
    result = {"node": removal.node.id if removal.node else None, "over": removal.over}
    if params["state"] == "kept":
        asked = [each.withdraw(check_mode=check) for each in removals]
    else:
        for number, each in enumerate(removals):
            each.check(ids[:number], **how)
        asked = [each.request(**how, check_mode=check) for each in removals]
    diff = [
        {"before_header": header, "after_header": header, "before": f"{before}\n", "after": f"{after}\n"}
        for header, (before, after) in (
            (f"request to remove {instance}", change) for instance, change in zip(ids, asked) if change
        )
    ]
    until = "requested" if check or removal.over or params["state"] == "kept" else params["until"]
    watch = removal.follow(params["seen"], until, params["timeout"])
    return {
        **result,
        "changed": bool(diff),
        "diff": diff,
        "awaited": removal.awaited,
        "services": watch.services,
        "seconds": watch.durations(),
        "notes": [*removal.notes, *describe(watch)],
        "seen": watch.as_dict(),
    }


def main() -> None:
    run(ARGUMENTS, lambda module: drain(control_plane(module.params), module.params, check=module.check_mode))


if __name__ == "__main__":
    main()
