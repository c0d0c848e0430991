"""The invariants as properties of any cluster, and proof that each of them can fail."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import dns, plan
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.simulation.control_plane import broken

from .invariants import converges, plan_is_safe
from .memory_cluster import DUAL, POLICY
from .states import clusters

QUICK = settings(database=None, suppress_health_check=list(HealthCheck))
POLICIES = st.sampled_from((POLICY, DUAL))


@settings(QUICK, max_examples=3000)
@given(clusters(), POLICIES)
def test_no_plan_breaks_an_invariant(cluster, policy):
    plan_is_safe(cluster, policy)


@settings(QUICK, max_examples=300)
@given(clusters(quorum=True), POLICIES)
def test_every_cluster_converges(cluster, policy):
    converges(cluster, None, policy)


@settings(QUICK, max_examples=300)
@given(clusters(quorum=True), st.integers(0, 1000), POLICIES)
def test_every_cluster_converges_although_the_agent_is_killed(cluster, seed, policy):
    converges(cluster, seed, policy)


def falsified(check: Callable[..., object], *strategies: st.SearchStrategy) -> None:
    """Pass if the check fails for any of the clusters."""
    generous = settings(QUICK, max_examples=1500, phases=[Phase.generate], derandomize=True)
    with pytest.raises(AssertionError):
        generous(given(*strategies)(check))()


def _not_ready_is_published(monkeypatch):
    def every(membership, *_):
        hosts = (membership.instances[identifier].public_address for identifier in membership.node_of)
        return tuple(sorted(filter(None, hosts)))

    monkeypatch.setattr(dns, "addresses", every)


def _record_is_emptied(monkeypatch):
    real = plan.act.SyncRecord
    monkeypatch.setattr(plan.act, "SyncRecord", type("Emptying", (real,), {"__init__": _emptying}))


def _emptying(self, zone_id, name, owner, before, addresses, ttl):
    values = {"zone_id": zone_id, "name": name, "owner": owner, "before": before, "addresses": (), "ttl": ttl}
    for key, value in values.items():
        object.__setattr__(self, key, value)


def _foreign_is_taken(monkeypatch):
    monkeypatch.setattr(dns, "foreign", lambda record, wanted, owner: "")


@pytest.mark.parametrize(
    "wrong",
    [
        broken.no_interlock,
        broken.only_nodes_that_are_up_vote,
        broken.down_nodes_count_as_gone,
        _not_ready_is_published,
        _record_is_emptied,
        _foreign_is_taken,
    ],
)
def test_an_unsafe_plan_fails_the_check(wrong, monkeypatch):
    wrong(monkeypatch)
    falsified(plan_is_safe, clusters(), st.just(DUAL))


@pytest.mark.parametrize("wrong", [broken.dead_nodes_are_kept, broken.facts_are_forgotten])
def test_a_plan_that_never_converges_fails_the_check(wrong, monkeypatch):
    wrong(monkeypatch)
    falsified(converges, clusters(quorum=True), st.none(), st.just(DUAL))
