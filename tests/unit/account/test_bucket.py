"""What the preflight says of the bucket, its key and its secret, and what is told of the agents' policy."""

from __future__ import annotations

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.account import bucket
from ansible_collections.swarm.aws.plugins.module_utils.aws import tags
from ansible_collections.swarm.aws.plugins.module_utils.aws.errors import ProvisionError
from ansible_collections.swarm.aws.plugins.module_utils.aws.session import Aws

from tests.unit.account.account import Account, account
from tests.unit.account.cases.case import CLUSTER
from tests.unit.account.cases.policy import BUCKET, CASE

ALIAS = f"{CLUSTER}-swarm"


def test_bucket_of_another_account_is_refused() -> None:
    with (
        account() as world,
        world.refusing("HeadBucket"),
        pytest.raises(ProvisionError, match="belongs to another account or region"),
    ):
        bucket.check_bucket(world.aws, BUCKET)


def test_key_about_to_be_deleted_is_refused() -> None:
    with account() as world:
        identifier = key(world.aws, CLUSTER)
        world.aws.kms.create_alias(AliasName=f"alias/{ALIAS}", TargetKeyId=identifier)
        assert found(world) is None
        world.aws.kms.schedule_key_deletion(KeyId=identifier)
        with pytest.raises(ProvisionError, match="PendingDeletion: cancel its deletion"):
            found(world)


def test_key_without_its_alias_is_found_unless_it_is_another_clusters_or_being_deleted() -> None:
    with account() as world:
        key(world.aws, "another")
        world.aws.kms.schedule_key_deletion(KeyId=key(world.aws, CLUSTER))
        assert found(world) is None
        identifier = key(world.aws, CLUSTER)
        assert found(world) == identifier


def test_secret_being_deleted_is_refused() -> None:
    with account() as world:
        bucket.check_secret(world.aws, "unlock")
        world.aws.secretsmanager.create_secret(Name="unlock")
        bucket.check_secret(world.aws, "unlock")
        world.aws.secretsmanager.delete_secret(SecretId="unlock")
        with pytest.raises(ProvisionError, match="is being deleted: restore it"):
            bucket.check_secret(world.aws, "unlock")


def test_policy_diff_shows_what_changed() -> None:
    with account() as world:
        params = CASE.prepare(world)
        CASE.run(world, params)
        policy = {**params["policy"], "queue": "example-events"}
        result = CASE.run(world, {**params, "policy": policy})
        assert result["changes"] == ["update the object policy.json"]
        assert (result["diff"][0]["before"], result["diff"][0]["after"]) == (params["policy"], policy)


def key(aws: Aws, cluster: str) -> str:
    made = aws.kms.create_key(Tags=[{"TagKey": tags.CLUSTER, "TagValue": cluster}])
    return str(made["KeyMetadata"]["KeyId"])


def found(world: Account) -> str | None:
    return bucket.find_key(world.aws, CLUSTER, ALIAS)
