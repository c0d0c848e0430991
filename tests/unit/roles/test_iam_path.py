"""The path of the IAM roles and instance profiles, in an account of its own: it cannot be changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.roles.account import ACCOUNT_ID, REASON, REGION, roles_account

pytestmark = pytest.mark.real(REASON)

MANAGER = "example-manager"
KEY = {"key_arn": f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/1"}


def test_roles_and_profiles_have_the_declared_path_for_good(tmp_path: Path) -> None:
    with roles_account(tmp_path) as account:
        iam = account.aws.client("iam")
        for last in (["Create the IAM roles", "Create the roles' policies", "Create the instance profiles"], []):
            done = account.run("iam", discovery_key=KEY, iam_path="/teams/blue/")
            assert (done.code, list(done.changed)[-3:]) == (0, last), done.output
        role, profile = iam.get_role(RoleName=MANAGER), iam.get_instance_profile(InstanceProfileName=MANAGER)
        assert role["Role"]["Arn"] == f"arn:aws:iam::{ACCOUNT_ID}:role/teams/blue/{MANAGER}"
        assert profile["InstanceProfile"]["Arn"] == f"arn:aws:iam::{ACCOUNT_ID}:instance-profile/teams/blue/{MANAGER}"
        refused = account.run("iam", discovery_key=KEY)
        said = "iam_path is /, but the IAM role example-manager has the path /teams/blue/, which cannot be changed"
        assert (refused.code, said in " ".join(refused.output.split())) == (2, True), refused.output
