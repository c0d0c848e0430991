#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: node_rollout
short_description: Show which instances of a swarm are outdated, and wait until new instances serve
version_added: 0.1.0
description:
  - Returns the outdated instances, the best order to replace them, and the instances to remove next. For another size
    of a group it returns the instances to remove or the number of instances to add.
  - Waits until the instances of a group serve. An instance serves when its node is ready and takes tasks, the global
    services run on it, Auto Scaling has it in service, the DNS record points to it if its group has a record, and all
    services have the tasks that they declare.
  - Changes nothing. Runs on a manager, with the credentials of its instance profile.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager
  - swarm.aws.attributes.reads
options:
  group:
    description: Name of the node group to wait for. By default all groups are returned without waiting.
    type: str
  desired:
    description: New size of the group. Refused if the group may not have that size.
    type: int
  batch:
    description: Number of workers to replace at a time.
    type: int
    default: 1
  until:
    description: What to wait for. V(joined) is when the desired number of instances is in the swarm.
    type: str
    choices: [now, joined, serving]
    default: now
  ignore:
    description: Names of services whose missing tasks are not waited for.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait at most.
    type: int
    default: 600
seealso:
  - module: swarm.aws.node_group_size
  - module: swarm.aws.node_drain
"""

EXAMPLES = r"""
- name: Show the outdated instances
  swarm.aws.node_rollout:
  become: true

- name: Wait until all workers serve
  swarm.aws.node_rollout:
    group: worker
    until: serving
  become: true
"""

RETURN = r"""
groups:
  description: >-
    The groups, by name, each with C(name), C(role), C(min), C(desired), C(max) and C(original_size) as in
    RV(swarm.aws.node_group_size#module:groups).
  returned: success
  type: list
  elements: dict
  contains:
    template_version:
      description: Version of the launch template for new instances.
      type: str
    serving:
      description: IDs of the instances that serve.
      type: list
      elements: str
    outdated:
      description: IDs of the outdated instances.
      type: list
      elements: str
    warm_outdated:
      description: IDs of the outdated instances in the group's warm pool.
      type: list
      elements: str
rounds:
  description: The replacements, in order.
  returned: success
  type: list
  elements: dict
  contains:
    group:
      description: Name of the group.
      type: str
    instances:
      description: Number of instances that are replaced together.
      type: int
    canary:
      description: Whether it is the first replacement in its group.
      type: bool
  sample: [{group: worker, instances: 1, canary: true}]
add:
  description: Number of instances to add for O(desired).
  returned: success
  type: int
going:
  description: IDs of the instances of O(group) to remove next, for O(desired) or in its upgrade.
  returned: success
  type: list
  elements: str
managers:
  description: IDs of working managers that are not removed next. This host is the first if it is among them.
  returned: success
  type: list
  elements: str
short:
  description:
    - Services with fewer tasks than they declare, and what they wait for. Completed tasks count.
  returned: success
  type: dict
awaited:
  description: What the group still waits for.
  returned: success
  type: list
  elements: str
  sample: [i-0123456789abcdef0 to join the swarm]
"""

from ..module_utils._core import rolling_update
from ..module_utils._core.errors import SwarmError
from ..module_utils.verbs.group_rollout import STAGES, Rollout
from ..module_utils.verbs.on_manager import control_plane, look, run

ARGUMENTS = {
    "group": {"type": "str"},
    "desired": {"type": "int"},
    "batch": {"type": "int", "default": 1},
    "until": {"type": "str", "choices": list(STAGES), "default": "now"},
    "ignore": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 600},
}


def tell(params, **clock) -> dict:
    """Do the module's work and return its result. Raises SwarmError."""
    if params["batch"] < 1:
        raise SwarmError(f"batch is {params['batch']}, but must be at least 1.")
    cluster = control_plane(params)
    rollout = Rollout(lambda: look(cluster), cluster.fleet.groups, **clock)
    name, resize = params["group"], rolling_update.Resize()
    if name is not None:
        rollout.fleet.group(name)
        rollout.wait(name, params["until"], set(params["ignore"]), params["timeout"])
    fleet = rollout.fleet
    if name is not None:
        group = fleet.group(name)
        if params["desired"] is not None:
            resize = fleet.resize(name, params["desired"])
        else:
            resize = rolling_update.Resize(remove=(*fleet.ending(name), *fleet.to_remove(name, group.surplus)))
    return {
        "changed": False,
        "groups": [_group(group, fleet) for group in fleet.groups],
        "rounds": [
            {"group": round.group, "instances": round.instances, "canary": round.canary}
            for round in fleet.rounds(params["batch"])
        ],
        "add": resize.add,
        "going": list(resize.remove),
        "managers": fleet.managers(resize.remove, cluster.swarm.here()),
        "short": fleet.short,
        "awaited": rollout.awaited,
        "warnings": list(resize.warnings),
    }


def _group(group, fleet) -> dict:
    mine = fleet.of_group(group.group)
    return {
        "name": group.group,
        "role": group.role,
        "min": group.smallest,
        "desired": group.desired,
        "max": group.largest,
        "original_size": group.original_size,
        "template_version": group.template,
        "serving": [instance.id for instance in mine if instance.serves],
        "outdated": [instance.id for instance in mine if instance.outdated],
        "warm_outdated": fleet.outdated_in_pool(group.group),
    }


def main() -> None:
    run(ARGUMENTS, lambda module: tell(module.params), required_by={"desired": ["group"]})


if __name__ == "__main__":
    main()
