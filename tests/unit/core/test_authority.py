"""Whose word counts: the swarm's memory of what was published, or the bucket's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.actions import PublishRecord, RememberRecord
from ansible_collections.swarm.aws.plugins.module_utils._core.apply import Refused
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import (
    CLAIMED,
    FORMED,
    RESTORING,
    ClusterRecord,
    Published,
)
from ansible_collections.swarm.aws.plugins.module_utils._core.plan import decide, plan
from ansible_collections.swarm.aws.plugins.module_utils._core.record_authority import judge

from .memory_cluster import POLICY, SWARM_ID, ModelWorld, gone, instance, node, observed, record

THREE = [instance(number) for number in (1, 2, 3)]
NODES = [node(number, leader=number == 1) for number in (1, 2, 3)]
# The swarm's own memory: it was formed, and brought back once.
KNOWN = ClusterRecord(FORMED, "i-001", "", 6, SWARM_ID, {"manager": 1}, ("before",))
MISSING = Published(None, None)
NOW = 1_000_000.0


def seen(published: Published | None, remembered: ClusterRecord | None = KNOWN, **more):
    cluster = observed(THREE, NODES, record(1, 2, 3))
    return replace(cluster, published=published, remembered=remembered, epoch=1, **more)


def stored(cluster_record: ClusterRecord) -> Published:
    return Published(cluster_record, "v1")


OLDER = {
    "missing": MISSING,
    "unreadable": Published(None, "v1", "cluster.json is not JSON."),
    "the first claim": stored(ClusterRecord(CLAIMED, "i-009", "", 1)),
    "a newer claim": stored(ClusterRecord(CLAIMED, "i-009", "", 9)),
    "formed before the restore": stored(ClusterRecord(FORMED, "i-001", "", 2, SWARM_ID)),
    "the restore of before": stored(ClusterRecord(RESTORING, "i-001", "", 5, SWARM_ID, {}, ())),
    "another swarm from before": stored(ClusterRecord(FORMED, "i-001", "", 2, "before")),
}


@pytest.mark.fault(38)
@pytest.mark.fault(40)
@pytest.mark.parametrize("published", OLDER.values(), ids=OLDER)
def test_a_lost_cluster_record_is_published_again(published):
    cluster = seen(published)
    authority = judge(cluster)
    assert authority.acts and not authority.reason
    assert isinstance(authority.action, PublishRecord)
    world = ModelWorld(cluster)
    world.remembered = KNOWN
    assert world.do(authority.action)
    again = world.bucket.cluster_record
    assert replace(again, generation=6) == KNOWN
    assert again.rank > KNOWN.rank and (
        published.cluster_record is None or again.generation > published.cluster_record.generation
    )
    assert judge(replace(cluster, published=world.bucket)).action == RememberRecord(KNOWN, again)


@pytest.mark.fault(38)
def test_a_cluster_record_that_changed_meanwhile_is_not_overwritten():
    world = ModelWorld(seen(MISSING))
    action = judge(world.observe()).action
    world.bucket = stored(ClusterRecord(RESTORING, "i-002", "", 9))
    with pytest.raises(Refused, match="has changed in the meantime"):
        world.do(action)


@pytest.mark.fault(38)
def test_without_a_quorum_nothing_is_published():
    nodes = [NODES[0], *(replace(node, reachable=False) for node in NODES[1:])]
    authority = judge(replace(seen(MISSING), nodes=tuple(nodes)))
    assert authority.action is None and "once there is a quorum" in authority.reason


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    "found",
    [
        ClusterRecord(FORMED, "i-009", "", 7, "other", {"manager": 1}),
        ClusterRecord(RESTORING, "i-009", "", 2, None, {"manager": 2}),
    ],
)
def test_a_newer_record_of_another_swarm_is_reported_and_kept(found):
    authority = judge(seen(stored(found)))
    assert authority.acts and authority.action is None
    for word in (SWARM_ID, found.cluster_id or "being restored", "i-009", "delete cluster.json"):
        assert word in authority.reason
    # Somebody may be in it.
    assert not judge(seen(stored(found), elsewhere=("i-009",))).acts


@pytest.mark.fault(42)
def test_the_dns_record_is_maintained_whatever_the_bucket_says():
    dead = [*NODES[:2], replace(NODES[2], state="down", reachable=False)]
    for published in (None, MISSING, stored(ClusterRecord(FORMED, "i-009", "", 9, "other", {"manager": 1}))):
        cluster = replace(seen(published), instances=(*THREE[:2], gone(3)), nodes=tuple(dead))
        kinds = [type(action).__name__ for action in plan(cluster, POLICY, NOW)]
        assert "SyncRecord" in kinds and "Demote" in kinds


def test_a_published_record_is_remembered_except_by_a_restored_swarm():
    after = ClusterRecord(FORMED, "i-001", "", 8, SWARM_ID, {"manager": 2})
    assert (
        judge(
            seen(
                stored(after),
                None,
            )
        ).action
        is None
    )
    assert judge(replace(seen(stored(after), None), epoch=2)).action == RememberRecord(None, after)
    assert judge(seen(stored(KNOWN))).action is None


def test_a_minority_beside_another_swarm_does_not_act():
    alone = replace(seen(stored(KNOWN)), nodes=(NODES[0],), elsewhere=("i-002", "i-003"))
    decision = decide(alone, POLICY, NOW)
    assert (decision.actions, decision.acts) == ([], False)
    assert "Port 2377 answers on i-002 and i-003" in decision.refused[0]
    most = replace(seen(stored(KNOWN)), nodes=tuple(NODES[:2]), elsewhere=("i-003",))
    assert decide(most, POLICY, NOW).acts
