"""What a node does when the bucket and its swarm disagree about which swarm is the cluster's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import ClusterRecord
from ansible_collections.swarm.aws.plugins.module_utils._core.join.join_decision import (
    PATIENCE_SECONDS,
    Claim,
    Finish,
    Leave,
    NodeView,
    Refuse,
    Sighting,
    Wait,
    decide,
    hindrance,
)
from ansible_collections.swarm.aws.plugins.module_utils._core.join.joiner import Joiner
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import (
    LISTENS,
    REFUSES,
    SILENT,
    Membership,
    Peer,
    Stored,
)

from tests.unit.join.test_join_restored import FORMED, MANAGER, VOTER, WORKER, seen

KNOWS = replace(VOTER, remembered=FORMED)
# The only node of a swarm that it made itself.
ALONE = replace(VOTER, made_by=MANAGER.mark, alone=True)
NONE = NodeView(None, 0.0, KNOWS, 0.0)
CLAIM = ClusterRecord("claimed", "i-9", "", 1)
OTHER = ClusterRecord("formed", "i-9", "", 9, "other")


@pytest.mark.fault(38)
@pytest.mark.fault(40)
@pytest.mark.parametrize(
    "view",
    [
        NONE,
        replace(NONE, flaw="cluster.json is not JSON."),
        seen(CLAIM, KNOWS),
        seen(CLAIM.claim("i-2", "", CLAIM), KNOWS),
    ],
)
def test_a_member_stays_in_the_clusters_swarm_whatever_the_bucket_says(view: NodeView) -> None:
    assert decide(MANAGER, view) == Finish("swarm", "n2", False, 0)


def test_a_new_swarm_of_an_operator_does_not_wait_for_another_claim() -> None:
    view = replace(seen(CLAIM, Membership("inactive")), holder="running")
    assert isinstance(decide(MANAGER, view), Wait)
    taken = decide(replace(MANAGER, new_swarm=True), view)
    assert isinstance(taken, Claim)
    assert taken.before == view.cluster_record


@pytest.mark.fault(39)
def test_no_node_leaves_for_a_swarm_that_only_the_bucket_names() -> None:
    assert decide(MANAGER, seen(OTHER, KNOWS)) == Finish("swarm", "n2", False, 0)
    assert isinstance(decide(MANAGER, seen(OTHER, replace(ALONE, remembered=FORMED))), Finish)
    assert isinstance(decide(MANAGER, seen(OTHER, ALONE)), Leave), "its own swarm was never published"
    for me in (MANAGER, WORKER):
        refused = decide(me, seen(OTHER, replace(VOTER, node_id="n3")))
        assert isinstance(refused, Refuse)
        for part in ("swarm swarm", "names other", "docker swarm leave --force", "delete cluster.json"):
            assert part in refused.reason


@pytest.mark.fault(40)
def test_a_worker_stays_in_its_swarm_while_the_bucket_names_none() -> None:
    for view in (replace(NONE, membership=Membership("active", "swarm", "n3")), seen(CLAIM, VOTER)):
        action = decide(WORKER, view)
        assert isinstance(action, Wait) and "This node stays in swarm" in action.reason


def test_an_unreadable_record_is_never_taken_for_a_missing_record() -> None:
    view = NodeView(None, 0.0, Membership("inactive"), 0.0, flaw="cluster.json is not JSON.")
    assert decide(MANAGER, view) == Wait("cluster.json is not JSON.")
    assert isinstance(decide(MANAGER, replace(view, flaw="")), Claim)


@pytest.mark.fault(38)
@pytest.mark.parametrize(
    ("sightings", "names"),
    [
        ([Sighting("i-1", LISTENS), Sighting("i-2", REFUSES, launching=True)], "i-1"),
        ([Sighting("i-1", LISTENS, launching=True)], "i-1"),
        ([Sighting("i-1", SILENT, launching=True), Sighting("i-2", SILENT)], "i-1 and i-2"),
        ([Sighting("i-1", REFUSES)], "i-1"),
        ([Sighting("i-1", REFUSES, launching=True)], ""),
        ([], ""),
    ],
)
def test_no_swarm_is_created_if_a_running_manager_may_be_in_a_swarm(sightings: Any, names: str) -> None:
    reason = hindrance(sightings, 0.0)
    assert names in reason if names else reason == ""
    patient = hindrance(sightings, PATIENCE_SECONDS)
    silent = bool(names) and "answers on" not in reason
    assert ("terminate them" in patient, "new_swarm=true" in patient) == (silent, silent)
    assert "terminate" not in reason


class Outside:
    """A store, instances, an engine and a clock for a manager that is about to initialise."""

    def __init__(self, *answers: str) -> None:
        self.peers = {f"i-{number}": answer for number, answer in enumerate(answers, 3)}
        self.cluster_record: Any = Stored(CLAIM.claim(MANAGER.instance, ""), "v")
        self.made: list[str] = []
        # Managers that EC2 lists, as long as its answers are old.
        self.listed: list[Peer] | None = None

    def read(self) -> Any:
        return self.cluster_record

    def membership(self) -> Membership:
        return Membership("inactive")

    def running_managers(self) -> list[Peer]:
        everyone = [Peer(instance, instance) for instance in (MANAGER.instance, *self.peers)]
        return everyone if self.listed is None else self.listed

    def launching(self, instances: list[str]) -> set[str]:
        return set(instances)

    def probe(self, address: str) -> str:
        return self.peers[address]

    def init(self, made_by: str) -> None:
        self.made.append(made_by)

    def now(self) -> float:
        return 0.0


def step(outside: Any, me: Any = MANAGER) -> Any:
    return Joiner(me, outside, outside, outside, outside, lambda sentence: None).step()


@pytest.mark.fault(38)
def test_every_other_manager_is_tried_before_a_swarm_is_created() -> None:
    fresh, beside = Outside(REFUSES, REFUSES), Outside(REFUSES, LISTENS)
    assert step(fresh) is None and fresh.made == ["demo/i-2"]
    assert step(beside).startswith("Port 2377 answers on i-4") and beside.made == []
    assert step(beside, replace(MANAGER, new_swarm=True)) is None and beside.made == ["demo/i-2"]


@pytest.mark.fault(38)
def test_an_answer_of_ec2_without_this_instance_is_too_old() -> None:
    """A minute later EC2 also lists the managers of the swarm."""
    outside = Outside(LISTENS)
    outside.listed = []
    assert step(outside).startswith("EC2 does not list this instance yet") and outside.made == []
    outside.listed = None
    assert step(outside).startswith("Port 2377 answers on i-3") and outside.made == []
