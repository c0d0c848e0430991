"""The agents' policy in the bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.plugins.modules import cluster_policy

from tests.unit.account.account import ACCOUNT_ID, REGION, Account
from tests.unit.account.cases.case import CLUSTER, Case

BUCKET = f"{CLUSTER}-swarm-{ACCOUNT_ID}-{REGION}"
OBJECT = {"Bucket": BUCKET, "Key": "policy.json"}
PARAMS: Mapping[str, Any] = {
    "bucket": BUCKET,
    "policy": {"cluster": CLUSTER, "groups": {"manager": {"role": "manager", "labels": {}, "dns": True}}},
}


def prepare(account: Account) -> Mapping[str, Any]:
    account.aws.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return PARAMS


def look(aws: AwsSession) -> Any:
    found = aws.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return [aws.client("s3").get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read().decode() for item in found]


CASE = Case(
    module=cluster_policy,
    prepare=prepare,
    look=look,
    drifts={
        "it was deleted": lambda aws: aws.client("s3").delete_object(**OBJECT),
        "it was edited": lambda aws: aws.client("s3").put_object(**OBJECT, Body=b'{"cluster": "other"}'),
        "it is not JSON": lambda aws: aws.client("s3").put_object(**OBJECT, Body=b"{"),
    },
)
