"""The lab's account profile: chosen when a lab is made, and what the strict account does that the kind does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab import cli, state
from lab.aws.account import KIND, PROFILES
from lab.errors import LabError
from tests.unit.lab.fakes import ACCOUNT_ID, EC2_TRUST, REGION, LittleAws, allow, document, little_aws, refused, until

HTTP = pytest.mark.real("a server: the lab's AWS is what its clients are answered over HTTP")
TRUST = json.dumps(EC2_TRUST)
CLUSTER = [{"Key": "swarm.aws/cluster", "Value": "example"}]


@pytest.fixture
def slow() -> Iterator[LittleAws]:
    """An account that is slow to show what is new, and slower to forget what is gone."""
    with little_aws(replace(KIND, visible_seconds=0.5, linger_seconds=1)) as account:
        yield account


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(state, "HOME", tmp_path)
    return tmp_path


def test_a_new_lab_is_strict_and_keeps_its_account(home: Path) -> None:
    assert (state.claim("lab").account, state.claim("lab").seed) == ("strict", 1)
    kind = state.claim("other", "kind", 7)
    assert state.claim("other") == state.find("other") == kind
    assert (kind.account, kind.seed) == ("kind", 7)


@pytest.mark.parametrize("asked", [("kind", None), (None, 2)])
def test_another_account_for_a_lab_that_exists_is_refused(home: Path, asked: tuple[str | None, int | None]) -> None:
    state.claim("lab")
    with pytest.raises(LabError, match=r"has the account 'strict' with the seed 1.*lab down --name lab"):
        state.claim("lab", *asked)


def test_the_command_line_has_the_names_of_the_profiles() -> None:
    assert {name.value for name in cli.AccountName} == set(PROFILES)


@HTTP
def test_a_new_queue_is_missing_at_first_and_lingers_when_deleted(slow: LittleAws) -> None:
    sqs, none = slow.client("sqs"), "AWS.SimpleQueueService.NonExistentQueue"
    url = sqs.create_queue(QueueName="example", tags={"swarm.aws/cluster": "example"})["QueueUrl"]
    assert refused(sqs.get_queue_url, QueueName="example") == none
    assert refused(sqs.set_queue_attributes, QueueUrl=url, Attributes={"VisibilityTimeout": "7"}) == none
    until(lambda: not hidden(sqs.get_queue_url, QueueName="example"), "the queue to be visible")
    asked = {"QueueUrl": url, "AttributeNames": ["All"]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "7"})
    assert sqs.get_queue_attributes(**asked)["Attributes"]["VisibilityTimeout"] == "30"
    until(lambda: sqs.get_queue_attributes(**asked)["Attributes"]["VisibilityTimeout"] == "7", "the attribute")
    sqs.delete_queue(QueueUrl=url)
    tagging = slow.client("resourcegroupstaggingapi")
    assert sqs.list_queues()["QueueUrls"] == [url]
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"swarm.aws/cluster": "example"}
    assert len(tagging.get_resources()["ResourceTagMappingList"]) == 1
    assert refused(sqs.create_queue, QueueName="example") == "AWS.SimpleQueueService.QueueDeletedRecently"
    until(lambda: "QueueUrls" not in sqs.list_queues(), "the queue to be gone")
    assert tagging.get_resources()["ResourceTagMappingList"] == []
    sqs.create_queue(QueueName="example")


@HTTP
def test_a_deleted_bucket_is_still_listed_and_its_name_refused(slow: LittleAws) -> None:
    s3 = slow.client("s3")
    made = {"Bucket": "example", "CreateBucketConfiguration": {"LocationConstraint": REGION}}
    s3.create_bucket(**made)
    s3.delete_bucket(Bucket="example")
    s3.head_bucket(Bucket="example")
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["example"]
    assert refused(s3.get_bucket_tagging, Bucket="example") == "NoSuchBucket"
    assert refused(s3.create_bucket, **made) == "OperationAborted"
    until(lambda: not s3.list_buckets()["Buckets"], "the bucket to be gone")
    s3.create_bucket(**made)


@HTTP
def test_roles_and_profiles_appear_late_and_linger(slow: LittleAws) -> None:
    iam = slow.client("iam")
    iam.create_role(RoleName="example", AssumeRolePolicyDocument=TRUST)
    policy = {"RoleName": "example", "PolicyName": "own", "PolicyDocument": document(allow("s3:GetObject"))}
    assert refused(iam.put_role_policy, **policy) == "NoSuchEntity"
    iam.create_instance_profile(InstanceProfileName="example")
    assert refused(iam.get_instance_profile, InstanceProfileName="example") == "NoSuchEntity"
    until(lambda: not hidden(iam.get_instance_profile, InstanceProfileName="example"), "the profile to be visible")
    iam.get_role(RoleName="example")
    iam.delete_instance_profile(InstanceProfileName="example")
    iam.delete_role(RoleName="example")
    assert [profile["InstanceProfileName"] for profile in iam.list_instance_profiles()["InstanceProfiles"]]
    assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == ["example"]
    assert refused(iam.list_role_policies, RoleName="example") == "NoSuchEntity"
    until(lambda: not iam.list_roles()["Roles"], "the role to be gone")


@HTTP
def test_a_group_cannot_use_an_instance_profile_that_is_new(slow: LittleAws) -> None:
    network = slow.network()
    slow.client("iam").create_instance_profile(InstanceProfileName="example")
    slow.template("example", network.group, IamInstanceProfile={"Name": "example"})
    assert refused(slow.group, name="example", network=network, capacity=0) == "ValidationError"
    until(lambda: not hidden(slow.group, name="example", network=network, capacity=0), "the profile to be visible")


@HTTP
def test_a_new_key_and_a_new_security_group_are_not_found(slow: LittleAws) -> None:
    kms, ec2 = slow.client("kms"), slow.client("ec2")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    assert refused(kms.describe_key, KeyId=key) == "NotFoundException"
    assert refused(kms.create_alias, AliasName="alias/example", TargetKeyId=key) == "NotFoundException"
    until(lambda: not hidden(kms.describe_key, KeyId=key), "the key to be visible")
    kms.create_alias(AliasName="alias/example", TargetKeyId=key)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName="example", Description="-", VpcId=vpc)["GroupId"]
    assert refused(ec2.describe_security_groups, GroupIds=[group]) == "InvalidGroup.NotFound"
    until(lambda: not hidden(ec2.describe_security_groups, GroupIds=[group]), "the group to be visible")


@HTTP
def test_policies_are_returned_normalized_except_by_iam() -> None:
    with little_aws(replace(KIND, normalized_policies=True)) as aws:
        statement = {**allow("sqs:SendMessage", on=["*"]), "Principal": {"AWS": [ACCOUNT_ID, "*"]}}
        given = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        returned = {**statement, "Action": "sqs:SendMessage", "Resource": "*", "Principal": {"AWS": ["*", ACCOUNT_ID]}}
        s3, sqs, sns, kms, iam = (aws.client(service) for service in ("s3", "sqs", "sns", "kms", "iam"))
        s3.create_bucket(Bucket="example", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_policy(Bucket="example", Policy=given)
        url = sqs.create_queue(QueueName="example", Attributes={"Policy": given})["QueueUrl"]
        topic = sns.create_topic(Name="example", Attributes={"Policy": given})["TopicArn"]
        key = kms.create_key(Policy=given)["KeyMetadata"]["KeyId"]
        found = [
            s3.get_bucket_policy(Bucket="example")["Policy"],
            sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"],
            sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"],
            kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"],
        ]
        assert [json.loads(policy)["Statement"] for policy in found] == [[returned]] * 4
        aws.role("example", allow("s3:GetObject"))
        kept = iam.get_role_policy(RoleName="example", PolicyName="swarm")["PolicyDocument"]
        assert kept["Statement"][0]["Action"] == ["s3:GetObject"]


@HTTP
def test_a_second_change_of_a_group_or_rule_is_refused_for_a_moment() -> None:
    with little_aws(replace(KIND, busy_seconds=1)) as aws:
        network, events = aws.network(), aws.client("events")
        aws.template("example", network.group)
        aws.group("example", network, 0)
        scaling, group = aws.client("autoscaling"), {"AutoScalingGroupName": "example"}
        assert refused(scaling.set_desired_capacity, **group, DesiredCapacity=1) == "ScalingActivityInProgress"
        metrics = {"Metrics": ["GroupDesiredCapacity"], "Granularity": "1Minute"}
        assert refused(scaling.enable_metrics_collection, **group, **metrics) == "ResourceContention"
        until(lambda: not hidden(scaling.set_desired_capacity, **group, DesiredCapacity=1), "the group to be free")
        events.put_rule(Name="example", EventPattern="{}")
        targets = {"Rule": "example", "Targets": [{"Id": "1", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:example"}]}
        assert refused(events.put_targets, **targets) == "ConcurrentModificationException"
        until(lambda: not hidden(events.put_targets, **targets), "the rule to be free")


@HTTP
def test_a_call_with_too_many_filter_values_is_refused() -> None:
    with little_aws(replace(KIND, filter_values=3)) as aws:
        filters = [{"Name": "instance-id", "Values": ["i-1", "i-2"]}, {"Name": "vpc-id", "Values": ["vpc-1", "vpc-2"]}]
        assert refused(aws.client("ec2").describe_instances, Filters=filters) == "FilterLimitExceeded"
        aws.client("ec2").describe_instances(Filters=filters[:1])


@HTTP
def test_the_seed_decides_which_calls_are_throttled() -> None:
    def calls(seed: int) -> list[str]:
        with little_aws(replace(KIND, throttled=0.5, seed=seed), attempts=1) as aws:
            return [hidden(aws.client("ec2").describe_vpcs) for _ in range(20)]

    first = calls(1)
    assert set(first) == {"", "RequestLimitExceeded"}
    assert (first == calls(1), first == calls(2)) == (True, False)


def hidden(call: Any, **arguments: Any) -> str:
    """The error code of a call, or an empty string."""
    try:
        return refused(call, **arguments)
    except AssertionError:
        return ""
