"""Auto Scaling groups keep their capacity, across zones and with lifecycle hooks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from lab.aws import world
from tests.unit.lab.fakes import LittleAws, Network, refused, until

HOOKS = {
    "launching": ("autoscaling:EC2_INSTANCE_LAUNCHING", "ABANDON"),
    "terminating": ("autoscaling:EC2_INSTANCE_TERMINATING", "CONTINUE"),
}


def hook(name: str) -> dict[str, Any]:
    transition, result = HOOKS[name]
    said = {"LifecycleHookName": name, "LifecycleTransition": transition, "DefaultResult": result}
    return {**said, "HeartbeatTimeout": 30}


def mixed(**distribution: Any) -> dict[str, Any]:
    """The settings of a group of two instance types."""
    template = {
        "LaunchTemplateSpecification": {"LaunchTemplateName": "example", "Version": "1"},
        "Overrides": [{"InstanceType": "t3.medium"}, {"InstanceType": "t3a.medium"}],
    }
    policy = {"LaunchTemplate": template, "InstancesDistribution": distribution}
    return {"LaunchTemplate": {}, "MixedInstancesPolicy": policy}


def hurry(name: str, seconds: float) -> None:
    """Set a timeout below AWS's minimum of 30 seconds, which is too long for a test."""
    with world.LOCK:
        for hook in world.autoscaling().groups["example"].hooks.values():
            if hook.name == name:
                hook.settings["HeartbeatTimeout"] = seconds


def complete(aws: LittleAws, name: str, instance_id: str, result: str = "CONTINUE") -> None:
    answer = {"LifecycleHookName": name, "InstanceId": instance_id, "LifecycleActionResult": result}
    aws.client("autoscaling").complete_lifecycle_action(AutoScalingGroupName="example", **answer)


def waiting(aws: LittleAws, state: str = "Pending:Wait") -> str:
    """The group's only member, once it waits for a hook."""
    until(lambda: aws.states("example") == [state], "the hook")
    return str(aws.members("example")[0]["InstanceId"])


def test_a_group_launches_its_capacity_over_its_zones(aws: LittleAws, network: Network) -> None:
    aws.group("example", network, capacity=5)
    members = aws.settled("example", 5)
    assert sorted(Counter(member["AvailabilityZone"] for member in members).values()) == [1, 2, 2]
    assert {member["LaunchTemplate"]["Version"] for member in members} == {"1"}
    assert set(aws.machines.running) == {member["InstanceId"] for member in members}


def test_instances_follow_their_template_and_group(aws: LittleAws) -> None:
    network = aws.network()
    aws.role("node")
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "of", "Value": "disk"}]}]
    disk = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "VolumeType": "gp3", "Encrypted": True}}
    more = {"IamInstanceProfile": {"Name": "node"}, "TagSpecifications": tags, "BlockDeviceMappings": [disk]}
    aws.template("example", network.group, **more)
    tag = {"Key": "swarm.aws/group", "Value": "worker", "PropagateAtLaunch": True}
    aws.group("example", network, capacity=1, Tags=[tag])
    (member,) = aws.settled("example", 1)
    instance = aws.instance(member["InstanceId"])
    spec = aws.machines.running[member["InstanceId"]]
    assert instance["IamInstanceProfile"]["Arn"].endswith(":instance-profile/node")
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    assert [security_group["GroupId"] for security_group in instance["SecurityGroups"]] == [network.group]
    own = {entry["Key"]: entry["Value"] for entry in instance["Tags"]}
    assert own["swarm.aws/group"] == "worker"
    assert own["aws:autoscaling:groupName"] == "example"
    (mapping,) = instance["BlockDeviceMappings"]
    volume = aws.client("ec2").describe_volumes(VolumeIds=[mapping["Ebs"]["VolumeId"]])["Volumes"][0]
    assert (mapping["DeviceName"], volume["Size"], volume["Encrypted"]) == ("/dev/xvda", 20, True)
    assert volume["Tags"] == [{"Key": "of", "Value": "disk"}]
    assert (spec.private_ip, spec.public_ip) == (instance["PrivateIpAddress"], instance["PublicIpAddress"])
    assert spec.subnet_cidr == "127.20.0.0/24"


@pytest.mark.parametrize("way", ["host", "ec2", "autoscaling"])
def test_a_lost_instance_is_replaced_in_its_zone(aws: LittleAws, network: Network, way: str) -> None:
    aws.group("example", network)
    victim = aws.settled("example", 3)[1]["InstanceId"]
    autoscaling = aws.client("autoscaling")
    ways: dict[str, Callable[[], Any]] = {
        "host": lambda: aws.machines.terminate(victim),
        "ec2": lambda: aws.client("ec2").terminate_instances(InstanceIds=[victim]),
        "autoscaling": lambda: autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=victim, ShouldDecrementDesiredCapacity=False
        ),
    }
    ways[way]()
    until(lambda: len(aws.machines.launched) == 4, "a replacement")
    until(
        lambda: victim not in {member["InstanceId"] for member in aws.members("example")}, "the victim to be terminated"
    )
    assert len({member["AvailabilityZone"] for member in aws.settled("example", 3)}) == 3
    until(lambda: aws.instance(victim)["State"]["Name"] == "terminated", "the victim to be terminated")


