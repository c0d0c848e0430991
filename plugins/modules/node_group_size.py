#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: node_group_size
short_description: Have more instances in a node group, for good or for the time of an upgrade
version_added: 0.1.0
description:
  - Changes how many instances an Auto Scaling group of a cluster has, and waits until Auto Scaling has launched them.
    Whether they join and serve is seen from a manager, with M(swarm.aws.node_rollout).
  - For an upgrade a group gets more instances than usual. What is usual is kept in its tag C(swarm.aws/usual-size)
    until O(surge=0), also if this is killed.
  - Never asks Auto Scaling for fewer instances than run, since that would choose which to end. M(swarm.aws.node_drain)
    takes out what is named.
  - Without O(group) it only tells the sizes of all groups.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.attributes.changes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  cluster_name:
    description: Name of the cluster.
    type: str
    required: true
  group:
    description: Name of the node group.
    type: str
  desired:
    description: Number of instances to have for good.
    type: int
  surge:
    description:
      - How many instances to have more than usual, for the time of an upgrade.
      - With V(0) the group's settings are as usual again, once it has no more instances than that.
    type: int
  call_off:
    description: Whether to end the additional instances that are not in O(keep), and to have everything as usual again.
    type: bool
    default: false
  renew_warm:
    description:
      - Whether to end what waits in the group's warm pool and is of another version of its launch template. Auto
        Scaling starts others in their place.
    type: bool
    default: false
  keep:
    description: IDs of the additional instances that serve.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait at most until the instances are launched, or have left the warm pool.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Have three workers
  swarm.aws.node_group_size:
    region: eu-west-1
    cluster_name: example
    group: worker
    desired: 3

- name: Have one manager more for a while
  swarm.aws.node_group_size:
    region: eu-west-1
    cluster_name: example
    group: manager
    surge: 1
"""

RETURN = r"""
groups:
  description: The cluster's node groups as they are then, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the group.
      type: str
      sample: worker
    role:
      description: Role of its nodes.
      type: str
      sample: worker
    min:
      description: Least number of instances.
      type: int
    desired:
      description: Number of instances to have.
      type: int
      sample: 3
    max:
      description: Greatest number of instances.
      type: int
    usual:
      description: Number of instances to have once an upgrade is over. Null if none is under way.
      type: int
    instances:
      description: IDs of its instances that do not end.
      type: list
      elements: str
ended:
  description: IDs of the instances that were, or in check mode would be, ended with O(call_off) or O(renew_warm).
  returned: success
  type: list
  elements: str
changes:
  description: What was, or in check mode would be, created, updated or deleted.
  returned: always
  type: list
  elements: str
  sample: [update the Auto Scaling group example-worker]
api_calls:
  description: How many requests it sent to AWS.
  returned: always
  type: int
"""

from ..module_utils.account.capacity import Sizes
from ..module_utils.aws.module_runner import run
from ..module_utils.aws.provision_error import ProvisionError

ARGUMENTS = {
    "cluster_name": {"type": "str", "required": True},
    "group": {"type": "str"},
    "desired": {"type": "int"},
    "surge": {"type": "int"},
    "call_off": {"type": "bool", "default": False},
    "renew_warm": {"type": "bool", "default": False},
    "keep": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 300},
}


def work(aws, params, changes):
    sizes, group = Sizes(aws, params["cluster_name"], changes), params["group"]
    asked = [params["desired"] is not None, params["surge"] is not None, params["call_off"], params["renew_warm"]]
    if sum(asked) > 1 or any(asked) != (group is not None):
        raise ProvisionError(
            "Give a group together with one of desired, surge, call_off and renew_warm, or none of them."
        )
    ended = []
    if params["desired"] is not None:
        sizes.resize(group, params["desired"], params["timeout"])
    elif params["surge"]:
        sizes.surge(group, params["surge"], params["timeout"])
    elif params["surge"] == 0:
        sizes.settle(group)
    elif params["call_off"]:
        ended = sizes.call_off(group, params["keep"])
    elif params["renew_warm"]:
        ended = sizes.renew(group, params["timeout"])
    return {"groups": sizes.all(), "ended": ended}


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
