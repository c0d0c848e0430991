#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: node_groups
short_description: Keep the node groups of a swarm
version_added: 0.1.0
description:
  - Keeps for each group a launch template, an Auto Scaling group and its lifecycle hooks, a scaling policy
    for those that scale, and a warm pool for those that are to have one.
  - A launch template gets a new version only if what it says really differs. Instances that run are left alone.
  - Waits for no instance. Groups that are no longer declared are reported and left alone.
author:
  - The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.kept
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  key_name:
    description: Name of the key pair for SSH.
    type: str
  ipv6:
    description: Whether new instances have an IPv6 address, for which the subnets must have a range.
    type: bool
    default: false
  public_addresses:
    description: Whether new instances have a public IPv4 address.
    type: bool
    default: true
  launch_timeout:
    description: Seconds after which an instance that did not join is given up and replaced.
    type: int
    default: 900
  termination_timeout:
    description: Seconds without a sign of life from the agents after which a terminating instance is let go.
    type: int
    default: 300
  groups:
    description: The groups.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the group.
        type: str
        required: true
      role:
        description: Role of its nodes in the swarm.
        type: str
        choices: [manager, worker]
        required: true
      image:
        description: ID of the machine image.
        type: str
        required: true
      root_device:
        description: Name of the image's root device.
        type: str
        required: true
      instance_types:
        description: Instance types in the order of preference.
        type: list
        elements: str
        required: true
      volume_size:
        description: Size of the root volume in GiB.
        type: int
        required: true
      volume_type:
        description: Type of the root volume.
        type: str
        required: true
      volume_iops:
        description: Operations a second of the root volume, if they are not the type's own.
        type: int
      volume_throughput:
        description: MiB a second of the root volume, if they are not the type's own.
        type: int
      volumes:
        description: More volumes of each instance. They are encrypted, and end with their instance.
        type: list
        elements: dict
        default: []
        suboptions:
          device:
            description: Name of the device, such as V(/dev/sdf).
            type: str
            required: true
          type:
            description: Type of the volume.
            type: str
            required: true
          size:
            description: Size in GiB.
            type: int
            required: true
          iops:
            description: Operations a second, if they are not the type's own.
            type: int
          throughput:
            description: MiB a second, if they are not the type's own.
            type: int
      min:
        description: Least number of instances.
        type: int
        required: true
      desired:
        description:
          - Number of instances to have.
          - It is applied when it is new or changes. A group that was scaled since then stays as it is, between its
            O(groups[].min) and O(groups[].max), as does one that is being upgraded.
        type: int
        required: true
      max:
        description: Greatest number of instances.
        type: int
        required: true
      subnets:
        description: IDs of the subnets, one for each zone.
        type: list
        elements: str
        required: true
      security_groups:
        description: IDs of the security groups.
        type: list
        elements: str
        required: true
      instance_profile:
        description: Name of the instance profile.
        type: str
        required: true
      user_data:
        description: What the instances do when they boot, as text.
        type: str
        required: true
      spot:
        description: How much of it is spot capacity. Without it all is on demand.
        type: dict
        suboptions:
          share:
            description: Percentage of spot instances among those beyond O(groups[].spot.on_demand_base).
            type: int
            required: true
          on_demand_base:
            description: How many instances are on demand whatever the share.
            type: int
            required: true
          strategy:
            description: How Auto Scaling chooses among the instance types.
            type: str
            required: true
          rebalance:
            description: Whether an instance at an elevated risk of interruption is replaced before it is interrupted.
            type: bool
            required: true
      scaling:
        description:
          - Has Auto Scaling change the number of instances by what the swarm's tasks need, between O(groups[].min) and
            O(groups[].max). O(groups[].desired) is then how many it begins with. Without it there is no such policy.
          - For groups whose role is V(worker) alone.
        type: dict
        suboptions:
          target:
            description: How many percent of the instances are to be needed.
            type: int
            required: true
      warm_pool:
        description:
          - Keeps instances that are prepared and stopped beside the group, which it takes first when it gets larger.
            Without it there is no warm pool, and one that there is is deleted.
          - For groups without O(groups[].spot) alone.
        type: dict
        suboptions:
          min:
            description: How many instances there are in the pool at least.
            type: int
            required: true
          max:
            description: >-
              How many instances the group and its pool have together at most, unless O(groups[].warm_pool.min) asks for
              more.
            type: int
            required: true
"""

EXAMPLES = r"""
- name: Keep the workers
  swarm.aws.node_groups:
    region: eu-west-1
    cluster_name: example
    groups:
      - name: worker
        role: worker
        image: ami-0123456789abcdef0
        root_device: /dev/xvda
        instance_types: [t3.small]
        volume_size: 20
        volume_type: gp3
        min: 1
        desired: 1
        max: 4
        subnets: [subnet-0123456789abcdef0]
        security_groups: [sg-0123456789abcdef0]
        instance_profile: example-worker
        user_data: "#cloud-config"
