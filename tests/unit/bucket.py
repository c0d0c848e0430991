"""An account in memory, with a cluster's bucket in it, as a node reaches it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from moto import mock_aws


@contextmanager
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty account, for as long as the context lasts."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    # Reading a thousand images takes seconds.
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    with mock_aws():
        yield


@contextmanager
def account_with(bucket: str, region: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsSession]:
    """The way to an account that has a bucket."""
    with account(monkeypatch):
        boto3.client("s3", region).create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region}
        )
        yield AwsSession.on_node(region)
