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
from lab.aws.strict import consistency, limits
from lab.errors import LabError
from tests.unit.lab.fakes import ACCOUNT_ID, EC2_TRUST, REGION, LittleAws, allow, document, little_aws, refused

HTTP = pytest.mark.real("a server: the lab's AWS is what its clients are answered over HTTP")
TRUST = json.dumps(EC2_TRUST)
CLUSTER = [{"Key": "swarm.aws/cluster", "Value": "example"}]


class Clock:
    """The strict account's, which passes only in :meth:`sleep`."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (consistency, limits):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def slow(clock: Clock) -> Iterator[LittleAws]:
    """An account that shows what is new after 2 s and forgets what is gone after 60."""
    with little_aws(replace(KIND, service_role=False, visible_seconds=2, linger_seconds=60)) as account:
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


def test_a_lab_of_a_newer_checkout_is_listed(home: Path) -> None:
    newer = state.claim("newer")
    (newer.folder / "lab.json").write_text('{"name": "newer", "slot": 0, "account": "strict", "seed": 1, "color": "x"}')
    assert state.labs() == [newer]


def test_a_lab_keeps_the_kind_of_its_instances(home: Path) -> None:
    assert state.claim("lab").kernel == "container"
    own = state.claim("other", kernel="own")
    assert own.kernel == "own"
    assert state.claim("other") == own


@pytest.mark.parametrize("asked", [("kind",), (None, 2), (None, None, "own")])
def test_another_account_for_a_lab_that_exists_is_refused(home: Path, asked: tuple[Any, ...]) -> None:
    state.claim("lab")
    with pytest.raises(LabError, match=r"the account 'strict' with the seed 1 and the kernel 'container'.*lab down"):
        state.claim("lab", *asked)


def test_the_command_line_has_the_names_of_the_profiles() -> None:
    assert {name.value for name in cli.AccountName} == set(PROFILES)


@HTTP
def test_a_new_queue_is_missing_at_first_and_lingers_when_deleted(slow: LittleAws, clock: Clock) -> None:
    sqs, none = slow.client("sqs"), "AWS.SimpleQueueService.NonExistentQueue"
    url = sqs.create_queue(QueueName="example", tags={"swarm.aws/cluster": "example"})["QueueUrl"]
    assert refused(sqs.get_queue_url, QueueName="example") == none
    assert refused(sqs.set_queue_attributes, QueueUrl=url, Attributes={"VisibilityTimeout": "7"}) == none
    clock.sleep(2)
    assert sqs.get_queue_url(QueueName="example")["QueueUrl"] == url
    asked = {"QueueUrl": url, "AttributeNames": ["All"]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "7"})
    assert sqs.get_queue_attributes(**asked)["Attributes"]["VisibilityTimeout"] == "30"
    clock.sleep(2)
    assert sqs.get_queue_attributes(**asked)["Attributes"]["VisibilityTimeout"] == "7"
    sqs.delete_queue(QueueUrl=url)
    tagging = slow.client("resourcegroupstaggingapi")
    assert sqs.list_queues()["QueueUrls"] == [url]
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"swarm.aws/cluster": "example"}
    assert len(tagging.get_resources()["ResourceTagMappingList"]) == 1
    assert refused(sqs.create_queue, QueueName="example") == "AWS.SimpleQueueService.QueueDeletedRecently"
    clock.sleep(60)
    assert "QueueUrls" not in sqs.list_queues()
    assert tagging.get_resources()["ResourceTagMappingList"] == []
    sqs.create_queue(QueueName="example")


@HTTP
def test_a_deleted_bucket_is_still_listed_and_its_name_refused(slow: LittleAws, clock: Clock) -> None:
    s3 = slow.client("s3")
    made = {"Bucket": "example", "CreateBucketConfiguration": {"LocationConstraint": REGION}}
    s3.create_bucket(**made)
    s3.delete_bucket(Bucket="example")
    s3.head_bucket(Bucket="example")
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["example"]
    assert refused(s3.get_bucket_tagging, Bucket="example") == "NoSuchBucket"
    clock.sleep(2)
    assert refused(s3.head_bucket, Bucket="example") == "404"
    assert refused(s3.create_bucket, **made) == "OperationAborted"
    clock.sleep(60)
    assert not s3.list_buckets()["Buckets"]
    s3.create_bucket(**made)


@HTTP
def test_roles_and_profiles_appear_late_and_linger(slow: LittleAws, clock: Clock) -> None:
    iam = slow.client("iam")
    iam.create_role(RoleName="example", AssumeRolePolicyDocument=TRUST)
    policy = {"RoleName": "example", "PolicyName": "own", "PolicyDocument": document(allow("s3:GetObject"))}
    assert refused(iam.put_role_policy, **policy) == "NoSuchEntity"
    iam.create_instance_profile(InstanceProfileName="example")
    assert refused(iam.get_instance_profile, InstanceProfileName="example") == "NoSuchEntity"
    clock.sleep(2)
    iam.get_role(RoleName="example")
    iam.delete_instance_profile(InstanceProfileName="example")
    iam.delete_role(RoleName="example")
    assert len(iam.list_instance_profiles()["InstanceProfiles"]) == len(iam.list_roles()["Roles"]) == 1
    assert refused(iam.list_role_policies, RoleName="example") == "NoSuchEntity"
    clock.sleep(60)
    assert (iam.list_instance_profiles()["InstanceProfiles"], iam.list_roles()["Roles"]) == ([], [])


@HTTP
def test_a_group_cannot_use_an_instance_profile_that_is_new(slow: LittleAws, clock: Clock) -> None:
    network = slow.network()
    slow.client("iam").create_instance_profile(InstanceProfileName="example")
    slow.template("example", network.group, IamInstanceProfile={"Name": "example"})
    assert refused(slow.group, name="example", network=network, capacity=0) == "ValidationError"
    clock.sleep(2)
    slow.group("example", network, 0)


@HTTP
def test_a_new_key_and_a_new_security_group_are_not_found(slow: LittleAws, clock: Clock) -> None:
    kms, ec2 = slow.client("kms"), slow.client("ec2")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    assert refused(kms.describe_key, KeyId=key) == "NotFoundException"
    assert refused(kms.create_alias, AliasName="alias/example", TargetKeyId=key) == "NotFoundException"
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName="example", Description="-", VpcId=vpc)["GroupId"]
    assert refused(ec2.describe_security_groups, GroupIds=[group]) == "InvalidGroup.NotFound"
    clock.sleep(2)
    kms.create_alias(AliasName="alias/example", TargetKeyId=key)
    ec2.describe_security_groups(GroupIds=[group])


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
def test_a_second_change_of_a_group_or_rule_is_refused_for_a_moment(clock: Clock) -> None:
    with little_aws(replace(KIND, busy_seconds=1)) as aws:
        network, events = aws.network(), aws.client("events")
        aws.template("example", network.group)
        aws.group("example", network, 0)
        scaling, group = aws.client("autoscaling"), {"AutoScalingGroupName": "example"}
        assert refused(scaling.set_desired_capacity, **group, DesiredCapacity=1) == "ScalingActivityInProgress"
        metrics = {"Metrics": ["GroupDesiredCapacity"], "Granularity": "1Minute"}
        assert refused(scaling.enable_metrics_collection, **group, **metrics) == "ResourceContention"
        clock.sleep(1)
        scaling.set_desired_capacity(**group, DesiredCapacity=0)
        events.put_rule(Name="example", EventPattern="{}")
        targets = {"Rule": "example", "Targets": [{"Id": "1", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:example"}]}
        assert refused(events.put_targets, **targets) == "ConcurrentModificationException"
        clock.sleep(1)
        events.put_targets(**targets)


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
            return [code(aws.client("ec2").describe_vpcs) for _ in range(20)]

    first = calls(1)
    assert set(first) == {"", "RequestLimitExceeded"}
    assert (first == calls(1), first == calls(2)) == (True, False)


def code(call: Any, **arguments: Any) -> str:
    """The error code of a call, or an empty string."""
    try:
        return refused(call, **arguments)
    except AssertionError:
        return ""
