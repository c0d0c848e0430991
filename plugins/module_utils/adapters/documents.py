"""Documents for people, in the managers' part of the bucket."""

from __future__ import annotations

import json
from typing import Any, Mapping

from .aws import Aws, ClientError, code

STATUS_KEY = "manager/status.json"


def read_status(aws: Aws, bucket: str) -> Mapping[str, Any]:
    """What `write_status` wrote last; empty if there is none, or none that can be read. Raises Unavailable."""
    with aws.asked(f"read {STATUS_KEY} of the bucket {bucket}"):
        try:
            body = aws.client("s3").get_object(Bucket=bucket, Key=STATUS_KEY)["Body"].read()
        except ClientError as error:
            if code(error) == "NoSuchKey":
                return {}
            raise
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def write_status(aws: Aws, bucket: str, status: Mapping[str, Any]) -> None:
    """Write what the leader's agent did last and what it waits for. Raises Unavailable."""
    with aws.asked(f"write {STATUS_KEY} of the bucket {bucket}"):
        aws.client("s3").put_object(
            Bucket=bucket,
            Key=STATUS_KEY,
            Body=(json.dumps(status, indent=2, default=str) + "\n").encode(),
            ContentType="application/json",
        )
