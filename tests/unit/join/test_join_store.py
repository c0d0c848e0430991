"""The bucket and EC2 as the joiner sees them, against moto."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError, Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import ClusterRecord
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import Outcome, Peer, Token
from ansible_collections.swarm.aws.plugins.module_utils._core.names import bucket
from ansible_collections.swarm.aws.plugins.module_utils.adapters.instances import Ec2Instances
from ansible_collections.swarm.aws.plugins.module_utils.adapters.s3_store import S3Store
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from botocore.exceptions import ClientError, ReadTimeoutError

from tests.unit.bucket import account_with

REGION = "eu-west-1"
BUCKET = bucket("demo", "123456789012", REGION)
CLAIM = ClusterRecord.claim("i-1", "2026-01-01T00:00:00Z")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsSession]:
    with account_with(BUCKET, REGION, monkeypatch) as found:
        yield found


@pytest.fixture
def store(aws: AwsSession) -> S3Store:
    return S3Store(aws, BUCKET)


def test_the_cluster_record_is_only_written_by_compare_and_swap(store: S3Store) -> None:
    assert store.read() is None
    assert store.create(CLAIM) is Outcome.WRITTEN
    assert store.create(CLAIM) is Outcome.LOST
    first = store.read()
    assert first is not None
    assert first.value == CLAIM
    formed = CLAIM.formed("swarm")
    assert store.replace(formed, first.version) is Outcome.WRITTEN
    assert store.replace(CLAIM, first.version) is Outcome.LOST
    second = store.read()
    assert second is not None
    assert second.value == formed


def test_a_deleted_cluster_record_is_not_overwritten(store: S3Store) -> None:
    assert store.replace(CLAIM, '"gone"') is Outcome.LOST
    assert store.read() is None


def test_tokens_are_separate_and_written_by_compare_and_swap(store: S3Store) -> None:
    assert store.read_token("worker") is None
    token = Token("swarm", "SWMTKN-1-secret")
    assert store.write_token("worker", token, None) is Outcome.WRITTEN
    assert store.read_token("manager") is None
    stored = store.read_token("worker")
    assert stored is not None
    assert stored.value == token
    assert "SWMTKN" not in repr(stored)
    assert store.write_token("worker", token, None) is Outcome.LOST


@pytest.mark.fault(3)
def test_fault_03_a_missing_bucket_is_not_an_empty_bucket(aws: AwsSession) -> None:
    with pytest.raises(Unavailable, match="NoSuchBucket"):
        S3Store(aws, "elsewhere").read()


def refusal(code: str, operation: str = "GetObject") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


@pytest.mark.fault(3)
@pytest.mark.parametrize(
    ("error", "said"),
    [
        *((refusal(code), code) for code in ("AccessDenied", "404", "SlowDown", "ServiceUnavailable", "InternalError")),
        (ReadTimeoutError(endpoint_url="https://s3"), "did not answer"),
    ],
)
def test_fault_03_a_refusal_or_time_out_of_s3_is_unavailable(
    error: Exception, said: str, aws: AwsSession, store: S3Store
) -> None:
    refusing(aws, error)
    with pytest.raises(Unavailable, match=said):
        store.read()
    with pytest.raises(Unavailable, match=said):
        store.create(CLAIM)


@pytest.mark.fault(4)
def test_fault_04_a_conflict_differs_from_a_lost_race(aws: AwsSession, store: S3Store) -> None:
    refusing(aws, refusal("ConditionalRequestConflict", "PutObject"))
    assert store.create(CLAIM) is Outcome.CONFLICT


@pytest.mark.fault(10)
def test_fault_10_expired_credentials_are_refreshed(aws: AwsSession, store: S3Store) -> None:
    refusing(aws, refusal("ExpiredToken"))
    with pytest.raises(Unavailable, match="ExpiredToken"):
        store.read()
    assert store.read() is None


@pytest.mark.fault(10)
def test_fault_10_a_wrong_clock_is_named(aws: AwsSession, store: S3Store) -> None:
    refusing(aws, refusal("RequestTimeTooSkewed"))
    with pytest.raises(Unavailable, match="clock"):
        store.read()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"phase": "formed", "claimed_by": "i-1", "claimed_at": "", "generation": 2}']
)
def test_an_invalid_cluster_record_is_not_an_empty_cluster(content: bytes, store: S3Store) -> None:
    boto3.client("s3", REGION).put_object(Bucket=BUCKET, Key="cluster.json", Body=content)
    with pytest.raises(SwarmError, match=r"cluster\.json"):
        store.read()


def test_managers_are_found_by_their_tags(aws: AwsSession) -> None:
    ec2 = boto3.client("ec2", REGION)
    launched: list[str] = []

    def launch(cluster: str, role: str) -> dict[str, Any]:
        tags = [{"Key": "swarm.aws/cluster", "Value": cluster}, {"Key": "swarm.aws/role", "Value": role}]
        specification = [{"ResourceType": "instance", "Tags": tags}]
        image = ec2.register_image(Name=f"{cluster}-{role}-{len(launched)}", RootDeviceName="/dev/xvda")["ImageId"]
        launched.append(image)
        return ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=specification)["Instances"][0]

    ours, dead = launch("demo", "manager"), launch("demo", "manager")
    launch("demo", "worker")
    launch("other", "manager")
    ec2.terminate_instances(InstanceIds=[dead["InstanceId"]])
    instances = Ec2Instances(aws, "demo")
    assert instances.running_managers() == [Peer(ours["InstanceId"], ours["PrivateIpAddress"])]
    assert instances.state(dead["InstanceId"]) == "terminated"
    assert instances.state("i-0123456789abcdef0") is None


def refusing(aws: AwsSession, error: Exception) -> None:
    """Have S3 answer every call of the present session with an error."""

    class Refusing:
        def __getattr__(self, name: str) -> Any:
            def call(**arguments: Any) -> Any:
                raise error

            return call

    aws._clients["s3"] = Refusing()
