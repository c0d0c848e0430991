"""The roles dns and discovery: the Cloud Map service, the bucket, its key and secret, and what the agents need."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.roles.account import ACCOUNT_ID, REASON, REGION, RolesAccount, Run, roles_account

pytestmark = pytest.mark.real(REASON)
CLUSTER, KEPT = "example", b"the agents' own"
BUCKET = f"{CLUSTER}-swarm-{ACCOUNT_ID}-{REGION}"
ALIAS, SECRET = f"alias/{CLUSTER}-swarm", f"{CLUSTER}-unlock-keys"
UNLOCK_KEY = "SWMKEY-1-4l0ckedm4n4g3rs"
TASKS = [
    "Create the Cloud Map service",
    "Create the KMS key",
    "Create the alias of the new KMS key",
    "Create the secret for the unlock keys",
    "Create the bucket",
    "Create the lifecycle rules",
    "Write the agents' policy",
    "Upload the agent",
]
CONFIGURATION = {
    "autolock": True,
    "cluster_tags": {"team": "blue", "cost": 7},
    "dns": {"cloud_map": {"namespace": "swarm.internal", "service": "WWW"}, "ttl": 10},
}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RolesAccount]:
    with roles_account(tmp_path_factory.mktemp("discovery")) as account:
        account.aws.client("servicediscovery").create_public_dns_namespace(Name="swarm.internal")
        yield account


@pytest.fixture(scope="module")
def first(account: RolesAccount) -> Run:
    return run(account)


def run(account: RolesAccount, *words: str) -> Run:
    done = account.run("dns", "discovery", words=words, **CONFIGURATION)
    assert done.code == 0, done.output
    return done


def test_the_first_run_creates_every_declared_resource(account: RolesAccount, first: Run) -> None:
    assert list(first.changed) == TASKS
    found = look(account)
    assert found["secret"] == {"keys": []}
    dns = json.loads(found["objects"].pop("policy.json"))["dns"]
    assert (dns["service_id"], dns["record"]) == (found["service"], "www.swarm.internal")
    ((name, bundle),) = found["objects"].items()
    assert name == f"agent/{hashlib.sha256(bundle).hexdigest()}.pyz"
    assert found["public"] == dict.fromkeys(found["public"], True)
    assert found["policy"]["Statement"][0]["Sid"] == "OnlyEncryptedConnections"
    assert (found["versioning"], found["ownership"]) == ("Enabled", [{"ObjectOwnership": "BucketOwnerEnforced"}])
    key = found["key"][0]
    assert found["key"] == (key, 1, True)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    assert found["encryption"] == [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]
    rules = {rule["Filter"]["Prefix"]: rule for rule in found["lifecycle"]}
    assert rules[""]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    kept = {prefix: rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for prefix, rule in rules.items()}
    # Objects that are written every minute, and what Ansible's connection through Session Manager transfers.
    assert kept == {"": 30, "manager/": 1, "worker/": 1, "i-": 1}
    assert {prefix: rule.get("Expiration") for prefix, rule in rules.items() if "Expiration" in rule} == {
        "i-": {"Days": 1}
    }
    tags = {"team": "blue", "cost": "7", "swarm.aws/cluster": CLUSTER}
    assert [found["tags"][what] for what in ("key", "secret", "bucket")] == [tags] * 3


def test_foreign_changes_are_repaired_and_the_agents_objects_stay(account: RolesAccount, first: Run) -> None:
    built = look(account)
    s3, kms, secrets = (account.aws.client(service) for service in ("s3", "kms", "secretsmanager"))
    s3.put_object(Bucket=BUCKET, Key="cluster.json", Body=KEPT)
    secrets.put_secret_value(SecretId=SECRET, SecretString=json.dumps({"keys": [UNLOCK_KEY]}))
    s3.delete_bucket_policy(Bucket=BUCKET)
    s3.delete_public_access_block(Bucket=BUCKET)
    s3.delete_bucket_lifecycle(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    s3.delete_bucket_encryption(Bucket=BUCKET)
    s3.delete_bucket_tagging(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="policy.json", Body=b"{}")
    kms.disable_key_rotation(KeyId=built["key"][0])
    # As after a run that was killed before it named the key.
    kms.delete_alias(AliasName=ALIAS)
    repaired = run(account, "-vvv")
    assert list(repaired.changed) == [TASKS[1], *TASKS[4:7]]
    built["objects"]["cluster.json"], built["secret"] = KEPT, {"keys": [UNLOCK_KEY]}
    assert look(account) == built
    assert not [secret for secret in (UNLOCK_KEY, "X-Amz-Signature") if secret in repaired.output]


def look(account: RolesAccount) -> dict[str, Any]:
    """All that the two roles keep."""
    s3, kms, secrets = (account.aws.client(service) for service in ("s3", "kms", "secretsmanager"))
    services = account.aws.client("servicediscovery").list_services()["Services"]
    key = kms.describe_key(KeyId=ALIAS)["KeyMetadata"]["Arn"]
    keys = [found for found in kms.list_keys()["Keys"] if "aws/" not in str(kms.list_aliases(KeyId=found["KeyId"]))]
    objects = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    tags = {
        "key": [{"Key": tag["TagKey"], "Value": tag["TagValue"]} for tag in kms.list_resource_tags(KeyId=key)["Tags"]],
        "secret": secrets.describe_secret(SecretId=SECRET)["Tags"],
        "bucket": s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"],
    }
    return {
        "service": services[0]["Id"],
        "key": (key, len(keys), kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]),
        "secret": json.loads(secrets.get_secret_value(SecretId=SECRET)["SecretString"]),
        "public": s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"],
        "policy": json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"]),
        "versioning": s3.get_bucket_versioning(Bucket=BUCKET)["Status"],
        "encryption": s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"],
        "ownership": s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]["Rules"],
        "lifecycle": s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"],
        "objects": {found["Key"]: s3.get_object(Bucket=BUCKET, Key=found["Key"])["Body"].read() for found in objects},
        "tags": {what: {tag["Key"]: tag["Value"] for tag in found} for what, found in tags.items()},
    }
