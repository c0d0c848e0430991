"""The state of a cluster in sentences."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.account.sentences import sentences

RECORD = {"name": "www", "addresses": ["1", "2"], "wanted": ["1", "2"], "leads_to": {"1": "i-1", "2": "i-2"}, "ttl": 10}


@pytest.mark.parametrize(
    ("quorum", "sentence"),
    [
        ((3, 3, 2, 1), "3 of 3 managers reachable, quorum 2, 1 may fail"),
        ((1, 3, 2, -1), "1 of 3 managers reachable, quorum 2, it is lost"),
    ],
)
def test_the_quorum_is_reported_with_its_margin(quorum: tuple[int, ...], sentence: str) -> None:
    told = dict(zip(("reachable", "voters", "needed", "margin"), quorum, strict=True))
    assert list(sentences({"quorum": told})) == [f"Quorum: {sentence}"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, ["www points to 1, 2 (TTL 10 s): correct"]),
        ({"ttl": None, "ipv6_ttl": 60}, ["www points to 1, 2 (TTL 60 s): correct"]),
        ({"wanted": None}, ["www points to 1, 2 (TTL 10 s)"]),
        ({"wanted": ["1"]}, ["www points to 1, 2 (TTL 10 s)", "www should point to 1"]),
        ({"addresses": [], "leads_to": {}}, ["www has no addresses", "www should point to 1, 2"]),
        ({"addresses": None, "wanted": None, "leads_to": {}}, ["the addresses of www are unknown"]),
        (
            {"leads_to": {"1": "i-1", "2": None}},
            ["www points to 1, 2 (TTL 10 s): correct", "no instance of the cluster runs at 2"],
        ),
    ],
)
def test_the_record_is_reported_beside_the_wanted_record(changed: dict[str, Any], told: list[str]) -> None:
    assert list(sentences({"record": {**RECORD, **changed}})) == [f"DNS: {sentence}" for sentence in told]


def test_agents_are_reported_only_if_their_versions_differ() -> None:
    old, new = [{"node": name, "agent": version} for name, version in (("a", None), ("b", "0.1.0+5891b5b5"))]
    launching = {"node": None, "agent": None}
    assert list(sentences({"members": [new, new, old]})) == ["Agents: 0.1.0+5891b5b5 on 2, an earlier version on 1"]
    assert not list(sentences({"members": [new, launching]}))


def test_targets_are_counted_by_their_states() -> None:
    states = ({"healthy": 2, "draining": 1}, {}, None)
    groups = [{"name": "web", "states": counted} for counted in states]
    assert list(sentences({"balancing": groups})) == [
        "Target group: web has 2 healthy, 1 draining",
        "Target group: web has none",
        "Target group: web has unknown targets",
    ]


def test_planned_actions_come_before_unknown_parts() -> None:
    status = {
        "failures": ["S3 rests."],
        "notes": [],
        "planned": ["Drain"],
        "awaited": ["i-1 to join"],
        "told_by": "i-2",
    }
    assert list(sentences(status)) == ["Next: Drain", "Waits for: i-1 to join", "Unknown: S3 rests."]


def test_only_a_manager_reports_that_nothing_is_in_flight() -> None:
    idle: dict[str, Any] = {"quorum": None, "record": None, "planned": [], "awaited": []}
    assert list(sentences({**idle, "told_by": "i-2"})) == ["In flight: nothing"]
    assert list(sentences({**idle, "told_by": None})) == list(sentences({"told_by": "i-2"})) == []
