"""What nodes do when the swarm is brought back, with them or without."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import ClusterRecord
from ansible_collections.swarm.aws.plugins.module_utils._core.join.join_decision import (
    STUCK_SECONDS,
    Finish,
    Join,
    Leave,
    Me,
    NodeView,
    Refuse,
    Unlock,
    Wait,
    decide,
)
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import Membership, Stored

FORMED = ClusterRecord("formed", "i-1", "", 2, "swarm")
SURVIVED = FORMED.restoring("i-1", "").restored("swarm", ("manager",))
RESTORED = FORMED.restoring("i-1", "").restored("swarm", ("manager", "worker"))
MANAGER, WORKER = Me("demo", "i-2", "manager"), Me("demo", "i-3", "worker")
VOTER = Membership("active", "swarm", "n2", manager=True)
RUNS = Membership("active", "swarm", "n3")
pytestmark = pytest.mark.fault(36)


def seen(cluster_record: ClusterRecord, membership: Membership, age: float = STUCK_SECONDS + 1) -> NodeView:
    return NodeView(Stored(cluster_record, "v"), 0.0, membership, age)


def test_all_nodes_wait_during_a_restore() -> None:
    for me, membership in ((MANAGER, Membership("inactive")), (MANAGER, VOTER), (WORKER, RUNS)):
        action = decide(me, seen(FORMED.restoring("i-1", ""), membership))
        assert isinstance(action, Wait)
        assert "i-1 is restoring the swarm" in action.reason


def test_workers_stay_after_a_survivor_and_rejoin_after_a_backup() -> None:
    assert isinstance(decide(WORKER, seen(SURVIVED, RUNS)), Finish)
    assert isinstance(decide(WORKER, seen(RESTORED, RUNS)), Leave)
    assert decide(WORKER, seen(RESTORED, Membership("inactive"))) == Join("swarm", "i-1", 1)
    assert isinstance(decide(WORKER, seen(RESTORED, replace(RUNS, epoch=1))), Finish)


@pytest.mark.parametrize("cluster_record", [SURVIVED, RESTORED])
def test_managers_of_the_former_epoch_rejoin(cluster_record: ClusterRecord) -> None:
    assert isinstance(decide(MANAGER, seen(cluster_record, VOTER)), Leave)
    assert isinstance(decide(MANAGER, seen(cluster_record, replace(VOTER, swarm_epoch=0))), Leave)
    assert isinstance(decide(MANAGER, seen(cluster_record, Membership("locked", "swarm", "n2"))), Leave)


def test_a_manager_that_joins_during_a_restore_keeps_no_old_vote() -> None:
    """The manager remembers the former epoch, but is in the restored swarm."""
    assert not isinstance(decide(MANAGER, seen(SURVIVED, Membership("pending", "swarm", "n2"), age=5)), Leave)
    assert not isinstance(decide(MANAGER, seen(SURVIVED, replace(VOTER, message="no leader"), age=5)), Leave)
    assert decide(MANAGER, seen(SURVIVED, replace(VOTER, swarm_epoch=1))) == Finish("swarm", "n2", True, 1)


def test_a_manager_without_a_leader_is_not_a_member_yet() -> None:
    """Otherwise its agent would report a member, restart the wait for a leader, and never leave."""
    without_a_leader = replace(VOTER, message="no leader")
    assert isinstance(decide(MANAGER, seen(RESTORED, without_a_leader, age=0)), Wait)
    assert isinstance(decide(MANAGER, seen(RESTORED, without_a_leader)), Leave)
    assert decide(MANAGER, seen(RESTORED, replace(VOTER, state="locked"), age=0)) == Unlock()


def test_a_former_swarm_is_left_but_a_foreign_swarm_is_not() -> None:
    other = FORMED.restoring("i-1", "").restored("older", ("manager", "worker"))
    assert other.former == ("swarm",)
    assert isinstance(decide(WORKER, seen(other, RUNS)), Leave)
    assert isinstance(decide(WORKER, seen(other, Membership("active", "foreign", "n3"))), Refuse)


def test_a_locked_manager_is_unlocked_and_a_locked_worker_waits() -> None:
    locked = Membership("locked", "swarm", "n2")
    assert decide(MANAGER, seen(FORMED, locked)) == Unlock()
    assert isinstance(decide(WORKER, seen(FORMED, locked)), Wait)


def test_the_cluster_record_is_decoded_as_encoded_also_an_old_record() -> None:
    for cluster_record in (FORMED, RESTORED, FORMED.restoring("i-1", ""), ClusterRecord("restoring", "i-1", "", 1)):
        assert ClusterRecord.decode(cluster_record.encode()) == cluster_record
    old = b'{"phase": "formed", "claimed_by": "i-1", "claimed_at": "", "generation": 2, "cluster_id": "swarm"}'
    assert ClusterRecord.decode(old) == FORMED
    with pytest.raises(SwarmError):
        ClusterRecord.decode(old.replace(b"2", b'2, "epochs": {"manager": "x"}'))
