"""ECR credentials, renewed by agents that are killed, refused, and two at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import actions as act
from ansible_collections.swarm.aws.plugins.module_utils._core import apply, registry_credentials
from ansible_collections.swarm.aws.plugins.module_utils._core.change import Change
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster_ports import ClusterPorts
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Policy
from ansible_collections.swarm.aws.plugins.module_utils._core.registry_credentials import LABEL

from .ports import ECR_SECONDS
from .simulated_cluster import POLICY, SimCluster
from .weather import Weather
from .work import Service

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1"
ALLOWED = replace(POLICY, ecr=True)
# How long two agents in bad weather may take to renew.
PATIENCE = ECR_SECONDS / 2
HOURS = 3 * ECR_SECONDS


def story(seed: int, weather: Weather) -> SimCluster:
    """Run the cluster for so long that the credentials would expire several times."""
    world = SimCluster(seed, weather, policy=ALLOWED)
    world.work.add(Service("shop", 2, image=IMAGE))
    world.at(0.0, lambda: _watch(world))
    try:
        world.settle(after=HOURS)
    finally:
        world.end()
    return world


def _watch(world: SimCluster) -> None:
    shop = world.work.services["shop"]
    if world.now > PATIENCE and world.now >= shop.grant_ends:
        world.broken(f"the credentials of {shop.name} expired at {shop.grant_ends:g}")
    if world.now < HOURS:
        world.at(5.0, lambda: _watch(world))


def test_credentials_are_renewed_in_time_but_not_too_often() -> None:
    world = story(1, Weather(managers=3, workers=1))
    renewed = [effect for effect in world.effects if effect == "give shop credentials"]
    assert len(renewed) == len(world.registries)
    # At first, and then after each half of their validity; settling may add a renewal.
    assert 6 <= len(renewed) <= 7
    assert LABEL in world.work.services["shop"].labels


@pytest.mark.parametrize("seed", range(8))
def test_credentials_never_expire_whatever_fails(seed: int) -> None:
    story(seed, Weather(managers=3, workers=1, refuse=0.05, stall=0.02, lose_reply=0.1, crash=0.05, freeze=0.02))


def test_the_simulator_catches_a_plan_that_never_renews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_credentials, "due", lambda labels, now: LABEL not in labels)
    with pytest.raises(AssertionError, match="the credentials of shop expired"):
        story(1, Weather(managers=3, workers=1))


def test_the_simulator_catches_a_password_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = apply.HANDLERS[act.RefreshRegistryAuth]

    def leaking(action: act.RefreshRegistryAuth, world: ClusterPorts, policy: Policy) -> Change | None:
        change = honest(action, world, policy)
        password = world.registries.grant(action.registry).password
        return change and replace(change, resource=f"{change.resource}, now {password}")

    monkeypatch.setitem(apply.HANDLERS, act.RefreshRegistryAuth, leaking)
    with pytest.raises(AssertionError, match="I4"):
        story(1, Weather(managers=3, workers=1))
