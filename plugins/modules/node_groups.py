#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: node_groups
short_description: Manage the Auto Scaling groups of a swarm's nodes
version_added: 0.1.0
description:
  - Creates or updates an Auto Scaling group for each node group, with the lifecycle hooks at which instances wait for
    the swarm, its tags, scaling policy, warm pool and metrics. A new group has its hooks before its first instance.
  - C(amazon.aws.autoscaling_group) creates groups without hooks, has no C(CapacityRebalance) and no warm pool, and sets
    the desired capacity at each run.
  - C(desired) is applied when it is new or changes. The size of a group that was scaled since then, that is being
    upgraded, or that follows the swarm's tasks is not changed, except to between C(min) and C(max).
  - Groups that are not declared are left alone.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.attributes.changes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  cluster_name:
    description: Name of the cluster, the prefix of the groups' names.
    type: str
    required: true
  groups:
    description: The node groups, as the role P(swarm.aws.check#role) returns them in the cluster's configuration.
    type: list
    elements: dict
    required: true
  subnets:
    description: >-
      ID of the subnet of each zone, or several IDs separated by commas. In check mode subnets may be missing that do
      not exist yet.
    type: dict
    required: true
  template_versions:
    description: >-
      Version of each group's launch template for new instances. In check mode templates may be missing that do not
      exist yet.
    type: dict
    required: true
  launch_timeout:
    description: >-
      Seconds after which Auto Scaling replaces an instance that has not joined; at least 300 more than a group's
      C(launch_seconds), after which the agents do.
    type: int
    default: 900
  termination_timeout:
    description: Seconds without a heartbeat from the agents after which a terminating instance stops waiting.
    type: int
    default: 300
  measured:
    description: Whether Auto Scaling publishes metrics for the present and the desired size of each group.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Create the Auto Scaling groups
  swarm.aws.node_groups:
    cluster_name: example
    groups: "{{ cluster.node_groups }}"
    subnets: {eu-west-1a: subnet-0123456789abcdef0}
    template_versions: {manager: 1, worker: 3}
"""

RETURN = r"""
groups:
  description: The groups.
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
    desired:
      description: Declared number of instances.
      type: int
      sample: 1
    size:
      description: Present desired capacity.
      type: int
      sample: 3
    scaled:
      description: >-
        Whether C(size) differs from C(desired) because the group was scaled or is being upgraded. False for a group
        that follows the tasks.
      type: bool
      sample: true
    template_version:
      description: Version of the launch template for new instances. Null if it does not exist yet in check mode.
      type: int
      sample: 2
    instances:
      description: IDs of the instances before the run.
      type: list
      elements: str
    warm:
      description: IDs of the instances in its warm pool before the run.
      type: list
      elements: str
    outdated:
      description: IDs of the outdated instances, in the group or in its warm pool.
      type: list
      elements: str
unknown_groups:
  description: Auto Scaling groups of the cluster that are not declared.
  returned: success
  type: list
  elements: str
  sample: []
changes:
  description: What was created, updated or deleted, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [create the Auto Scaling group example-worker]
"""

from ..module_utils.account.node_groups import NodeGroups, lifecycle_hooks
from ..module_utils.aws.module_runner import run

ARGUMENTS = {
    "cluster_name": {"type": "str", "required": True},
    "groups": {"type": "list", "elements": "dict", "required": True},
    "subnets": {"type": "dict", "required": True},
    "template_versions": {"type": "dict", "required": True},
    "launch_timeout": {"type": "int", "default": 900},
    "termination_timeout": {"type": "int", "default": 300},
    "measured": {"type": "bool", "default": False},
}


def work(aws, params, changes):
    cluster = params["cluster_name"]
    hooks = lifecycle_hooks(cluster, params["launch_timeout"], params["termination_timeout"])
    groups = NodeGroups(aws, cluster, hooks, params["subnets"], changes, measured=params["measured"])
    return groups.keep(params["groups"], params["template_versions"])


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