def test_scaling_in_takes_the_oldest_template_of_the_fullest_zone(aws: LittleAws, network: Network) -> None:
    aws.group("example", network, capacity=3, TerminationPolicies=["OldestLaunchTemplate", "OldestInstance"])
    old = {member["InstanceId"] for member in aws.settled("example", 3)}
    aws.client("ec2").create_launch_template_version(
        LaunchTemplateName="example", SourceVersion="1", LaunchTemplateData={"ImageId": "ami-0deb1a13000000064"}
    )
    aws.desire("example", 4)
    members = aws.settled("example", 4)
    (new,) = [member for member in members if member["InstanceId"] not in old]
    assert new["LaunchTemplate"]["Version"] == "2"
    aws.desire("example", 3)
    until(lambda: len(aws.members("example")) == 3, "a smaller group")
    (gone,) = old - {member["InstanceId"] for member in aws.settled("example", 3)}
    assert aws.instance(gone)["Placement"]["AvailabilityZone"] == new["AvailabilityZone"]


def test_a_launch_waits_for_its_hook_and_is_repeated_after_abandon(aws: LittleAws, network: Network) -> None:
    aws.group("example", network, capacity=1, LifecycleHookSpecificationList=[hook("launching")])
    abandoned = waiting(aws)
    assert aws.instance(abandoned)["State"]["Name"] == "running"
    complete(aws, "launching", abandoned, "ABANDON")
    until(lambda: abandoned not in {member["InstanceId"] for member in aws.members("example")}, "its end")
    autoscaling, second = aws.client("autoscaling"), waiting(aws)
    activities = autoscaling.describe_scaling_activities(AutoScalingGroupName="example")["Activities"]
    assert "Failed" in {activity["StatusCode"] for activity in activities}
    autoscaling.record_lifecycle_action_heartbeat(
        AutoScalingGroupName="example", LifecycleHookName="launching", InstanceId=second
    )
    complete(aws, "launching", second)
    assert aws.settled("example", 1)[0]["InstanceId"] == second
    assert refused(lambda: complete(aws, "launching", second)) == "ValidationError"


def test_a_hook_without_a_heartbeat_gets_its_default_result(aws: LittleAws, network: Network) -> None:
    aws.group("example", network, capacity=1, LifecycleHookSpecificationList=[hook("launching"), hook("terminating")])
    instance_id = waiting(aws)
    complete(aws, "launching", instance_id)
    aws.settled("example", 1)
    aws.desire("example", 0)
    assert waiting(aws, "Terminating:Wait") == instance_id
    assert aws.instance(instance_id)["State"]["Name"] == "running"
    hurry("terminating", 0.1)
    until(lambda: not aws.members("example"), "the default result")
    assert not aws.machines.running

    hurry("launching", 0.1)
    aws.desire("example", 1)
    until(lambda: len(aws.machines.launched) >= 3, "several launches to be abandoned")


def test_an_instance_terminated_in_ec2_still_runs_its_hook(aws: LittleAws, network: Network) -> None:
    aws.group("example", network, capacity=1, LifecycleHookSpecificationList=[hook("terminating")])
    (member,) = aws.settled("example", 1)
    aws.client("ec2").terminate_instances(InstanceIds=[member["InstanceId"]])
    until(lambda: aws.states("example") == ["InService", "Terminating:Wait"], "its hook and its replacement")
    assert aws.instance(member["InstanceId"])["State"]["Name"] == "terminated"
    complete(aws, "terminating", member["InstanceId"])
    assert aws.settled("example", 1)[0]["InstanceId"] != member["InstanceId"]


def test_a_group_can_be_updated(aws: LittleAws, network: Network) -> None:
    aws.group("example", network, capacity=1, MaxSize=2)
    aws.settled("example", 1)
    autoscaling = aws.client("autoscaling")
    autoscaling.update_auto_scaling_group(AutoScalingGroupName="example", MinSize=2, DesiredCapacity=2)
    aws.settled("example", 2)
    assert refused(lambda: aws.desire("example", 3)) == "ValidationError"
    (group,) = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["example"])["AutoScalingGroups"]
    assert (group["MinSize"], group["MaxSize"], group["DesiredCapacity"]) == (2, 2, 2)


def test_spot_groups_launch_spot_instances(aws: LittleAws, network: Network) -> None:
    settings = mixed(OnDemandBaseCapacity=1, OnDemandPercentageAboveBaseCapacity=30)
    aws.group("example", network, capacity=5, **settings)
    instances = [aws.instance(member["InstanceId"]) for member in aws.settled("example", 5)]
    # 30 % of the four instances above the base are 1.2.
    assert sorted(
        (instance.get("InstanceLifecycle", "on-demand"), instance["InstanceType"]) for instance in instances
    ) == [
        *[("on-demand", "t3.medium")] * 3,
        ("spot", "t3.medium"),
        ("spot", "t3a.medium"),
    ]


