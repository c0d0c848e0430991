"""An account in memory that has a cluster's bucket, as a node reaches it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from ansible_collections.swarm.aws.plugins.module_utils.adapters.aws import Aws
from moto import mock_aws


@contextmanager
def account_with(bucket: str, region: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """The way to the account, for as long as the context lasts."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        boto3.client("s3", region).create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region}
        )
        yield Aws(region)
