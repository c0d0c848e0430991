"""Roles in an account where names were deleted a moment ago."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.aws.account import STRICT
from lab.aws.calls import Call
from lab.aws.errors import AwsError
from lab.aws.strict import consistency
from lab.aws.strict.consistency import Consistency
from tests.unit.roles.account import ACCOUNT_ID, REASON, REGION, RolesAccount, roles_account

pytestmark = pytest.mark.real(REASON)

BUCKET, QUEUES = f"example-swarm-{ACCOUNT_ID}-{REGION}", ["example-events", "example-events-dead"]


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RolesAccount]:
    """An account in which the time of what lingers passes only after a name was refused."""
    began: list[float] = []
    check = Consistency._check

    def refusing(self: Consistency, call: Call) -> None:
        try:
            check(self, call)
        except AwsError:
            began.append(time.monotonic())
            raise

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() - began[0] if began else 0.0)
    monkeypatch.setattr(Consistency, "_check", refusing)
    monkeypatch.setattr(consistency, "time", clock)
    with roles_account(tmp_path, replace(STRICT, visible_seconds=0, linger_seconds=3)) as account:
        yield account
        assert began


def test_queues_that_were_deleted_a_moment_ago_are_created_again(account: RolesAccount) -> None:
    sqs = account.aws.client("sqs")
    for name in QUEUES:
        sqs.delete_queue(QueueUrl=sqs.create_queue(QueueName=name)["QueueUrl"])
    done = account.run("events")
    assert done.code == 0, done.output
    assert sorted(url.rsplit("/", 1)[-1] for url in sqs.list_queues()["QueueUrls"]) == QUEUES


def test_a_bucket_that_was_deleted_a_moment_ago_is_created_again(account: RolesAccount) -> None:
    s3 = account.aws.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.delete_bucket(Bucket=BUCKET)
    done = account.run("discovery")
    assert done.code == 0, done.output
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
