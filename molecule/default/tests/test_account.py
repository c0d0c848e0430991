"""The resources that need instances; tests/unit/roles tests the others."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

CLUSTER = "example"
MINE = [{"Name": "tag:swarm.aws/cluster", "Values": [CLUSTER]}]
GROUPS = ("manager", "worker")


@pytest.fixture(scope="module")
def aws() -> boto3.session.Session:
    return boto3.session.Session()


def groups(aws: boto3.session.Session) -> dict[str, dict[str, Any]]:
    """The node groups' Auto Scaling groups, by the node groups' names."""
    names = [f"{CLUSTER}-{name}" for name in GROUPS]
    found = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=names)["AutoScalingGroups"]
    return {group["AutoScalingGroupName"].removeprefix(f"{CLUSTER}-"): group for group in found}


def test_network_has_a_subnet_in_each_zone(aws: boto3.session.Session) -> None:
    subnets = aws.client("ec2").describe_subnets(Filters=MINE)["Subnets"]
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == len(subnets) == 3
    assert len({subnet["VpcId"] for subnet in subnets}) == 1


def test_network_blocks_the_swarms_ports_from_outside(aws: boto3.session.Session) -> None:
    for group in aws.client("ec2").describe_security_groups(Filters=MINE)["SecurityGroups"]:
        for rule in group["IpPermissions"]:
            if rule.get("FromPort") in (2377, 7946, 4789):
                assert rule["IpRanges"] == rule["Ipv6Ranges"] == []
                assert rule["UserIdGroupPairs"]


@pytest.mark.parametrize("name", GROUPS)
def test_groups_require_imdsv2_and_encrypted_disks(aws: boto3.session.Session, name: str) -> None:
    template = groups(aws)[name]["LaunchTemplate"]
    (version,) = aws.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=template["LaunchTemplateId"], Versions=["$Latest"]
    )["LaunchTemplateVersions"]
    data = version["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert all(mapping["Ebs"]["Encrypted"] for mapping in data["BlockDeviceMappings"])


def test_groups_have_a_manager_in_each_zone_and_hooks(aws: boto3.session.Session) -> None:
    found = groups(aws)
    assert len(found["manager"]["AvailabilityZones"]) == found["manager"]["DesiredCapacity"] == 3
    for group in found.values():
        hooks = aws.client("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=group["AutoScalingGroupName"])
        assert len(hooks["LifecycleHooks"]) == 2
