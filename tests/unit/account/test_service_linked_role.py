"""Auto Scaling's role is created once, before the account's first group."""

from __future__ import annotations

from ansible_collections.swarm.aws.plugins.modules import service_linked_role

from tests.unit.account.account import Account, account

CREATED = ["create the IAM role AWSServiceRoleForAutoScaling"]


def run(world: Account, *, check: bool = False) -> list[str]:
    changes: list[str] = world.run(service_linked_role.ARGUMENTS, service_linked_role.work, {}, check=check)["changes"]
    return changes


def test_an_account_without_the_role_gets_it_once() -> None:
    with account() as world:
        with world.recording() as writes:
            assert run(world, check=True) == CREATED
            assert writes == []
            assert run(world) == CREATED
            assert run(world) == []
        assert writes == ["CreateServiceLinkedRole"]


def test_a_role_that_somebody_creates_meanwhile_is_kept() -> None:
    with account() as world, world.refusing("CreateServiceLinkedRole", "InvalidInput"):
        assert run(world) == CREATED
