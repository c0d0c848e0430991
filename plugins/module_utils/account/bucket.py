"""The parts of the cluster's bucket, KMS key and secret that amazon.aws's modules do not manage."""

from __future__ import annotations

import json
from typing import Any, Iterator, Mapping

from ..adapters.s3_store import POLICY_KEY
from ..aws import tags
from ..aws.aws_session import AwsSession, ClientError, code, listed, unless_missing
from ..aws.changes import Changes
from ..aws.provision_error import ProvisionError
from ..aws.waiters import once_visible


def bucket_problems(aws: AwsSession, name: str) -> Iterator[str]:
    """A sentence if the bucket exists and belongs to somebody else."""
    try:
        unless_missing(aws.client("s3").head_bucket, "404", "NoSuchBucket", Bucket=name)
    except ClientError as error:
        if code(error) not in ("403", "301"):
            raise
        yield (
            f"The bucket {name} belongs to another account or region, or your credentials cannot read it: "
            "choose another cluster_name, or ask for access to it."
        )


def address_pool_problems(aws: AwsSession, bucket: str, config: Mapping[str, Any]) -> Iterator[str]:
    """A sentence if the cluster's swarm was configured with another address pool, which it keeps."""
    found = unless_missing(aws.client("s3").get_object, "NoSuchKey", "NoSuchBucket", Bucket=bucket, Key=POLICY_KEY)
    policy = _parsed(found["Body"].read()) if found else None
    if not isinstance(policy, dict):
        return
    # Before there was a setting, a swarm had Docker's own pool.
    pool, size = policy.get("address_pool", ["10.0.0.0/8"]), policy.get("subnet_size", 24)
    if (pool, size) != (config["swarm_address_pool"], config["swarm_subnet_size"]):
        yield (
            f"swarm_address_pool is {', '.join(config['swarm_address_pool'])} with networks of the size "
            f"/{config['swarm_subnet_size']}, but the cluster's swarm has {', '.join(pool)} with /{size}, which cannot "
            "be changed: restore the values, or create another cluster."
        )


def find_key(aws: AwsSession, cluster: str, alias: str) -> str | None:
    """ID of the cluster's key if its alias is missing, since a run was interrupted or somebody deleted the alias.

    Raises ProvisionError if the alias names a key that cannot be used.
    """
    described = unless_missing(aws.client("kms").describe_key, "NotFoundException", KeyId=f"alias/{alias}")
    if described is not None:
        state = described["KeyMetadata"]["KeyState"]
        if state != "Enabled":
            raise ProvisionError(
                f"The KMS key of the cluster '{cluster}' (alias/{alias}) is in the state {state}: cancel its deletion "
                "and enable it, since the bucket cannot be read without it."
            )
        return None
    for resource in listed(
        aws.client("resourcegroupstaggingapi"),
        "get_resources",
        "ResourceTagMappingList",
        TagFilters=[{"Key": tags.CLUSTER, "Values": [cluster]}],
        ResourceTypeFilters=["kms:key"],
    ):
        key = aws.client("kms").describe_key(KeyId=resource["ResourceARN"])["KeyMetadata"]
        if key["KeyState"] == "Enabled":
            return key["KeyId"]
    return None


def secret_problems(aws: AwsSession, name: str) -> Iterator[str]:
    """A sentence if the secret is being deleted."""
    found = unless_missing(aws.client("secretsmanager").describe_secret, "ResourceNotFoundException", SecretId=name)
    if found and found.get("DeletedDate"):
        yield (
            f"The secret {name} is being deleted: restore it (`aws secretsmanager restore-secret`), since the "
            "managers cannot be unlocked without it."
        )


def write_policy(aws: AwsSession, bucket: str, policy: Mapping[str, Any], changes: Changes) -> bool:
    """Write the agents' policy if it differs. Returns whether the bucket exists; in check mode it may not."""
    found, exists = None, True
    try:
        found = unless_missing(aws.client("s3").get_object, "NoSuchKey", Bucket=bucket, Key=POLICY_KEY)
    except ClientError as error:
        if code(error) != "NoSuchBucket":
            raise
        exists = not changes.check_mode
    before = _parsed(found["Body"].read()) if found else None
    if before != policy:
        content = json.dumps(policy, indent=2, sort_keys=True).encode()
        changes.apply(
            f"object {POLICY_KEY}",
            before,
            policy,
            lambda: once_visible(
                lambda: aws.client("s3").put_object(
                    Bucket=bucket, Key=POLICY_KEY, Body=content, ContentType="application/json"
                ),
                lambda error: code(error) == "NoSuchBucket",
            ),
        )
    return exists


def _parsed(content: bytes) -> Any:
    """The object's content; a string if it is not JSON."""
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")