def test_an_instance_at_risk_is_replaced_before_it_is_terminated(aws: LittleAws, network: Network) -> None:
    aws.group("example", network, 2, CapacityRebalance=True, LifecycleHookSpecificationList=[hook("launching")])
    until(lambda: aws.states("example") == ["Pending:Wait"] * 2, "the hooks")
    for member in aws.members("example"):
        complete(aws, "launching", member["InstanceId"])
    risky = aws.settled("example", 2)[0]["InstanceId"]
    aws.control("POST", f"rebalance?instance={risky}")
    until(lambda: aws.states("example") == ["InService", "InService", "Pending:Wait"], "the replacement to start")
    (new,) = [member["InstanceId"] for member in aws.members("example") if member["LifecycleState"] == "Pending:Wait"]
    complete(aws, "launching", new)
    until(
        lambda: risky not in {member["InstanceId"] for member in aws.members("example")},
        "the instance at risk to be terminated",
    )
    assert new in {member["InstanceId"] for member in aws.settled("example", 2)}


def test_a_larger_group_starts_stopped_instances_of_its_warm_pool(aws: LittleAws, network: Network) -> None:
    aws.group("example", network, 1, LifecycleHookSpecificationList=[hook("launching")])
    autoscaling = aws.client("autoscaling")

    def pool() -> dict[str, str]:
        found = autoscaling.describe_warm_pool(AutoScalingGroupName="example")["Instances"]
        return {member["InstanceId"]: member["LifecycleState"] for member in found}

    complete(aws, "launching", waiting(aws))
    aws.settled("example", 1)
    autoscaling.put_warm_pool(AutoScalingGroupName="example", MinSize=1, MaxGroupPreparedCapacity=1)
    until(lambda: list(pool().values()) == ["Warmed:Pending:Wait"], "the hook on the way into the pool")
    (warmed,) = pool()
    complete(aws, "launching", warmed)
    until(lambda: pool() == {warmed: "Warmed:Stopped"}, "the instance to be stopped")
    until(lambda: aws.instance(warmed)["State"]["Name"] == "stopped", "EC2 to say so")
    assert warmed in aws.machines.stopped
    assert len(aws.settled("example", 1)) == 1
    launched = aws.instance(warmed)["LaunchTime"]

    aws.desire("example", 2)
    until(lambda: aws.states("example") == ["InService", "Pending:Wait"], "the hook on the way into service")
    assert warmed in aws.machines.running
    assert aws.instance(warmed)["LaunchTime"] >= launched
    complete(aws, "launching", warmed)
    assert warmed in {member["InstanceId"] for member in aws.settled("example", 2)}
    until(lambda: list(pool().values()) == ["Warmed:Pending:Wait"], "another warm instance")

    autoscaling.delete_warm_pool(AutoScalingGroupName="example")
    assert refused(lambda: autoscaling.put_warm_pool(AutoScalingGroupName="example")) == "ScalingActivityInProgress"
    until(lambda: not pool(), "the pool to be deleted")
    (group,) = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    assert "WarmPoolConfiguration" not in group
    assert len(aws.machines.running) == 2


def test_deleting_a_group_terminates_its_instances(aws: LittleAws, network: Network) -> None:
    aws.group("example", network, LifecycleHookSpecificationList=[hook("terminating")])
    aws.settled("example", 3)
    autoscaling = aws.client("autoscaling")
    assert refused(autoscaling.delete_auto_scaling_group, AutoScalingGroupName="example") == "ResourceInUse"
    autoscaling.delete_auto_scaling_group(AutoScalingGroupName="example", ForceDelete=True)
    until(lambda: not autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"], "the group to be deleted")
    assert not aws.machines.running


def test_groups_are_found_by_their_tags(aws: LittleAws, network: Network) -> None:
    tag = {"Key": "swarm.aws/cluster", "Value": "first", "PropagateAtLaunch": True}
    aws.group("example", network, capacity=0, Tags=[tag])
    autoscaling = aws.client("autoscaling")

    def named(value: str) -> list[str]:
        wanted = [{"Name": "tag:swarm.aws/cluster", "Values": [value]}]
        found = autoscaling.describe_auto_scaling_groups(Filters=wanted)["AutoScalingGroups"]
        return [group["AutoScalingGroupName"] for group in found]

    assert named("first") == ["example"]
    assert named("other") == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"MinSize": 3, "MaxSize": 2}, "Max bound"),
        ({"DesiredCapacity": 10}, "Desired capacity"),
        ({"VPCZoneIdentifier": "subnet-0123456789abcdef0"}, "subnet"),
        ({"LaunchTemplate": {"LaunchTemplateName": "other", "Version": "1"}}, "launch template"),
        (mixed(OnDemandPercentageAboveBaseCapacity=101), "between 0 and 100"),
        (mixed(OnDemandBaseCapacity=-1), "must not be negative"),
        (mixed(SpotAllocationStrategy="cheapest"), "cheapest is not a supported"),
    ],
)
def test_a_group_with_invalid_settings_is_refused(
    aws: LittleAws, network: Network, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(aws.client("autoscaling").exceptions.ClientError, match=said):
        aws.group("example", network, **change)
    assert not aws.members("example")
