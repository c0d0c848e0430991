"""What the roles have made in the account, and what the instances are like before any stack."""

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
    return {one["AutoScalingGroupName"].removeprefix(f"{CLUSTER}-"): one for one in found}


def test_network_a_subnet_in_each_zone(aws: boto3.session.Session) -> None:
    subnets = aws.client("ec2").describe_subnets(Filters=MINE)["Subnets"]
    assert len({one["AvailabilityZone"] for one in subnets}) == len(subnets) == 3
    assert len({one["VpcId"] for one in subnets}) == 1


def test_network_nobody_reaches_the_swarms_ports_from_outside(aws: boto3.session.Session) -> None:
    for group in aws.client("ec2").describe_security_groups(Filters=MINE)["SecurityGroups"]:
        for rule in group["IpPermissions"]:
            if rule.get("FromPort") in (2377, 7946, 4789):
                assert rule["IpRanges"] == rule["Ipv6Ranges"] == []
                assert rule["UserIdGroupPairs"]


def test_discovery_a_bucket_that_is_private_versioned_and_encrypted(aws: boto3.session.Session) -> None:
    s3 = aws.client("s3")
    (bucket,) = [one["Name"] for one in s3.list_buckets()["Buckets"] if one["Name"].startswith(f"{CLUSTER}-swarm-")]
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_events_a_queue_with_one_for_what_nobody_can_read(aws: boto3.session.Session) -> None:
    queues = [one.rsplit("/", 1)[1] for one in aws.client("sqs").list_queues(QueueNamePrefix=CLUSTER)["QueueUrls"]]
    assert sorted(queues) == [f"{CLUSTER}-events", f"{CLUSTER}-events-dead"]


@pytest.mark.parametrize("name", GROUPS)
def test_iam_a_role_and_its_profile(aws: boto3.session.Session, name: str) -> None:
    profile = aws.client("iam").get_instance_profile(InstanceProfileName=f"{CLUSTER}-{name}")["InstanceProfile"]
    assert [role["RoleName"] for role in profile["Roles"]] == [f"{CLUSTER}-{name}"]


@pytest.mark.parametrize("name", GROUPS)
def test_groups_instances_that_hide_their_credentials_and_encrypt_their_disks(
    aws: boto3.session.Session, name: str
) -> None:
    template = groups(aws)[name]["LaunchTemplate"]
    (version,) = aws.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=template["LaunchTemplateId"], Versions=["$Latest"]
    )["LaunchTemplateVersions"]
    data = version["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert all(one["Ebs"]["Encrypted"] for one in data["BlockDeviceMappings"])


def test_groups_a_manager_in_each_zone_and_hooks_on_every_group(aws: boto3.session.Session) -> None:
    found = groups(aws)
    assert len(found["manager"]["AvailabilityZones"]) == found["manager"]["DesiredCapacity"] == 3
    for group in found.values():
        hooks = aws.client("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=group["AutoScalingGroupName"])
        assert len(hooks["LifecycleHooks"]) == 2
