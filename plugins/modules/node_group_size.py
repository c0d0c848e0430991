#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: node_group_size
short_description: Enlarge a node group, permanently or for an upgrade
version_added: 0.1.0
description:
  - Changes the size of a cluster's Auto Scaling group, and waits until Auto Scaling has launched the instances.
    M(swarm.aws.node_rollout) tells on a manager whether they join and serve.
  - For an upgrade a group gets additional instances. Its tag C(swarm.aws/usual-size) keeps the original size until
    O(surge=0), also if this is killed.
  - Never asks Auto Scaling for fewer instances than run, since Auto Scaling would choose which to terminate.
    M(swarm.aws.node_drain) removes a given instance.
  - Without O(group) it only returns the sizes of all groups.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.kept.cluster
  - swarm.aws.attributes.changes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  group:
    description: Name of the node group.
    type: str
  desired:
    description: Permanent number of instances.
    type: int
  surge:
    description:
      - Number of additional instances for an upgrade.
      - V(0) restores the group's original settings, once it has no more instances than its original size.
    type: int
  call_off:
    description: Whether to terminate additional instances that are not in O(keep) and restore the original settings.
    type: bool
    default: false
  renew_warm:
    description:
      - Whether to terminate the outdated instances in the group's warm pool. Auto Scaling launches replacements.
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
- name: Scale to three workers
  swarm.aws.node_group_size:
    region: eu-west-1
    cluster_name: example
    group: worker
    desired: 3

- name: Add a manager for an upgrade
  swarm.aws.node_group_size:
    region: eu-west-1
    cluster_name: example
    group: manager
    surge: 1
"""

RETURN = r"""
groups:
  description: The cluster's node groups afterwards, by name.
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
      description: Minimum number of instances.
      type: int
    desired:
      description: Desired number of instances.
      type: int
      sample: 3
    max:
      description: Maximum number of instances.
      type: int
    launch_failure:
      description: A sentence with Auto Scaling's reason why the group's launches fail. Null if they do not.
      type: str
    original_size:
      description: Original size, to which the group returns after an upgrade. Null without an upgrade.
      type: int
    instances:
      description: IDs of its instances that are not being terminated.
      type: list
      elements: str
ended:
  description: IDs of the instances that O(call_off) or O(renew_warm) terminated, or would terminate in check mode.
  returned: success
  type: list
  elements: str
changes:
  description: What was created, updated or deleted, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [update the Auto Scaling group example-worker]
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
            "Set group and exactly one of desired, surge, call_off and renew_warm, or none of these options."
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
