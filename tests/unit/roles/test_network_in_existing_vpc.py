"""The role network in a VPC that exists: only the security groups are created, and nothing of the VPC is changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.existing import Existing, existing_vpc
from tests.unit.roles.account import REASON, RolesAccount, roles_account

pytestmark = pytest.mark.real(REASON)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RolesAccount]:
    with roles_account(tmp_path_factory.mktemp("network")) as account:
        yield account


@pytest.fixture(scope="module")
def theirs(account: RolesAccount) -> Existing:
    return existing_vpc(account.aws.client("ec2"))


def own_groups(account: RolesAccount) -> dict[str, Any]:
    filters = [{"Name": "tag:swarm.aws/cluster", "Values": ["example"]}]
    found = account.aws.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
    return {group["GroupName"]: group for group in found}


def test_an_existing_vpc_gets_security_groups_and_no_other_change(account: RolesAccount, theirs: Existing) -> None:
    before = theirs.described()
    planned = account.run("network", check=True, **theirs.variables())
    assert (planned.code, planned.writes) == (0, []), planned.output[-4000:]
    assert list(planned.changed) == ["Create the security groups"]

    first = account.run("network", **theirs.variables())
    assert first.code == 0, first.output[-4000:]
    assert list(first.changed) == ["Create the security groups"]
    assert set(first.writes) <= {"ec2:CreateSecurityGroup", "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags"}
    found = own_groups(account)
    assert set(found) == {f"example-{name}" for name in ("member", "manager", "edge", "drill")}
    assert {group["VpcId"] for group in found.values()} == {theirs.vpc}
    assert theirs.described() == before

    again = account.run("network", **theirs.by_tags())
    assert (again.code, dict(again.changed), again.writes) == (0, {}, []), again.output[-4000:]
    assert theirs.described() == before

    destroyed = account.playbook("playbooks/destroy.yml", "-e", "confirm=example", **theirs.variables())
    assert destroyed.code == 0, destroyed.output[-4000:]
    assert "Kept: VPC office, since it is not this cluster" in destroyed.output
    assert "Nothing is left." in destroyed.output
    assert own_groups(account) == {}
    assert theirs.described() == before
