"""What the bucket and the key are not built on, and what of them is none of our business."""

from __future__ import annotations

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.provision.errors import ProvisionError

from tests.unit.provision_modules.account import account
from tests.unit.provision_modules.cases.store import BUCKET, CASE, PARAMS, key


def test_a_key_that_is_about_to_be_deleted_stops_before_the_bucket_is_touched() -> None:
    with account() as world:
        CASE.run(world, PARAMS)
        world.aws.kms.schedule_key_deletion(KeyId=key(world.aws))
        with world.recording() as writes, pytest.raises(ProvisionError, match="PendingDeletion: cancel its deletion"):
            CASE.run(world, PARAMS)
        assert writes == []


def test_a_bucket_of_another_account_is_refused() -> None:
    with (
        account() as world,
        world.refusing("HeadBucket"),
        pytest.raises(ProvisionError, match="belongs to another account or region"),
    ):
        CASE.run(world, PARAMS)


def test_what_the_agents_put_there_stays() -> None:
    with account() as world:
        CASE.run(world, PARAMS)
        world.aws.s3.put_object(Bucket=BUCKET, Key="cluster.json", Body=b"{}")
        world.aws.s3.put_object(Bucket=BUCKET, Key="manager/token", Body=b"secret")
        assert CASE.run(world, PARAMS)["changes"] == []
        assert world.aws.s3.get_object(Bucket=BUCKET, Key="cluster.json")["Body"].read() == b"{}"


def test_what_is_told_of_the_policy_object_is_what_changed() -> None:
    with account() as world:
        CASE.run(world, PARAMS)
        policy = {**PARAMS["policy"], "queue": "example-events"}
        result = CASE.run(world, {**PARAMS, "policy": policy})
        assert result["changes"] == ["update the object policy.json"]
        assert result["diff"][0]["before"] == PARAMS["policy"]
        assert result["diff"][0]["after"] == policy
