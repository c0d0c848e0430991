"""Who acts for a leader whose agent is silent."""

from __future__ import annotations

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.deputy import SILENT_AFTER, Deputy
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import Stored

from .memory_cluster import node

pytestmark = pytest.mark.fault(44)
NODES = [node(1, leader=True), node(2), node(3), node(4, "worker")]


def test_the_first_reachable_manager_replaces_a_silent_leaders_agent() -> None:
    deputies = {own: Deputy() for own in ("n002", "n003")}

    def acts(now: float, listed: Stored[str] | None, nodes=NODES) -> dict[str, str]:
        return {own: deputy.acts(own, nodes, listed, now) for own, deputy in deputies.items()}

    nobody = {"n002": "", "n003": ""}
    assert acts(0, Stored("n001", "v1")) == nobody
    assert acts(SILENT_AFTER - 1, Stored("n001", "v1")) == nobody
    assert acts(SILENT_AFTER, Stored("n001", "v1")) == {"n002": "n001", "n003": ""}
    assert acts(SILENT_AFTER + 20, Stored("n002", "v2")) == {"n002": "n001", "n003": ""}, (
        "its own list is not the leader's"
    )
    assert acts(SILENT_AFTER + 40, Stored("n001", "v3")) == nobody, "the leader's agent is back"
    away = [NODES[0], node(2, reachable=False), *NODES[2:]]
    assert acts(2 * SILENT_AFTER + 40, Stored("n001", "v3"), away) == {"n002": "", "n003": "n001"}


def test_a_new_leader_gets_the_full_time() -> None:
    deputy = Deputy()
    deputy.acts("n002", NODES, Stored("n001", "v1"), 0)
    other = [node(1), node(2), node(3, leader=True)]
    assert deputy.acts("n002", other, Stored("n001", "v1"), SILENT_AFTER + 5) == ""
    assert deputy.acts("n002", other, None, 2 * SILENT_AFTER) == ""
    assert deputy.acts("n001", other, None, 2 * SILENT_AFTER + 5) == "n003"
    assert deputy.acts("n001", [node(1), node(2)], None, 9 * SILENT_AFTER) == "", "nobody leads"
