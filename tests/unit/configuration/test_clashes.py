"""Two clusters never touch each other, and a cluster nothing that is not its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.names import resource_names
from ansible_collections.swarm.aws.plugins.module_utils.account.clashes import clashes
from ansible_collections.swarm.aws.plugins.module_utils.aws.session import Aws

from tests.unit.account.account import ACCOUNT_ID, REGION, Account, account

QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:"
Make = Callable[[Aws, dict[str, str]], object]


def cluster(name: str, *groups: str) -> dict[str, Any]:
    return {
        "cluster_name": name,
        "account_id": ACCOUNT_ID,
        "region": REGION,
        "names": resource_names(name, ACCOUNT_ID, REGION),
        "node_groups": [{"name": group} for group in groups],
    }


POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": QUEUE + "prod-events"}
    ],
}
PROD = cluster("prod", "eu-manager")


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def key(aws: Aws, tags: dict[str, str]) -> None:
    tag_list = [{"TagKey": name, "TagValue": value} for name, value in tags.items()]
    made = aws.kms.create_key(Tags=tag_list)["KeyMetadata"]["KeyId"]
    aws.kms.create_alias(AliasName="alias/prod-swarm", TargetKeyId=made)


def bucket(aws: Aws, tags: dict[str, str]) -> None:
    name = PROD["names"]["bucket"]
    aws.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    aws.s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": listed(tags)})


def queue(aws: Aws, tags: dict[str, str]) -> None:
    aws.sqs.create_queue(QueueName="prod-events", tags=tags, Attributes={"Policy": json.dumps(POLICY)})


def template(aws: Aws, tags: dict[str, str]) -> None:
    aws.ec2.create_launch_template(
        LaunchTemplateName="prod-eu-manager",
        LaunchTemplateData={"InstanceType": "t3.small"},
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": listed(tags)}] if tags else [],
    )


def group(aws: Aws, tags: dict[str, str]) -> None:
    template(aws, {"swarm.aws/cluster": "prod"})
    vpc = aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = aws.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    aws.autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="prod-eu-manager",
        LaunchTemplate={"LaunchTemplateName": "prod-eu-manager", "Version": "1"},
        MinSize=0,
        MaxSize=0,
        VPCZoneIdentifier=subnet,
        Tags=[{**tag, "PropagateAtLaunch": False} for tag in listed(tags)],
    )


MADE: dict[str, Make] = {
    "IAM role prod-manager": lambda aws, tags: aws.iam.create_role(
        RoleName="prod-manager", AssumeRolePolicyDocument="{}", Tags=listed(tags)
    ),
    "instance profile prod-worker": lambda aws, tags: aws.iam.create_instance_profile(
        InstanceProfileName="prod-worker", Tags=listed(tags)
    ),
    "launch template prod-eu-manager": template,
    "Auto Scaling group prod-eu-manager": group,
    "queue prod-events": queue,
    "bucket prod-swarm-123456789012-eu-west-1": bucket,
    "KMS key alias/prod-swarm": key,
    "secret prod-unlock-keys": lambda aws, tags: aws.secretsmanager.create_secret(
        Name="prod-unlock-keys", Tags=listed(tags)
    ),
    "topic prod-alarms": lambda aws, tags: aws.sns.create_topic(Name="prod-alarms", Tags=listed(tags)),
    "log group /swarm/prod": lambda aws, tags: aws.logs.create_log_group(logGroupName="/swarm/prod", tags=tags),
}
EVERY = pytest.mark.parametrize("what", MADE)


@pytest.fixture
def world() -> Iterator[Account]:
    with account() as made:
        yield made


def test_nothing_clashes_in_an_empty_account(world: Account) -> None:
    assert list(clashes(world.aws, PROD)) == []


@EVERY
def test_what_is_another_clusters_is_named(world: Account, what: str) -> None:
    MADE[what](world.aws, {"swarm.aws/cluster": "prod-eu"})
    (sentence,) = clashes(world.aws, PROD)
    assert sentence.startswith(f"The {what} is there already and belongs to the cluster 'prod-eu', ")


@EVERY
def test_what_is_nobodys_is_named_but_for_the_bucket_whose_name_says_it(world: Account, what: str) -> None:
    MADE[what](world.aws, {} if what.startswith(("log", "queue")) else {"team": "blue"})
    sentences = list(clashes(world.aws, PROD))
    if what.startswith("bucket"):
        assert sentences == []
    else:
        assert [one.split(", ")[0] for one in sentences] == [
            f"The {what} is there already and has no tag swarm.aws/cluster"
        ]


@EVERY
def test_what_is_its_own_is_no_clash(world: Account, what: str) -> None:
    MADE[what](world.aws, {"swarm.aws/cluster": "prod"})
    assert list(clashes(world.aws, PROD)) == []


def test_a_queue_that_was_made_and_not_yet_tagged_when_a_run_was_killed_is_taken(world: Account) -> None:
    url = world.aws.sqs.create_queue(QueueName="prod-events")["QueueUrl"]
    assert list(clashes(world.aws, PROD)) == []
    world.aws.sqs.send_message(QueueUrl=url, MessageBody="somebody uses it")
    assert len(list(clashes(world.aws, PROD))) == 1


def test_an_event_rule_is_the_clusters_if_it_feeds_no_other_queue(world: Account) -> None:
    world.aws.events.put_rule(Name="prod-events", EventPattern='{"source": ["aws.ec2"]}')
    assert list(clashes(world.aws, PROD)) == []
    for name, clash in (("prod-events", 0), ("orders", 1)):
        world.aws.events.put_targets(Rule="prod-events", Targets=[{"Id": name, "Arn": QUEUE + name}])
        assert len(list(clashes(world.aws, PROD))) == clash
