"""Replacements before the drain: what is raised, what is waited for, and how the count goes back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import actions as act
from ansible_collections.swarm.aws.plugins.module_utils._core import node_labels, placement
from ansible_collections.swarm.aws.plugins.module_utils._core.apply import Refused
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Needs, Service
from ansible_collections.swarm.aws.plugins.module_utils._core.plan import decide
from ansible_collections.swarm.aws.plugins.module_utils._core.surge import LABEL, Surge, declared, lowest

from .memory_cluster import POLICY, ModelWorld, instance, node, observed, record

NOW = 1_000_000.0
WEB = Service("web", "web", replicas=6, start_first=True, healthy={"n001": 2, "n002": 2, "n003": 2}, stop_seconds=20)
THREE = [instance(1), instance(2), instance(3)]
REQUEST = {node_labels.REQUESTED: "999990", node_labels.REMOVING: "999990.000"}


def removing(number=3, **facts):
    """A manager that is asked to go and already takes no new tasks."""
    host = node(number, availability="pause")
    return replace(host, labels={**host.labels, **REQUEST, node_labels.CORDONED: "999991.000", **facts})


def cluster(services, *, third=None, instances=THREE):
    nodes = [node(1, leader=True), node(2), third or removing()]
    return replace(observed(instances, nodes, record(1, 2)), services=tuple(services))


def scaled(services, **more):
    """The counts that are changed, and the label that then stands."""
    planned = decide(cluster(services, **more), POLICY, NOW).actions
    return [
        (action.name, action.wanted, action.after.get(LABEL))
        for action in planned
        if isinstance(action, act.SetReplicas)
    ]


@pytest.mark.fault(23)
def test_fault_23_the_tasks_of_the_node_start_elsewhere_first():
    assert scaled([WEB]) == [("web", 8, "6+2@1000000")]


@pytest.mark.parametrize(
    "service",
    [
        replace(WEB, start_first=False),
        replace(WEB, mode="global", replicas=0),
        replace(WEB, mode="job", replicas=0),
        replace(WEB, updating=True),
        replace(WEB, paused=True),
        replace(WEB, healthy={"n001": 3, "n002": 3}),
    ],
)
def test_a_service_that_cannot_or_need_not_surge_keeps_its_count(service):
    assert scaled([service]) == []


def test_a_node_is_cordoned_before_the_surge():
    third = replace(removing(), availability="active")
    assert scaled([WEB], third=third) == []
    planned = decide(cluster([WEB], third=third), POLICY, NOW).actions
    assert [type(action) for action in planned if getattr(action, "instance", "") == "i-003"][-1] is act.Cordon


def test_the_surge_grows_when_another_node_is_removed_too():
    other = replace(removing(2), role="worker", voter=False, reachable=False)
    nodes = (node(1, leader=True), other, removing(3))
    service = replace(WEB, replicas=8, labels={LABEL: "6+2"}, healthy={"n001": 2, "n002": 4, "n003": 2})
    surge = Surge([service], nodes, {"n002", "n003"}, NOW)
    assert [(action.wanted, action.after[LABEL]) for action in surge.actions(service)] == [(12, "6+6@1000000")]


def ready(service, now=NOW + 20, **more):
    """Whether the node is drained, what it waits for, and why it stays."""
    decision = decide(cluster([service], third=removing(**{node_labels.WITHDRAWN: "999991.000"}), **more), POLICY, now)
    drains = [action for action in decision.actions if isinstance(action, act.Drain)]
    return bool(drains), decision.waits.get("i-003", []), decision.held.get("i-003", "")


@pytest.mark.parametrize(
    ("asked", "drained"), [(None, False), (NOW + 300, False), (NOW + 50, True), (NOW + 5000, False)]
)
def test_the_time_for_replacements_starts_with_the_request(asked, drained):
    """The cordon does not count: all agents may have stopped in between."""
    web = replace(WEB, healthy={"n001": 2, "n003": 2}) if asked is None else raised_at(asked)
    ended = [*THREE[:2], instance(3, lifecycle="Terminating:Wait")]
    assert ready(web, NOW + 400, instances=ended)[0] is drained


def raised_at(moment):
    return replace(WEB, replicas=8, labels={LABEL: f"6+2@{moment:.0f}"}, starting={"n001": 2})


@pytest.mark.fault(25)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"needs": Needs(constraints=("node.labels.disk == ssd",))}, "none of 2 other nodes meets node.labels.disk"),
        ({"needs": Needs(most_per_node=2)}, "the 2 other nodes may have 2 of them each"),
        ({"pending": 2, "why_pending": "no suitable node (insufficient resources)"}, "insufficient resources"),
        ({"start_first": False, "needs": Needs(host_ports=(80,))}, "port 80 is taken on the 2 other nodes"),
        ({"paused": True}, "its update is paused"),
    ],
)
def test_fault_25_without_room_only_a_forced_request_drains(change, reason):
    service = replace(WEB, **change)
    drained, waits, held = ready(service)
    assert (drained, waits) == (False, [])
    assert reason in held
    assert "tasks of web" in held
    forced = removing(**{node_labels.WITHDRAWN: "999991.000", node_labels.REQUESTED: "999990 force"})
    planned = decide(cluster([service], third=forced), POLICY, NOW + 20).actions
    assert any(isinstance(action, act.Drain) for action in planned)


@pytest.mark.fault(25)
def test_fault_25_a_termination_by_auto_scaling_waits_for_room_then_drains():
    third = removing(**{node_labels.WITHDRAWN: "999991.000"})
    third = replace(third, labels={key: value for key, value in third.labels.items() if key != node_labels.REQUESTED})
    there = [*THREE[:2], instance(3, lifecycle="Terminating:Wait")]
    service = replace(WEB, needs=Needs(most_per_node=2))
    early = decide(cluster([service], third=third, instances=there), POLICY, NOW + 20)
    assert not any(isinstance(action, act.Drain) for action in early.actions)
    assert "2 tasks of web to run elsewhere" in early.waits["i-003"][0]
    late = decide(cluster([service], third=third, instances=there), POLICY, NOW + POLICY.surge_seconds)
    assert any(isinstance(action, act.Drain) for action in late.actions)
    assert "there is no room elsewhere for 2 tasks of web" in late.notes[0]


RAISED = replace(WEB, replicas=8, labels={LABEL: "6+2", "mine": "1"})
WITHOUT = [instance(1), instance(2)]


def lowered(service):
    """What becomes of a raised service when nobody leaves any more."""
    found = replace(observed(WITHOUT, [node(1, leader=True), node(2)], record(1, 2)), services=(service,))
    decision = decide(found, POLICY, NOW)
    changes = [
        (action.wanted, dict(action.after)) for action in decision.actions if isinstance(action, act.SetReplicas)
    ]
    return changes, decision.awaited


def test_the_count_is_restored_once_all_tasks_run():
    assert lowered(replace(RAISED, healthy={"n001": 4, "n002": 4})) == ([(6, {"mine": "1"})], [])


def test_the_count_stays_raised_while_a_task_starts():
    changes, awaited = lowered(replace(RAISED, healthy={"n001": 3, "n002": 4}, starting={"n001": 1}))
    assert changes == []
    assert awaited == ["all 8 tasks of web to run, before its extra tasks are removed"]


def test_completed_tasks_are_not_awaited():
    ended = replace(WEB, over=frozenset("1234"), done=4)
    assert ready(replace(ended, replicas=7, labels={LABEL: "6+1"}, healthy={"n001": 2, "n003": 1}))[0]
    assert not ready(replace(ended, replicas=7, labels={LABEL: "6+1"}, healthy={"n001": 1, "n003": 1}))[0]
    assert lowered(replace(RAISED, done=4, healthy={"n001": 2, "n002": 2}))[0] == [(6, {"mine": "1"})]
    assert lowest({}, [replace(ended, healthy={"n001": 2})]) == {"web": {"declared": 6, "lowest": 6}}


def test_the_count_is_restored_if_the_remaining_tasks_have_no_node():
    stuck = replace(RAISED, healthy={"n001": 3, "n002": 3}, pending=2, why_pending="no suitable node")
    assert lowered(stuck)[0] == [(6, {"mine": "1"})]
    assert lowered(replace(stuck, why_pending=""))[0] == []


@pytest.mark.parametrize("state", ["updating", "paused"])
@pytest.mark.parametrize("replicas", [8, 10])
def test_a_service_that_is_being_updated_is_not_changed(state, replicas):
    service = replace(RAISED, replicas=replicas, healthy={"n001": 4, "n002": replicas - 4}, **{state: True})
    changes, awaited = lowered(service)
    assert changes == []
    assert awaited == (["the update of web to end, before its extra tasks are removed"] if replicas == 8 else [])


@pytest.mark.parametrize("replicas", [4, 10])
def test_a_count_set_by_somebody_else_stays_and_the_label_is_removed(replicas):
    service = replace(RAISED, replicas=replicas, healthy={"n001": replicas})
    assert declared(service) == replicas
    assert lowered(service)[0] == [(replicas, {"mine": "1"})]


def test_a_deployment_meanwhile_wins():
    world = ModelWorld(cluster([WEB]))
    (scale,) = [
        action for action in decide(world.observe(), POLICY, NOW).actions if isinstance(action, act.SetReplicas)
    ]
    world.all_services["web"] = replace(WEB, replicas=3)
    with pytest.raises(Refused, match="was changed in the meantime"):
        world.do(scale)
    assert world.all_services["web"].replicas == 3


@pytest.mark.parametrize(
    ("constraint", "holds"),
    [
        ("node.labels.edge == true", True),
        ("node.labels.edge==TRUE", True),
        ("node.labels.edge != true", False),
        ("node.role == worker", False),
        ("node.hostname == host", True),
        ("node.platform.arch != aarch64", True),
        ("node.platform.os==windows", False),
        ("engine.labels.swarm.aws.instance == i-001", True),
        ("node.ip == 10.0.0.9", True),
    ],
)
def test_constraints_are_evaluated_as_the_scheduler_does(constraint, holds):
    host = node(1, hostname="host", platform="linux/x86_64")
    assert placement.meets(Needs(constraints=(constraint,)), host) is holds


def test_room_is_the_unreserved_memory_and_cpu():
    host = node(1, memory=1000, cpus=4_000_000_000)
    other = Service("other", "other", needs=Needs(memory=300), healthy={"n001": 2})
    small = Service("small", "small", needs=Needs(memory=150, cpus=1_000_000_000))
    assert placement.room(small, [host], [other, small], 9) == 2
    assert placement.obstacle(small, [host]) == "there is not enough free memory or CPU on the 1 other node"
    assert placement.obstacle(small, []) == "there is no other node that takes tasks"


def test_the_lowest_observed_count_is_kept():
    seen = lowest({}, [WEB])
    seen = lowest(seen, [replace(WEB, replicas=8, labels={LABEL: "6+2"}, healthy={"n001": 5})])
    assert lowest(seen, [WEB]) == {"web": {"declared": 6, "lowest": 5}}
