"""Whatever anybody writes into the queue, the bucket, a label or a tag, each parser gives what it is documented to."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import (
    backup_schedule,
    events,
    interruptions,
    journal,
    node_labels,
    plan,
    registry_credentials,
    surge,
)
from ansible_collections.swarm.aws.plugins.module_utils._core.actions import NoteFact, SetLabels
from ansible_collections.swarm.aws.plugins.module_utils._core.backup_schedule import BackupError, Manifest
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Service
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import (
    ClusterRecord,
    InvalidClusterRecord,
)
from ansible_collections.swarm.aws.plugins.module_utils._core.parsing import DEEPEST, decoded, number, whole
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Policy, PolicyError
from ansible_collections.swarm.aws.plugins.module_utils._core.upgrade_marker import TAG, UpgradeMarker
from hypothesis import given
from hypothesis import strategies as st

from tests.unit import hostile
from tests.unit.core.memory_cluster import POLICY, instance, node, observed, record

pytestmark = pytest.mark.fault(47)

SPOT = {
    "detail-type": "EC2 Spot Instance Interruption Warning",
    "time": "2026-01-27T06:02:51Z",
    "detail": {"instance-id": "i-001"},
}
HEALTH = {
    "detail-type": "AWS Health Event",
    "detail": {
        "eventTypeCategory": "scheduledChange",
        "statusCode": "upcoming",
        "startTime": "Sat, 27 Jan 2024 06:02:51 GMT",
        "affectedEntities": [{"entityValue": "i-001"}],
    },
}
RECORD = {
    **json.loads(ClusterRecord("formed", "i-1", "", 2, "swarm").line()),
    "epochs": {"worker": 1},
    "former": ["old"],
}
WANTED = {
    "cluster": "example",
    "groups": {
        "m": {
            "role": "manager",
            "labels": {"a": 1},
            "volumes": ["v"],
            "scaling": {"min": 1, "max": 2},
            "launch_seconds": 1800,
            "target_groups": ["arn:targetgroup/web/1"],
        }
    },
    "dns": {"zone_id": "Z1", "record": "www.example.com", "ttl": 10},
    "monitoring": {"namespace": "x", "period": 60, "port": 9000, "tls_ports": [443]},
    "queue": "example-events",
    "drain_seconds": 3.5,
    "backup_keep": 3,
}
COUNTS = dict.fromkeys(("nodes", "services", "secrets", "configs"), 1)
MANIFEST = json.loads(
    Manifest("20260101T000000Z-i-01", "c", "s", "i-1", "n1", "10.0.0.1", "29", 1.0, "ab", 1, COUNTS).encode()
)
ENTRY = {"MESSAGE": [104, 105], "__REALTIME_TIMESTAMP": "1", "__CURSOR": "c", "_SYSTEMD_UNIT": "docker.service"}
numbers = st.one_of(st.text(), st.sampled_from(hostile.NUMBERS), hostile.leaves.map(str))
moments = st.one_of(
    numbers,
    st.sampled_from(
        ["0001-01-01T00:00:00", "9999-12-31T23:59:59-23:00", "10000-01-01", "Sat, 31 Dec 9999 23:59 -2300"]
    ),
    st.sampled_from(["Mon, 1 Jan 0001 00:00:00 +2300", "0 0 0", "Sat, 99 Jan 99999999999999999999 06:02:51 GMT"]),
)


def test_decoded_json_can_be_encoded_and_is_not_deep() -> None:
    assert decoded(b'{"a": [1, 2.5, "x", null]}') == {"a": [1, 2.5, "x", None]}
    assert decoded("[" * DEEPEST + "]" * DEEPEST)
    one_too_many = "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1)
    for text in (*hostile.TEXTS, one_too_many, b"\xff", "1" * 400, "[NaN]", '{"\\ud800": 1}'):
        with pytest.raises(ValueError):
            decoded(text)


@given(hostile.texts)
def test_any_text_is_decoded_or_a_value_error(text: str) -> None:
    try:
        found = decoded(text)
    except ValueError:
        return
    json.dumps(found, ensure_ascii=False, allow_nan=False).encode()


@given(numbers)
def test_numbers_are_finite_and_counts_are_not_negative(text: str) -> None:
    found, count = number(text), whole(text)
    assert found is None or math.isfinite(found)
    assert count is None or 0 <= float(count) <= 1e19


@given(st.one_of(hostile.encoded(SPOT), hostile.encoded(HEALTH)))
def test_any_message_is_an_event_or_none(body: str) -> None:
    event = events.parse(body, 1000.0)
    for interruption in event.interruptions if event else ():
        assert interruption.deadline is None or math.isfinite(interruption.deadline)


@given(moments)
def test_any_time_in_a_message_is_a_deadline_or_none(moment: str) -> None:
    spot = events.parse(json.dumps({**SPOT, "time": moment}), 1000.0)
    health = events.parse(json.dumps({**HEALTH, "detail": {**HEALTH["detail"], "startTime": moment}}), 1000.0)
    for event in (spot, health):
        deadlines = [interruption.deadline for interruption in event.interruptions] if event else []
        assert all(deadline is None or math.isfinite(deadline) for deadline in deadlines)


@given(hostile.encoded(RECORD))
def test_any_cluster_record_is_valid_or_refused(text: str) -> None:
    try:
        cluster_record = ClusterRecord.decode(text.encode(errors="surrogatepass"))
    except InvalidClusterRecord as error:
        str(error).encode()
        return
    assert ClusterRecord.decode(cluster_record.encode()) == cluster_record
    assert cluster_record.after(cluster_record).rank == cluster_record.rank
    assert cluster_record.restored("another", ("worker",)).former


@given(hostile.encoded(WANTED))
def test_any_policy_is_valid_or_refused(text: str) -> None:
    try:
        policy = Policy.read(text.encode(errors="surrogatepass"))
    except PolicyError as error:
        str(error).encode()
        return
    plan.plan(observed([instance(1)], [node(1)]), policy, 1000.0)


@given(hostile.spoiled(WANTED))
def test_any_policy_given_as_a_mapping_is_valid_or_refused(document: Any) -> None:
    try:
        Policy.parse(document)
    except PolicyError:
        return


@given(hostile.encoded(MANIFEST))
def test_any_manifest_of_a_backup_is_valid_or_refused(text: str) -> None:
    try:
        manifest = Manifest.decode(text.encode(errors="surrogatepass"))
    except BackupError:
        return
    assert manifest.summary and backup_schedule.refused(manifest, "x", [])


@given(st.lists(st.one_of(st.text(), st.from_regex(backup_schedule._NAME, fullmatch=True))))
def test_only_valid_backup_names_have_a_time(names: list[str]) -> None:
    for name in backup_schedule.newest_first([*names, "99999999T999999Z-i-0"]):
        assert backup_schedule.taken_at(name) is not None


@given(hostile.encoded(ENTRY))
def test_any_line_of_the_journal_is_an_entry_or_a_value_error(line: str) -> None:
    try:
        entry = journal.read(line)
        journal.cursor(line).encode()
    except ValueError:
        return
    assert entry is None or entry.size


@given(numbers, numbers, numbers)
def test_any_label_of_a_node_is_read(first: str, second: str, third: str) -> None:
    now = 1_000_000.0
    said = interruptions.read_interruption(f"spot interruption@{first}", "i-001")
    assert said is None or said.deadline is None or math.isfinite(said.deadline)
    interruptions.read_request(first, "i-001")
    at = node_labels.fact({"x": first}, "x", now)
    assert at is None or (math.isfinite(at) and at <= now)
    keys = (
        node_labels.REMOVING,
        node_labels.CORDONED,
        node_labels.WITHDRAWN,
        node_labels.DRAINED,
        node_labels.DOWN,
        node_labels.REQUESTED,
    )
    for state in ("ready", "down"):
        seen = node(1, labels={**node(1).labels, **dict.fromkeys(keys, first), node_labels.INTERRUPTION: f"x@{second}"})
        policy = replace(POLICY, down_seconds=60.0)
        decided = plan.decide(observed([instance(1)], [replace(seen, state=state)]), policy, now)
        assert not any("unexpected" in sentence for sentence in decided.refused)


@given(numbers, numbers, numbers)
def test_any_label_of_a_service_is_read(first: str, second: str, third: str) -> None:
    noted = {surge.LABEL: f"{first}+{second}@{third}", registry_credentials.LABEL: f"{first}+{second}"}
    service = Service("s1", "web", replicas=2, labels=noted, image="1.dkr.ecr.eu-west-1.amazonaws.com/x")
    assert surge.declared(service) >= 0
    registry_credentials.due(noted, 1000.0)
    plan.plan(replace(observed([instance(1)], [node(1)]), services=(service,)), POLICY, 1000.0)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
def test_a_label_that_is_not_finite_counts_as_missing(value: str) -> None:
    assert interruptions.read_interruption(f"spot interruption@{value}", "i-001") is None
    assert node_labels.fact({"x": value}, "x", 1000.0) is None
    assert registry_credentials.due({registry_credentials.LABEL: f"{value}+43200"}, 1000.0)
    assert registry_credentials.due({registry_credentials.LABEL: f"1000+{value}"}, 1000.0)
    assert surge._requested_at({surge.LABEL: f"1+1@{value}"}) is None
    down = node(1, state="down", labels={**node(1).labels, node_labels.DOWN: value})
    cluster = observed([instance(1), instance(2), instance(3)], [down, node(2, leader=True), node(3)])
    planned = plan.plan(cluster, replace(POLICY, down_seconds=60.0), 1000.0)
    (noted,) = [action.after for action in planned if isinstance(action, SetLabels)]
    assert noted[node_labels.DOWN] == "1000.000"


def test_a_surge_label_with_a_negative_count_counts_as_missing() -> None:
    for value in ("-3+9@5", "8+-2@5"):
        service = Service("s1", "web", replicas=6, labels={surge.LABEL: value})
        assert surge.declared(service) == 6


@given(numbers, numbers)
def test_any_tag_of_an_original_size_is_read(first: str, second: str) -> None:
    found = UpgradeMarker.read({TAG: f"{first} max={second} paused"})
    assert found is None or found.desired >= 0


def fails_for(monkeypatch: pytest.MonkeyPatch, module: Any, function: str, identifier: str) -> None:
    """Make a function fail for a single node or instance."""
    honest = getattr(module, function)

    def fails(subject: Any, *more: Any, **named: Any) -> Any:
        if subject.id == identifier:
            raise KeyError("a secret")
        return honest(subject, *more, **named)

    monkeypatch.setattr(module, function, fails)


@pytest.mark.parametrize(
    ("module", "function", "poisoned", "left_out"),
    [
        (node_labels, "wanted", "n011", "The labelling of i-011's node"),
        (interruptions, "of_instance", "i-011", "The removal of i-011"),
    ],
)
def test_a_node_whose_plan_fails_is_left_out(
    module: Any, function: str, poisoned: str, left_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    removing = [instance(number, "worker", lifecycle="Terminating:Wait") for number in (11, 12)]
    nodes = [node(1, leader=True), node(2), node(3), node(11, "worker"), node(12, "worker")]
    cluster = observed([instance(1), instance(2), instance(3), *removing], nodes)
    fails_for(monkeypatch, module, function, poisoned)
    decided = plan.decide(cluster, POLICY, 1000.0)
    assert "i-012" in {action.instance for action in decided.actions if isinstance(action, NoteFact)}
    (sentence,) = decided.refused
    assert sentence.startswith(f"{left_out} is left out of the plan: an unexpected KeyError in ")
    assert "secret" not in sentence


def test_a_node_whose_removal_cannot_be_read_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {
        node_labels.REQUESTED: "900",
        node_labels.REMOVING: "900.000",
        node_labels.CORDONED: "900.000",
        node_labels.DRAINED: "900.000",
    }
    drained = node(11, "worker", availability="drain", labels={**node(11, "worker").labels, **facts})
    cluster = observed([instance(1), instance(11, "worker")], [node(1, leader=True), drained], record(1))
    fails_for(monkeypatch, interruptions, "of_instance", "i-011")
    assert plan.decide(cluster, POLICY, 1000.0).actions == []


def test_a_plan_that_fails_as_a_whole_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan.node_matching, "join", lambda observed: 1 // 0)
    decided = plan.decide(replace(observed([instance(1)], [node(1)]), stale_tokens=("worker",)), POLICY, 1000.0)
    assert [type(action).__name__ for action in decided.actions] == ["PublishTokens"]
    (sentence,) = decided.refused
    assert sentence.startswith("The cluster is left out of the plan: an unexpected ZeroDivisionError in ")


@pytest.mark.parametrize(("part", "goes_on_at"), [("_count", 1000.0), ("needs", 1200.0)])
def test_a_service_whose_plan_fails_is_left_out(part: str, goes_on_at: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The removal of its node waits as long as for a service without room, and then continues."""
    facts = {node_labels.REMOVING: "900.000", node_labels.CORDONED: "900.000"}
    removing = node(11, "worker", availability="pause", labels={**node(11, "worker").labels, **facts})
    cluster = observed(
        [instance(1), instance(2), instance(3), instance(11, "worker", lifecycle="Terminating:Wait")],
        [node(1, leader=True), node(2), node(3), removing],
    )
    service = Service("s1", "web", replicas=1, healthy={"n011": 1})
    monkeypatch.setattr(surge.Surge, part, lambda *_: 1 // 0)
    for now in (1000.0, 1200.0):
        decided = plan.decide(replace(cluster, services=(service,)), POLICY, now)
        assert any(type(action).__name__ == "Drain" for action in decided.actions) is (now >= goes_on_at)
        said = "The service web is left out of the plan: an unexpected ZeroDivisionError in "
        assert decided.refused[0].startswith(said)