"""

RETURN = r"""
groups:
  description: The groups as they are.
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
      description: Number of instances to have, as it is declared.
      type: int
      sample: 1
    size:
      description: Number of instances that it has to have now.
      type: int
      sample: 3
    scaled:
      description: >-
        Whether that is another number, since it was scaled or is being upgraded. It is not said of
        one with O(groups[].scaling), where that is as it should be.
      type: bool
      sample: true
    template_version:
      description: Version of the launch template for new instances.
      type: int
      sample: 2
    instances:
      description: IDs of the instances that there were before.
      type: list
      elements: str
    warm:
      description: IDs of those that there were in its warm pool.
      type: list
      elements: str
    behind:
      description: IDs of those, in the group or in its warm pool, that are of another version of the launch template.
      type: list
      elements: str
unknown_groups:
  description: Auto Scaling groups of the cluster that are not declared.
  returned: success
  type: list
  elements: str
  sample: []
changes:
  description: What was, or in check mode would be, created, updated or deleted.
  returned: always
  type: list
  elements: str
  sample: [create the VPC example]
api_calls:
  description: How many requests it sent to AWS.
  returned: always
  type: int
  sample: 7
"""

from ..module_utils._core.names import launching_hook, terminating_hook
from ..module_utils.provision.groups import Fleet, Hook
from ..module_utils.provision.shell import TAGS_ARGUMENT, run
from ..module_utils.provision.templates import Group, Spot

ARGUMENTS = {
    "cluster_name": {"type": "str", "required": True},
    "tags": TAGS_ARGUMENT,
    "key_name": {"type": "str", "no_log": False},
    "ipv6": {"type": "bool", "default": False},
    "public_addresses": {"type": "bool", "default": True},
    "launch_timeout": {"type": "int", "default": 900},
    "termination_timeout": {"type": "int", "default": 300},
    "groups": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "role": {"type": "str", "required": True, "choices": ["manager", "worker"]},
            "image": {"type": "str", "required": True},
            "root_device": {"type": "str", "required": True},
            "instance_types": {"type": "list", "elements": "str", "required": True},
            "volume_size": {"type": "int", "required": True},
            "volume_type": {"type": "str", "required": True},
            "volume_iops": {"type": "int"},
            "volume_throughput": {"type": "int"},
            "volumes": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "device": {"type": "str", "required": True},
                    "type": {"type": "str", "required": True},
                    "size": {"type": "int", "required": True},
                    "iops": {"type": "int"},
                    "throughput": {"type": "int"},
                },
            },
            "min": {"type": "int", "required": True},
            "desired": {"type": "int", "required": True},
            "max": {"type": "int", "required": True},
            "subnets": {"type": "list", "elements": "str", "required": True},
            "security_groups": {"type": "list", "elements": "str", "required": True},
            "instance_profile": {"type": "str", "required": True},
            "user_data": {"type": "str", "required": True},
            "spot": {
                "type": "dict",
                "options": {
                    "share": {"type": "int", "required": True},
                    "on_demand_base": {"type": "int", "required": True},
                    "strategy": {"type": "str", "required": True},
                    "rebalance": {"type": "bool", "required": True},
                },
            },
            "scaling": {"type": "dict", "options": {"target": {"type": "int", "required": True}}},
            "warm_pool": {
                "type": "dict",
                "options": {"min": {"type": "int", "required": True}, "max": {"type": "int", "required": True}},
            },
        },
    },
}


def work(aws, params, changes):
    cluster = params["cluster_name"]
    hooks = [
        Hook(launching_hook(cluster), "LAUNCHING", params["launch_timeout"], "ABANDON"),
        Hook(terminating_hook(cluster), "TERMINATING", params["termination_timeout"], "CONTINUE"),
    ]
    groups = [
        Group(
            name=group["name"],
            role=group["role"],
            image=group["image"],
            root_device=group["root_device"],
            instance_types=group["instance_types"],
            volume_size=group["volume_size"],
            volume_type=group["volume_type"],
            volume_iops=group["volume_iops"],
            volume_throughput=group["volume_throughput"],
            volumes=group["volumes"],
            minimum=group["min"],
            desired=group["desired"],
            maximum=group["max"],
            subnets=group["subnets"],
            security_groups=group["security_groups"],
            instance_profile=group["instance_profile"],
            user_data=group["user_data"],
            spot=Spot(**group["spot"]) if group["spot"] else None,
            scaling_target=group["scaling"]["target"] if group["scaling"] else None,
            warm_pool=(group["warm_pool"]["min"], group["warm_pool"]["max"]) if group["warm_pool"] else None,
            key_name=params["key_name"],
            ipv6=params["ipv6"],
            public=params["public_addresses"],
        )
        for group in params["groups"]
    ]
    return Fleet(aws, cluster, params["tags"], hooks, changes).keep(groups)


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
