"""The bucket, its key and its objects."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils.provision import bundle
from ansible_collections.swarm.aws.plugins.module_utils.provision.shell import Aws
from ansible_collections.swarm.aws.plugins.modules import discovery_store

from tests.unit.provision_modules.account import ACCOUNT_ID, REGION, tags_of
from tests.unit.provision_modules.cases.case import CLUSTER, TAGS, Case

BUCKET = f"{CLUSTER}-swarm-{ACCOUNT_ID}-{REGION}"
ALIAS = f"{CLUSTER}-swarm"


@functools.cache
def agent() -> tempfile.TemporaryDirectory[str]:
    """An agent's sources, just enough to be packed."""
    folder = tempfile.TemporaryDirectory()
    for name in (*bundle.FILES, *(f"{source}/__init__.py" for source in bundle.SOURCES)):
        path = Path(folder.name) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


PARAMS: Mapping[str, Any] = {
    "agent_root": agent().name,
    "cluster_name": CLUSTER,
    "tags": TAGS,
    "bucket": BUCKET,
    "key_alias": ALIAS,
    "policy": {"cluster": CLUSTER, "groups": {"manager": {"role": "manager", "labels": {}, "dns": True}}},
    # Not the real one, which refuses what does not come by TLS: moto does not know that condition and refuses all.
    "bucket_policy": {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "KeepIt",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:DeleteBucket",
                "Resource": f"arn:aws:s3:::{BUCKET}",
            }
        ],
    },
}


def look(aws: Aws) -> Any:
    s3, kms = aws.s3, aws.kms
    keys = kms.list_keys()["Keys"]
    return {
        "keys": [
            {
                "rotation": kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"],
                "tags": kms.list_resource_tags(KeyId=key["KeyId"])["Tags"],
            }
            for key in keys
        ],
        "aliases": [
            [one["AliasName"], "TargetKeyId" in one]
            for one in kms.list_aliases()["Aliases"]
            if not one["AliasName"].startswith("alias/aws/")
        ],
        "buckets": [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]],
        "public": s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"],
        "policy": json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"]),
        "versioning": s3.get_bucket_versioning(Bucket=BUCKET).get("Status"),
        "encryption": s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"],
        "lifecycle": s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"],
        "tags": tags_of({"Tags": s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"]}),
        "ownership": s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"],
        "objects": [[one["Key"], one["Size"]] for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])],
        "agents' policy": s3.get_object(Bucket=BUCKET, Key="policy.json")["Body"].read().decode(),
    }


def key(aws: Aws) -> str:
    return aws.kms.describe_key(KeyId=f"alias/{ALIAS}")["KeyMetadata"]["KeyId"]


def on_bucket(operation: str, **arguments: Any) -> Callable[[Aws], Any]:
    return lambda aws: getattr(aws.s3, operation)(Bucket=BUCKET, **arguments)


def lose_bundle(aws: Aws) -> None:
    for one in aws.s3.list_objects_v2(Bucket=BUCKET, Prefix="agent/")["Contents"]:
        aws.s3.delete_object(Bucket=BUCKET, Key=one["Key"])


CASE = Case(
    module=discovery_store,
    prepare=lambda account: PARAMS,
    planned=PARAMS,
    look=look,
    drifts={
        "the key is no longer rotated": lambda aws: aws.kms.disable_key_rotation(KeyId=key(aws)),
        "the key lost a tag": lambda aws: aws.kms.untag_resource(KeyId=key(aws), TagKeys=["team"]),
        "the key lost its alias": lambda aws: aws.kms.delete_alias(AliasName=f"alias/{ALIAS}"),
        "public access is no longer blocked": on_bucket("delete_public_access_block"),
        "public policies are let through": on_bucket(
            "put_public_access_block",
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": False,
                "RestrictPublicBuckets": True,
            },
        ),
        "the bucket has no policy": on_bucket("delete_bucket_policy"),
        "versioning was suspended": on_bucket("put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"}),
        "encryption was left to S3": on_bucket("delete_bucket_encryption"),
        "encryption uses another key": on_bucket(
            "put_bucket_encryption",
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
        ),
        "old versions are kept": on_bucket("delete_bucket_lifecycle"),
        "the bucket lost its tags": on_bucket("delete_bucket_tagging"),
        "the bundle was deleted": lose_bundle,
        "the agents' policy was deleted": on_bucket("delete_object", Key="policy.json"),
        "the agents' policy was edited": on_bucket("put_object", Key="policy.json", Body=b'{"cluster": "other"}'),
        "the agents' policy is not JSON": on_bucket("put_object", Key="policy.json", Body=b"{"),
    },
)
