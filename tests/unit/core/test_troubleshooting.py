"""The page of what is said when bucket and swarm disagree has each sentence of the code, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import deputy, events
from ansible_collections.swarm.aws.plugins.module_utils._core.aws_time import AwsTime
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import (
    CLAIMED,
    FORMED,
    RESTORING,
    ClusterRecord,
    InvalidClusterRecord,
    Published,
)
from ansible_collections.swarm.aws.plugins.module_utils._core.join.join_decision import (
    PATIENCE_SECONDS,
    Me,
    NodeView,
    Sighting,
    decide,
    hindrance,
)
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import LISTENS, SILENT, Membership, Stored
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Policy, PolicyError
from ansible_collections.swarm.aws.plugins.module_utils._core.record_authority import judge

from tests.unit.core.memory_cluster import FORMED_RECORD, instance, node, observed

PAGE = Path(__file__).parents[3] / "docs/troubleshooting.md"
OTHER = ClusterRecord(FORMED, "i-9", "", 9, "other")
SEEN = observed([instance(1)], [node(1, leader=True)])
MANAGER, WORKER = Me("demo", "i-2", "manager"), Me("demo", "i-3", "worker")
MEMBER = Membership("active", "swarm", "n2")


def judged() -> Iterator[str]:
    """What the leader's agent says."""
    forgets = replace(SEEN, remembered=None)
    for cluster in (
        replace(forgets, published=Published(OTHER, "v")),
        replace(forgets, published=Published(None, None)),
        replace(forgets, published=None),
        replace(SEEN, swarm_id=None),
        replace(SEEN, published=Published(OTHER, "v")),
        replace(SEEN, published=Published(ClusterRecord(RESTORING, "i-9", "", 9), "v")),
        replace(SEEN, published=Published(None, None), nodes=(node(1), *(node(n, reachable=False) for n in (2, 3, 4)))),
        replace(SEEN, elsewhere=("i-2", "i-3")),
    ):
        yield judge(cluster).reason


def joining() -> Iterator[str]:
    """What an agent says that is to make its node a member."""
    yield hindrance(None, 0)
    yield hindrance([Sighting("i-4", LISTENS)], 0)
    yield hindrance([Sighting("i-4", SILENT)], 0)
    yield hindrance([Sighting("i-4", SILENT)], PATIENCE_SECONDS)
    none = NodeView(None, 0, MEMBER, 0)
    other = replace(none, cluster_record=Stored(OTHER, "v"))
    deleted = replace(none, cluster_record=Stored(FORMED_RECORD, "v"), deleted=True)
    for me, view in ((WORKER, none), (MANAGER, none), (MANAGER, other), (MANAGER, deleted)):
        yield decide(me, view).reason  # type: ignore[union-attr]
    for content in ("{", ClusterRecord(CLAIMED, "", "", 1).line()):
        with pytest.raises(InvalidClusterRecord) as invalid:
            ClusterRecord.decode(content)
        yield str(invalid.value)


def policies() -> Iterator[str]:
    """What is said of a policy, with what `policy_or_last` adds."""
    with pytest.raises(PolicyError) as invalid:
        Policy.read(b"{")
    for why in ("There is no policy.json in the bucket b: run site.yml.", str(invalid.value)):
        yield f"{why} Until that is fixed, the last valid policy counts."


def hosts() -> Iterator[str]:
    """What is said of a host, of its agent, and of a message."""
    for off in (600, -600):
        time = AwsTime(lambda off=off: 1e9 + off, lambda: 0.0)  # type: ignore[misc]
        time.observe(1e9, 0.0)
        yield time.flaw()
    yield deputy.silent("n1")
    yield deputy.unknown("The engine did not answer the request to tell who leads.")
    yield events.unhandled("m1", "its kind is unknown")


def test_the_page_has_every_sentence_and_no_other() -> None:
    quoted = [line.strip() for line in PAGE.read_text().splitlines() if line.startswith("    ")]
    sentences = [line for line in quoted if not line.startswith(("ansible-playbook", "aws "))]
    said = [*judged(), *joining(), *policies(), *hosts()]
    assert all(said)

    def matches(pattern: str, sentence: str) -> bool:
        return re.fullmatch(".+".join(map(re.escape, pattern.split("…"))), sentence) is not None

    assert [sentence for sentence in said if not any(matches(pattern, sentence) for pattern in sentences)] == []
    assert [pattern for pattern in sentences if not any(matches(pattern, sentence) for sentence in said)] == []
