"""A Cloud Map service is kept by the same plan as a record in a zone."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.swarm.aws.plugins.module_utils._core import report
from ansible_collections.swarm.aws.plugins.module_utils._core.actions import SyncRecord
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Cluster, Record
from ansible_collections.swarm.aws.plugins.module_utils._core.dns import BOTH
from ansible_collections.swarm.aws.plugins.module_utils._core.plan import decide, plan
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Dns, Policy
from hypothesis import given

from . import memory_cluster, states
from .memory_cluster import ModelWorld

SERVICE = Dns("", "www.example.com", 10, service_id="srv-1")
CLOUD_MAP = replace(memory_cluster.POLICY, dns=SERVICE)
CLOUD_MAP_OF_BOTH = replace(memory_cluster.POLICY, dns=replace(SERVICE, ipv6=True))
NOW = 1_000_000.0


def as_a_service(observed: Cluster) -> Cluster:
    """The same where Cloud Map has the addresses: no record of somebody else's can be in the way."""
    found = observed.record or Record()
    own = replace(found, owner=memory_cluster.POLICY.owner, obstacle=None, ipv6_unowned=False, ipv6_ttl=None)
    return replace(observed, record=replace(own, addresses=found.ipv4))


@given(states.clusters())
def test_the_plan_equals_that_of_a_zone_except_for_the_target(observed: Cluster) -> None:
    seen = as_a_service(observed)
    in_a_zone, as_service = (decide(seen, policy, NOW) for policy in (memory_cluster.POLICY, CLOUD_MAP))
    as_if = [
        replace(action, zone_id="Z1", ttl=10, what="DNS record") if isinstance(action, SyncRecord) else action
        for action in as_service.actions
    ]
    assert as_if == in_a_zone.actions
    assert (as_service.awaited, as_service.refused, as_service.notes) == (
        in_a_zone.awaited,
        in_a_zone.refused,
        in_a_zone.notes,
    )


@given(states.clusters(quorum=True))
def test_a_service_converges_and_is_never_emptied(observed: Cluster) -> None:
    seen = as_a_service(observed)
    model = ModelWorld(seen, CLOUD_MAP)
    for _ in range(3):
        for action in plan(replace(model.observe(), record=model.record), CLOUD_MAP, model.time):
            if isinstance(action, SyncRecord):
                model.do(action)
                assert model.record.ipv4
        model.tick()
    left = [planned for planned in plan(model.observe(), CLOUD_MAP, model.time) if isinstance(planned, SyncRecord)]
    assert all(planned.after != model.record for planned in left)


def test_a_service_without_the_clusters_tag_is_not_changed() -> None:
    for owner in (None, "heritage=swarm.aws,cluster=other,region=eu-west-1"):
        seen = memory_cluster.observed(
            [memory_cluster.instance(1)], [memory_cluster.node(1, leader=True)], Record(owner=owner)
        )
        decision = decide(seen, CLOUD_MAP, NOW)
        assert not [action for action in decision.actions if isinstance(action, SyncRecord)]
        assert "has no tag swarm.aws/cluster" in decision.refused[0]


def test_with_ipv6_an_instance_is_published_with_both_addresses() -> None:
    fleet = [memory_cluster.instance(1), replace(memory_cluster.instance(2), ipv6_address=None)]
    nodes = [memory_cluster.node(1, leader=True), memory_cluster.node(2)]
    seen = memory_cluster.observed(fleet, nodes, Record(owner=memory_cluster.POLICY.owner + BOTH))
    decision = decide(seen, CLOUD_MAP_OF_BOTH, NOW)
    (action,) = [planned for planned in decision.actions if isinstance(planned, SyncRecord)]
    assert action.addresses == ("198.51.100.1", "2001:db8::1")
    assert any(note.startswith("i-002 has no IPv6 address, so www.example.com omits it") for note in decision.notes)
    assert action.change.sentence == ("create the Cloud Map service www.example.com: add 198.51.100.1, 2001:db8::1")


def test_another_ttl_of_the_service_needs_no_action() -> None:
    """site.yml changes the TTL, then the policy; the agent has nothing to write."""
    found = replace(memory_cluster.record(1), ttl=300)
    seen = memory_cluster.observed([memory_cluster.instance(1)], [memory_cluster.node(1, leader=True)], found)
    assert not [action for action in plan(seen, CLOUD_MAP, NOW) if isinstance(action, SyncRecord)]
    standing = report.standing(seen, CLOUD_MAP, decide(seen, CLOUD_MAP, NOW))
    assert standing and (standing["ttl"], standing["wanted"]) == (300, ["198.51.100.1"])


def test_without_an_answer_from_cloud_map_the_plan_waits() -> None:
    seen = replace(
        memory_cluster.observed([memory_cluster.instance(1)], [memory_cluster.node(1, leader=True)]), record=None
    )
    assert "an answer from Cloud Map" in decide(seen, CLOUD_MAP, NOW).awaited


def test_the_policy_may_name_a_service_instead_of_a_zone() -> None:
    dns = {"record": "www.example.com", "ttl": 10, "service_id": "srv-1"}
    assert Policy.parse({"cluster": "example", "groups": {}, "dns": dns}).dns == SERVICE
