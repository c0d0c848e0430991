"""The node groups."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.plugins.modules import node_groups
from moto.autoscaling import models
from moto.ec2.models import ec2_backends

from tests.unit.account.account import ACCOUNT_ID, REGION, Account
from tests.unit.account.cases.case import CLUSTER, TAGS, Case
from tests.unit.account.ground import MEMBER, group_of, network, tagged

MANAGER, WORKER = f"{CLUSTER}-manager", f"{CLUSTER}-worker"
LAUNCHING = f"{CLUSTER}-launching"
TEAM = {"ResourceId": WORKER, "ResourceType": "auto-scaling-group", "Key": "team"}
GROUP = {
    "architecture": "x86_64",
    "instance_types": ["t3.small"],
    "zones": None,
    "spot": None,
    "scaling": None,
    "warm_pool": None,
    "launch_seconds": None,
}


def group(name: str, **more: Any) -> dict[str, Any]:
    """A node group as the preflight leaves it, as far as the module looks at it."""
    tags = {**TAGS, "Name": f"{CLUSTER}-{name}", "swarm.aws/cluster": CLUSTER}
    tags |= {"swarm.aws/group": name, "swarm.aws/role": name}
    return {**GROUP, "name": name, "role": name, "tags": tags, **more}


GROUPS = [
    group("manager", min=3, desired=3, max=3),
    group(
        "worker",
        instance_types=["t3.small", "t3a.small"],
        min=0,
        desired=1,
        max=4,
        spot={"share": 70, "on_demand_base": 1, "strategy": "price-capacity-optimized", "rebalance": True},
        scaling={"target": 80},
    ),
]


def params(subnets: Mapping[str, str]) -> dict[str, Any]:
    return {
        "cluster_name": CLUSTER,
        "groups": copy.deepcopy(GROUPS),
        "subnets": dict(subnets),
        "template_versions": {"manager": 1, "worker": 1},
        "measured": True,
    }


def template(aws: AwsSession, name: str, **data: Any) -> None:
    """A launch template, as the role has made it before."""
    said = {"ImageId": "ami-0deb1a13000000064", "InstanceType": "t3.small", **data}
    aws.client("ec2").create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData=said, TagSpecifications=tagged("launch-template", name)
    )


def prepare(account: Account) -> Mapping[str, Any]:
    built = network(account.aws)
    for name in (MANAGER, WORKER):
        template(account.aws, name)
    return params(built.public)


def look(aws: AwsSession) -> Any:
    autoscaling = aws.client("autoscaling")
    found = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    for group in found:
        # Which no two accounts have the same.
        del group["CreatedTime"]
        name = group["AutoScalingGroupName"]
        hooks = autoscaling.describe_lifecycle_hooks(AutoScalingGroupName=name)["LifecycleHooks"]
        policies = autoscaling.describe_policies(AutoScalingGroupName=name)["ScalingPolicies"]
        group.update(hooks=hooks, policies=policies)
    return found


def new_version(aws: AwsSession) -> None:
    """Another version, that all new instances get."""
    aws.client("ec2").create_launch_template_version(
        LaunchTemplateName=MANAGER, LaunchTemplateData={"ImageId": "ami-1", "InstanceType": "t3.nano"}
    )
    launch(aws, MANAGER, 2)


def launch(aws: AwsSession, name: str, version: int) -> None:
    """Have new instances launched from that version."""
    update(aws, name, LaunchTemplate={"LaunchTemplateName": name, "Version": str(version)})


def put_hook(aws: AwsSession, **other: Any) -> None:
    hook = {
        "LifecycleHookName": LAUNCHING,
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "HeartbeatTimeout": 900,
        "DefaultResult": "ABANDON",
        **other,
    }
    aws.client("autoscaling").put_lifecycle_hook(AutoScalingGroupName=MANAGER, **hook)


def track(aws: AwsSession, target: float, **other: Any) -> None:
    """The group follows something else."""
    (policy,) = aws.client("autoscaling").describe_policies(AutoScalingGroupName=WORKER)["ScalingPolicies"]
    tracking = {**policy["TargetTrackingConfiguration"], "TargetValue": target, **other}
    aws.client("autoscaling").put_scaling_policy(
        AutoScalingGroupName=WORKER,
        PolicyName=policy["PolicyName"],
        PolicyType="TargetTrackingScaling",
        EstimatedInstanceWarmup=policy["EstimatedInstanceWarmup"],
        TargetTrackingConfiguration=tracking,
    )


def update(aws: AwsSession, name: str, **settings: Any) -> None:
    aws.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=name, **settings)


def distribute(aws: AwsSession) -> None:
    found = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[WORKER])["AutoScalingGroups"][
        0
    ]
    policy = found["MixedInstancesPolicy"]
    policy["InstancesDistribution"]["OnDemandPercentageAboveBaseCapacity"] = 100
    update(aws, WORKER, MixedInstancesPolicy=policy)


def delete_group(_: AwsSession) -> None:
    # Which takes Auto Scaling a while, in which the API still tells of it.
    del models.autoscaling_backends[ACCOUNT_ID][REGION].groups[WORKER]


CASE = Case(
    module=node_groups,
    prepare=prepare,
    look=look,
    drifts={
        "the group launches another version": new_version,
        "its metrics are not collected": lambda aws: aws.client("autoscaling").disable_metrics_collection(
            AutoScalingGroupName=MANAGER
        ),
        "the group is smaller": lambda aws: update(aws, MANAGER, MinSize=1, DesiredCapacity=1),
        "the group may grow": lambda aws: update(aws, MANAGER, MaxSize=9),
        "a load balancer judges": lambda aws: update(aws, MANAGER, HealthCheckType="ELB"),
        "instances have less time to boot": lambda aws: update(aws, MANAGER, HealthCheckGracePeriod=1),
        "newer instances go first": lambda aws: update(aws, MANAGER, TerminationPolicies=["NewestInstance"]),
        "spot capacity is not used": distribute,
        "spot instances at risk stay": lambda aws: update(aws, WORKER, CapacityRebalance=False),
        "the group lost a tag": lambda aws: aws.client("autoscaling").delete_tags(Tags=[TEAM]),
        "a tag is no longer given to instances": lambda aws: aws.client("autoscaling").create_or_update_tags(
            Tags=[{**TEAM, "Value": "blue", "PropagateAtLaunch": False}]
        ),
        "a hook was deleted": lambda aws: aws.client("autoscaling").delete_lifecycle_hook(
            AutoScalingGroupName=MANAGER, LifecycleHookName=LAUNCHING
        ),
        "a hook lets what never joined in": lambda aws: put_hook(aws, DefaultResult="CONTINUE"),
        "a hook gives up early": lambda aws: put_hook(aws, HeartbeatTimeout=30),
        "a scaling policy was deleted": lambda aws: aws.client("autoscaling").delete_policy(
            AutoScalingGroupName=WORKER, PolicyName="needed-nodes"
        ),
        "the group keeps more free": lambda aws: track(aws, 50),
        "the group never gets smaller": lambda aws: track(aws, 80, DisableScaleIn=True),
        "a group was deleted": delete_group,
    },
)

WARM_GROUPS = [
    GROUPS[0],
    {**GROUPS[1], "spot": None, "scaling": None, "warm_pool": {"min": 1, "max": 4}},
]


def prepare_warm(account: Account) -> Mapping[str, Any]:
    return {**prepare(account), "groups": copy.deepcopy(WARM_GROUPS)}


def launchable(account: Account, told: Mapping[str, Any]) -> dict[str, Any]:
    """The same with what an instance needs, so that Auto Scaling gets on with each step; version 3 has it too.

    Of one type, since an instance of moto's own cannot tell the market that the lab chooses by.
    """
    ec2 = account.aws.client("ec2")
    image = ec2.register_image(Name="debian", Architecture="x86_64")["ImageId"]
    # Which moto forgets.
    ec2_backends[ACCOUNT_ID][REGION].amis[image].architecture = "x86_64"
    interfaces = [{"DeviceIndex": 0, "Groups": [group_of(account.aws, MEMBER)["GroupId"]]}]
    for name in (MANAGER, WORKER):
        data = {"ImageId": image, "InstanceType": "t3.small", "NetworkInterfaces": interfaces}
        for _ in range(2):
            ec2.create_launch_template_version(LaunchTemplateName=name, LaunchTemplateData=data)
    return {
        **told,
        "template_versions": {"manager": 2, "worker": 2},
        "groups": [{**group, "instance_types": ["t3.small"]} for group in told["groups"]],
    }


def put_pool(aws: AwsSession, low: int, high: int) -> None:
    aws.client("autoscaling").put_warm_pool(AutoScalingGroupName=WORKER, MinSize=low, MaxGroupPreparedCapacity=high)


def lose_pool(_: AwsSession) -> None:
    # Which takes Auto Scaling a while, too.
    models.autoscaling_backends[ACCOUNT_ID][REGION].groups[WORKER].warm_pool = None


WARM_CASE = Case(
    module=node_groups,
    what="warm",
    prepare=prepare_warm,
    look=look,
    drifts={
        "the warm pool was deleted": lose_pool,
        "the warm pool has fewer": lambda aws: put_pool(aws, 0, 4),
        "the warm pool has more": lambda aws: put_pool(aws, 1, 9),
        "the group with the warm pool was deleted": delete_group,
    },
)
