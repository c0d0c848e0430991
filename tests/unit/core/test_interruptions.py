"""Why instances go, until when, and what may be asked for."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import actions as act
from ansible_collections.swarm.aws.plugins.module_utils._core import (
    events,
    interruptions,
    node_labels,
    node_matching,
    removal_check,
)
from ansible_collections.swarm.aws.plugins.module_utils._core.apply import Refused
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Interruption, Service
from ansible_collections.swarm.aws.plugins.module_utils._core.plan import decide
from ansible_collections.swarm.aws.plugins.module_utils._core.removal_progress import STAGES, RemovalProgress

from .memory_cluster import POLICY, ModelWorld, dead, gone, instance, node, observed, record
from .test_plan import NODES, THREE, kinds, run

NOW = 1_000_000.0
SPOT = {
    "detail-type": "EC2 Spot Instance Interruption Warning",
    "time": "2026-01-27T06:02:51Z",
    "detail": {"instance-id": "i-004", "instance-action": "terminate"},
}
HEALTH = {
    "detail-type": "AWS Health Event",
    "detail": {
        "eventTypeCategory": "scheduledChange",
        "startTime": "Tue, 27 Jan 2026 06:02:51 GMT",
        "statusCode": "upcoming",
        "affectedEntities": [{"entityValue": "i-004"}, {"entityValue": "vol-1"}, "?"],
    },
}
MOMENT = 1769493771.0


def with_labels(member, **more):
    return replace(member, labels={**member.labels, **more})


def worker(**more):
    return with_labels(node(4, "worker"), **more)


def four(fourth, **more):
    instances = [*THREE, instance(4, "worker", **more)]
    return observed(instances, [*NODES, fourth], record(1, 2, 3))


# Events and their deadlines


@pytest.mark.fault(28)
def test_fault_28_events_have_deadlines():
    assert events.parse(json.dumps(SPOT)).interruptions == (
        Interruption("i-004", "spot interruption", MOMENT + events.SPOT_NOTICE),
    )
    undated = {**SPOT, "time": "yesterday"}
    assert events.parse(json.dumps(undated), NOW).interruptions[0].deadline == NOW + events.SPOT_NOTICE
    maintenance = Interruption("i-004", "scheduled maintenance", MOMENT)
    assert events.parse(json.dumps(HEALTH)).interruptions == (maintenance,)


@pytest.mark.parametrize(
    "change",
    [{"statusCode": "closed"}, {"eventTypeCategory": "issue"}, {"affectedEntities": "i-004"}, {"affectedEntities": []}],
)
def test_an_event_that_is_over_or_without_instances_is_no_interruption(change):
    message = {**HEALTH, "detail": {**HEALTH["detail"], **change}}
    assert events.parse(json.dumps(message)).interruptions == ()


@pytest.mark.fault(28)
def test_fault_28_an_interruption_is_remembered_as_a_label():
    world = ModelWorld(four(worker()))
    said = Interruption("i-004", "spot interruption", NOW + 120)
    first = replace(world.observe(), interruptions=(said,))
    members = node_matching.join(first)
    assert not interruptions.remembered(said, first, members)
    for action in decide(first, POLICY, NOW).actions:
        world.do(action)
    assert world.members["n004"].labels[node_labels.INTERRUPTION] == f"spot interruption@{NOW + 120:.0f}"
    later = world.observe()
    assert interruptions.remembered(said, later, node_matching.join(later))
    assert interruptions.of(later, node_matching.join(later), POLICY, NOW)["i-004"] == said


@pytest.mark.fault(17)
def test_fault_17_repeated_and_reordered_events_keep_the_earliest_deadline():
    label = worker(**{node_labels.INTERRUPTION: f"scheduled maintenance@{NOW + 900:.0f}"})
    late = Interruption("i-004", "spot interruption", NOW + 120)
    found = replace(four(label), interruptions=(late, late))
    assert interruptions.label(found, label, "i-004") == f"scheduled maintenance@{NOW + 120:.0f}"
    unknown = Interruption("i-0ff", "spot interruption", NOW + 120)
    assert interruptions.remembered(unknown, found, node_matching.join(found)), "nobody is there to remember it"


def test_with_capacity_rebalance_a_removal_awaits_auto_scaling():
    said = worker(**{node_labels.INTERRUPTION: events.REBALANCE})
    group = replace(POLICY.groups["worker"], rebalance=True)
    policy = replace(POLICY, groups={**POLICY.groups, "worker": group})
    found = replace(four(said), interruptions=(Interruption("i-004", events.REBALANCE),))
    members = node_matching.join(found)
    assert interruptions.of(found, members, POLICY, NOW)["i-004"].kind == events.REBALANCE
    assert decide(found, policy, NOW).actions == []
    assert interruptions.remembered(found.interruptions[0], found, members), "nor is the message kept"
    taken = replace(found, interruptions=(Interruption("i-004", events.SPOT, NOW + 120),))
    assert interruptions.of(taken, members, policy, NOW)["i-004"].kind == events.SPOT
    ending = replace(found, instances=four(said, lifecycle="Terminating:Wait").instances)
    assert interruptions.of(ending, node_matching.join(ending), policy, NOW)["i-004"].kind == interruptions.TERMINATING


@pytest.mark.parametrize("value", ["", "@12", "spot@soon"])
def test_an_unreadable_label_is_no_interruption(value):
    assert interruptions.read_interruption(value, "i-1") is None


def test_a_request_is_read_as_written():
    value = interruptions.write_request(NOW, replace=False, force=True)
    assert value == "1000000 no-replacement force"
    assert interruptions.read_request(value, "i-1") == Interruption("i-1", "requested", replace=False, force=True)
    assert interruptions.read_request("  ", "i-1") is None


# One handler for all of them


@pytest.mark.fault(23)
@pytest.mark.parametrize(
    ("label", "ended"), [({node_labels.REQUESTED: "999"}, True), ({node_labels.REQUESTED: "999 no-replacement"}, False)]
)
def test_fault_23_a_requested_instance_is_terminated_after_its_drain(label, ended):
    world = ModelWorld(four(worker(**label)))
    done = run(world, 8)
    names = [name for name, identifier in done if identifier == "i-004"]
    assert names == ["NoteFact", "Cordon", "Drain", "Terminate", "Delete", "CompleteLifecycle"]
    assert world.ended == [("i-004", ended)]
    assert world.fleet["i-004"].gone


def test_a_manager_is_terminated_only_after_its_demotion():
    asked = with_labels(node(3), **{node_labels.REQUESTED: "999"})
    world = ModelWorld(observed(THREE, [*NODES[:2], asked], record(1, 2, 3)))
    names = [name for name, identifier in run(world, 12) if identifier == "i-003"]
    assert names.index("Demote") < names.index("Terminate") < names.index("Delete")
    early = ModelWorld(observed(THREE, [*NODES[:2], replace(asked, availability="drain")], record(1, 2, 3)))
    with pytest.raises(Refused, match="must be demoted first"):
        early.do(act.Terminate("i-003", "example-manager", "n003", True))


def test_a_cancelled_removal_makes_the_node_active_again():
    facts = {
        node_labels.REMOVING: "999990.000",
        node_labels.CORDONED: "999991.000",
        node_labels.WITHDRAWN: "999992.000",
    }
    world = ModelWorld(four(replace(worker(**facts), availability="pause")))
    assert run(world) == [("Resume", "i-004")]
    assert world.members["n004"].availability == "active"
    assert not set(node_labels.FACTS) & set(world.members["n004"].labels)
    assert run(world) == []


def test_a_demoted_manager_is_removed_despite_a_cancellation():
    facts = {node_labels.REMOVING: "999990.000", node_labels.CORDONED: "999991.000"}
    demoted = replace(with_labels(node(3), **facts), role="worker", voter=False, reachable=False, availability="pause")
    world = ModelWorld(observed(THREE, [*NODES[:2], demoted], record(1, 2)))
    names = [name for name, identifier in run(world, 8) if identifier == "i-003"]
    assert names == ["NoteFact", "Terminate", "Drain", "Delete", "CompleteLifecycle"]


def test_a_node_that_the_operator_paused_stays_paused():
    assert kinds(four(replace(worker(), availability="pause"))) == []


@pytest.mark.fault(28)
@pytest.mark.parametrize(("left", "drained"), [(120, False), (31, False), (29, True)])
def test_fault_28_the_drain_starts_when_only_the_time_to_stop_is_left(left, drained):
    """Stopping takes 20 s and 10 s are reserved: with 30 s left, the replacements are no longer awaited."""
    said = {node_labels.INTERRUPTION: f"spot interruption@{NOW + left:.0f}"}
    member = replace(
        worker(**said, **{node_labels.REMOVING: "999990", node_labels.CORDONED: "999991"}), availability="pause"
    )
    service = Service("w", "web", replicas=1, start_first=True, stop_seconds=20, healthy={"n004": 1})
    found = replace(four(replace(member, tasks=1)), services=(service,))
    decision = decide(found, POLICY, NOW)
    assert any(isinstance(action, act.Drain) for action in decision.actions) is drained
    # The drain begins 30 s before the deadline, before the replacements' own time is over.
    limit = [wait for wait in decision.waits.get("i-004", ()) if "to run elsewhere" in wait]
    assert limit == [f"1 task of web to run elsewhere, for {left - 30} s at most"][: not drained]


@pytest.mark.fault(28)
def test_fault_28_the_time_to_stop_ends_before_the_deadline():
    said = {node_labels.INTERRUPTION: f"spot interruption@{NOW + 9:.0f}"}
    facts = {node_labels.REMOVING: "999990", node_labels.CORDONED: "999991", node_labels.DRAINED: "999999"}
    member = replace(worker(**said, **facts), availability="drain", tasks=3)
    decision = decide(four(member, lifecycle="Terminating:Wait"), POLICY, NOW)
    assert [type(action).__name__ for action in decision.actions][-1] == "Delete"
    assert "3 tasks on i-004 did not end in time." in decision.notes


@pytest.mark.fault(22)
def test_fault_22_a_down_node_is_replaced_only_if_the_policy_says_so():
    down = replace(node(4, "worker", tasks=2), state="down")
    assert kinds(four(down)) == []
    policy = replace(POLICY, down_seconds=60)
    world = ModelWorld(four(down), policy)

    def step():
        return [
            type(action).__name__ for action in decide(world.observe(), policy, world.time).actions if world.do(action)
        ]

    assert step() == ["SetLabels"]
    world.time += 59
    assert step() == []
    world.time += 2
    names = [name for _ in range(5) for name in step()]
    assert names == ["NoteFact", "Drain", "Terminate", "Heartbeat", "Delete", "CompleteLifecycle"]


def test_a_node_that_returned_is_not_replaced_later():
    policy = replace(POLICY, down_seconds=60)
    back = worker(**{node_labels.DOWN: "999000.000"})
    planned = decide(four(back), policy, NOW).actions
    assert [type(action).__name__ for action in planned] == ["SetLabels"]
    assert node_labels.DOWN not in planned[0].after


@pytest.mark.fault(21)
@pytest.mark.parametrize(
    ("fourth", "age", "result"),
    [
        (None, 599, None),
        (None, 600, "ABANDON"),
        (dead(4, "worker"), 600, "ABANDON"),
        (node(4), 600, "ABANDON"),
        (node(4, "worker"), 600, "CONTINUE"),
    ],
)
def test_fault_21_a_launch_that_does_not_join_in_time_is_abandoned(fourth, age, result):
    host = instance(4, "worker", lifecycle="Pending:Wait", launched=NOW - age)
    nodes = [*NODES, *([fourth] if fourth else [])]
    planned = decide(observed([*THREE, host], nodes, record(1, 2, 3)), POLICY, NOW).actions
    results = [action.result for action in planned if isinstance(action, act.CompleteLifecycle)]
    assert results == ([result] if result else [])


@pytest.mark.parametrize(("age", "results"), [(1799, []), (1800, ["ABANDON"])])
def test_a_launch_in_a_slow_group_is_abandoned_later(age, results):
    slow = replace(POLICY, groups={**POLICY.groups, "worker": replace(POLICY.groups["worker"], launch_seconds=1800)})
    host = instance(4, "worker", lifecycle="Pending:Wait", launched=NOW - age)
    planned = decide(observed([*THREE, host], NODES, record(1, 2, 3)), slow, NOW).actions
    assert [action.result for action in planned if isinstance(action, act.CompleteLifecycle)] == results


# What is refused


@pytest.mark.fault(29)
@pytest.mark.parametrize("wrong", ["i-xyz", "i-123", "", "I-0123456789abcdef0", "i-0123456789abcdef0\n"])
def test_fault_29_an_invalid_instance_id_is_refused(wrong):
    with pytest.raises(removal_check.RequestRefused, match="is not an instance ID"):
        removal_check.well_formed(wrong)


@pytest.mark.fault(24)
@pytest.mark.parametrize(
    ("alive", "asked", "numbers"),
    [
        (3, ["i-001", "i-002"], "1 of 3 managers reachable, fewer than their quorum of 2"),
        (1, ["i-001"], "0 of 1 manager reachable, fewer than their quorum of 1"),
        (2, ["i-002"], "1 of 2 managers reachable, fewer than their quorum of 2"),
    ],
)
def test_fault_24_too_many_managers_are_refused_with_the_numbers(alive, asked, numbers):
    found = observed(THREE[:alive], NODES[:alive], record(1))
    with pytest.raises(removal_check.RequestRefused, match=numbers):
        removal_check.check_quorum(found, node_matching.join(found), asked, replace=True)
    three = observed(THREE, NODES, record(1))
    removal_check.check_quorum(three, node_matching.join(three), ["i-003"], replace=True)


@pytest.mark.fault(24)
def test_fault_24_without_replacement_a_removal_keeps_the_quorum():
    for alive, asked, refused in ((2, ["i-002"], False), (1, ["i-001"], True), (3, ["i-001", "i-002"], True)):
        found = observed(THREE[:alive], NODES[:alive], record(1))
        with pytest.raises(removal_check.RequestRefused) if refused else contextlib.nullcontext():
            removal_check.check_quorum(found, node_matching.join(found), asked, replace=False)


# What is seen of it


@pytest.mark.fault(26)
def test_fault_26_a_watch_reports_stages_and_tasks_that_did_not_stop():
    service = Service("w", "web", stop_seconds=5, replicas=1, healthy={"n004": 1})
    watch = RemovalProgress("n004")
    member = worker(**{node_labels.REMOVING: "1000.000"})
    paused = replace(with_labels(member, **{node_labels.CORDONED: "1001.000"}), availability="pause")
    drained = replace(with_labels(paused, **{node_labels.DRAINED: "1010.000"}), availability="drain")
    stopping = replace(service, healthy={}, stopping={"n004": 1})
    stages = [
        watch.look([member], [service], 1000),
        watch.look([paused], [service], 1002),
        watch.look([drained], [stopping], 1011),
        RemovalProgress.resume("n004", watch.as_dict()).look([drained], [stopping], 1012),
        watch.look([drained], [stopping], 1015),
        watch.look([drained], [replace(service, healthy={"n001": 1})], 1016),
        watch.look([], [service], 1018),
    ]
    assert stages == ["requested", "begun", "ready", "ready", "ready", "drained", "removed"]
    assert list(dict.fromkeys(stages)) == list(STAGES)
    assert watch.stubborn == {"web": 5}
    assert watch.plain == ["web"]
    assert watch.services == {"web": {"declared": 1, "lowest": 0}}
    assert watch.durations() == {"ready": 10.0, "drained": 6.0, "removed": 2.0, "all": 18.0}


def test_a_terminated_instance_has_no_interruption_to_remember():
    found = observed([*THREE, gone(4, "worker")], NODES, record(1, 2, 3))
    said = Interruption("i-004", "spot interruption", NOW)
    assert interruptions.remembered(said, found, node_matching.join(found))
