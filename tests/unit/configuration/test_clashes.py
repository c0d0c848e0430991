"""Two clusters never touch each other, and a cluster nothing that is not its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.names import resource_names
from ansible_collections.swarm.aws.plugins.module_utils.account.name_clashes import clashes
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.plugins.module_utils.aws.tags import specification, to_list

from tests.unit.account.account import ACCOUNT_ID, REGION, Account, account

QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:"


POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": QUEUE + "prod-events"}
    ],
}
PROD = {
    "cluster_name": "prod",
    "account_id": ACCOUNT_ID,
    "region": REGION,
    "names": resource_names("prod", ACCOUNT_ID, REGION),
    "node_groups": [{"name": "eu-manager"}],
    "network": None,
}


def key(aws: AwsSession, tags: dict[str, str]) -> None:
    tag_list = [{"TagKey": name, "TagValue": value} for name, value in tags.items()]
    made = aws.client("kms").create_key(Tags=tag_list)["KeyMetadata"]["KeyId"]
    aws.client("kms").create_alias(AliasName="alias/prod-swarm", TargetKeyId=made)


def bucket(aws: AwsSession, tags: dict[str, str]) -> None:
    name = PROD["names"]["bucket"]
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    aws.client("s3").put_bucket_tagging(Bucket=name, Tagging={"TagSet": to_list(tags)})


def queue(aws: AwsSession, tags: dict[str, str]) -> None:
    aws.client("sqs").create_queue(QueueName="prod-events", tags=tags, Attributes={"Policy": json.dumps(POLICY)})


def template(aws: AwsSession, tags: dict[str, str]) -> None:
    aws.client("ec2").create_launch_template(
        LaunchTemplateName="prod-eu-manager",
        LaunchTemplateData={"InstanceType": "t3.small"},
        TagSpecifications=specification("launch-template", tags) if tags else [],
    )


def group(aws: AwsSession, tags: dict[str, str]) -> None:
    template(aws, {"swarm.aws/cluster": "prod"})
    vpc = aws.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = aws.client("ec2").create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    aws.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="prod-eu-manager",
        LaunchTemplate={"LaunchTemplateName": "prod-eu-manager", "Version": "1"},
        MinSize=0,
        MaxSize=0,
        VPCZoneIdentifier=subnet,
        Tags=[{**tag, "PropagateAtLaunch": False} for tag in to_list(tags)],
    )


MADE: dict[str, Callable[[AwsSession, dict[str, str]], object]] = {
    "IAM role prod-manager": lambda aws, tags: aws.client("iam").create_role(
        RoleName="prod-manager", AssumeRolePolicyDocument="{}", Tags=to_list(tags)
    ),
    "instance profile prod-worker": lambda aws, tags: aws.client("iam").create_instance_profile(
        InstanceProfileName="prod-worker", Tags=to_list(tags)
    ),
    "launch template prod-eu-manager": template,
    "Auto Scaling group prod-eu-manager": group,
    "queue prod-events": queue,
    "bucket prod-swarm-123456789012-eu-west-1": bucket,
    "KMS key alias/prod-swarm": key,
    "secret prod-unlock-keys": lambda aws, tags: aws.client("secretsmanager").create_secret(
        Name="prod-unlock-keys", Tags=to_list(tags)
    ),
    "topic prod-alarms": lambda aws, tags: aws.client("sns").create_topic(Name="prod-alarms", Tags=to_list(tags)),
    "log group /swarm/prod": lambda aws, tags: aws.client("logs").create_log_group(
        logGroupName="/swarm/prod", tags=tags
    ),
}


@pytest.fixture
def world() -> Iterator[Account]:
    with account() as made:
        yield made


@pytest.mark.parametrize("what", MADE)
@pytest.mark.parametrize(
    ("tags", "whose"),
    [
        ({"swarm.aws/cluster": "prod-eu"}, "belongs to the cluster 'prod-eu'"),
        ({}, "has no tag swarm.aws/cluster"),
        ({"swarm.aws/cluster": "prod"}, ""),
    ],
)
def test_a_resource_of_somebody_else_is_named(world: Account, what: str, tags: dict[str, str], whose: str) -> None:
    MADE[what](world.aws, tags)
    # Without a tag the bucket's name says whose it is.
    named = whose and (tags or not what.startswith("bucket"))
    sentences = [clash.partition(", ")[0] for clash in clashes(world.aws, PROD)]
    assert sentences == ([f"The {what} already exists and {whose}"] if named else [])


def test_a_security_group_of_somebody_else_in_an_existing_vpc_is_named(world: Account) -> None:
    ec2 = world.aws.client("ec2")
    vpcs = [ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"] for cidr in ("10.80.0.0/16", "10.81.0.0/16")]
    ec2.create_security_group(GroupName="prod-member", Description="theirs", VpcId=vpcs[0])
    inside = [{**PROD, "network": {"vpc_id": vpc}} for vpc in vpcs]
    (sentence,) = clashes(world.aws, inside[0])
    assert sentence.startswith("The security group prod-member already exists and has no tag swarm.aws/cluster")
    assert list(clashes(world.aws, inside[1])) == []


def test_an_untagged_unused_queue_of_a_killed_run_is_adopted(world: Account) -> None:
    url = world.aws.client("sqs").create_queue(QueueName="prod-events")["QueueUrl"]
    assert list(clashes(world.aws, PROD)) == []
    world.aws.client("sqs").send_message(QueueUrl=url, MessageBody="somebody uses it")
    assert len(list(clashes(world.aws, PROD))) == 1


def test_an_event_rule_that_feeds_another_queue_is_a_clash(world: Account) -> None:
    world.aws.client("events").put_rule(Name="prod-events", EventPattern='{"source": ["aws.ec2"]}')
    assert list(clashes(world.aws, PROD)) == []
    for name, clash in (("prod-events", 0), ("orders", 1)):
        world.aws.client("events").put_targets(Rule="prod-events", Targets=[{"Id": name, "Arn": QUEUE + name}])
        assert len(list(clashes(world.aws, PROD))) == clash
