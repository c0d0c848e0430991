"""Which services are spread worse than they could be."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import rebalance
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Needs, Service
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.memory_cluster import node

NODES = tuple(node(number, "worker", hostname=f"host-{number}") for number in (1, 2, 3))
WEB = Service("web", "web", replicas=6, start_first=True, health_checked=True, healthy={"n001": 3, "n002": 3})


def judge(service=WEB, nodes=NODES, others=()):
    return rebalance.judge(service, nodes, (service, *others))


def test_a_node_that_stayed_empty_is_a_reason_to_rebalance():
    verdict = judge()
    assert (verdict.tasks, verdict.reason) == (6, "host-1 has 3 of its tasks and host-3 has 0")
    assert dict(verdict.spread) == {"n001": 3, "n002": 3, "n003": 0}


@pytest.mark.parametrize("healthy", [{"n001": 2, "n002": 2, "n003": 2}, {"n001": 3, "n002": 2, "n003": 2}])
def test_an_even_service_is_not_restarted(healthy):
    verdict = judge(replace(WEB, healthy=healthy, replicas=sum(healthy.values())))
    assert (verdict.tasks, verdict.reason) == (0, "it is spread as evenly as it can be")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"start_first": False}, "it is not start-first"),
        ({"health_checked": False}, "it has no healthcheck"),
        ({"mode": "global"}, "it runs on every node"),
        ({"mode": "job"}, "it is a job"),
        ({"updating": True}, "an update of it is in progress"),
        ({"paused": True}, "an update of it is paused"),
        ({"labels": {"swarm.aws.surge": "5+1"}}, "extra tasks while a node is removed"),
        ({"replicas": 7}, "6 of 7 tasks healthy"),
        ({"replicas": 7, "over": frozenset("1"), "done": 1}, "some of its tasks have ended for good"),
    ],
)
def test_a_service_that_cannot_restart_without_a_gap_is_left_alone(more, said):
    verdict = judge(replace(WEB, **more))
    assert verdict.tasks == 0
    assert said in verdict.reason


@pytest.mark.parametrize(
    "third",
    [
        replace(NODES[2], availability="drain"),
        replace(NODES[2], availability="pause"),
        replace(NODES[2], state="down"),
        replace(NODES[2], role="manager"),
        replace(NODES[2], memory=100),
    ],
)
def test_a_node_that_cannot_run_the_tasks_is_no_reason_to_rebalance(third):
    needs = Needs(constraints=("node.role==worker",), memory=1000)
    assert judge(replace(WEB, needs=needs), (*NODES[:2], third)).tasks == 0


def test_a_limit_of_tasks_per_node_counts_as_even():
    service = replace(WEB, needs=Needs(most_per_node=4), healthy={"n001": 4})
    assert judge(replace(service, replicas=4), NODES[:2]).tasks == 4
    assert judge(replace(service, needs=Needs(most_per_node=1), replicas=4), NODES[:2]).tasks == 0


def zoned(number, zone):
    return replace(NODES[number - 1], labels={"zone": zone})


def test_placement_preferences_count_before_nodes():
    """Two nodes in zone a and one in b: six tasks a zone are even, although its nodes have three, three and six."""
    service = replace(WEB, replicas=12, needs=Needs(spread=("node.labels.zone",)))
    service = replace(service, healthy={"n001": 3, "n002": 3, "n003": 6})
    nodes = (zoned(1, "a"), zoned(2, "a"), zoned(3, "b"))
    assert judge(service, nodes).tasks == 0
    assert judge(replace(service, needs=Needs()), nodes).tasks == 12
    lopsided = replace(service, healthy={"n001": 4, "n002": 4, "n003": 4})
    assert judge(lopsided, nodes).reason == "a has 8 of its tasks and b has 4 for node.labels.zone"
    within = replace(service, healthy={"n001": 6, "n003": 6})
    assert judge(within, nodes).reason == "host-1 has 6 of its tasks and host-2 has 0"


@pytest.mark.parametrize(("parallelism", "tasks"), [(1, 6), (2, 0), (3, 0), (0, 0)])
def test_a_service_that_an_update_leaves_uneven_is_not_restarted(parallelism, tasks):
    """Two of six would have to move: that many old tasks take up their nodes while the last two new ones are placed."""
    assert judge(replace(WEB, parallelism=parallelism)).tasks == tasks


def test_no_service_is_restarted_while_nodes_come_or_go():
    assert rebalance.calm(NODES, []) == ""
    assert "i-001 is being removed" in rebalance.calm(NODES, ["i-001"])
    assert "host-3 is not ready" in rebalance.calm((*NODES[:2], replace(NODES[2], state="down")), [])


@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=6),
    st.integers(0, 12),
    st.integers(0, 3),
    st.booleans(),
)
def test_a_spread_by_the_scheduler_counts_as_even(zones, replicas, most, spread):
    """Swarm places each task in the branch, and then on the node, with the fewest tasks."""
    nodes = [node(number, "worker", labels={"zone": zone}) for number, zone in enumerate(zones, 1)]
    needs = Needs(most_per_node=most, spread=("node.labels.zone",) if spread else ())
    counts: Counter[str] = Counter()
    for _ in range(replicas):
        free = [node for node in nodes if not most or counts[node.id] < most]
        if not free:
            break
        in_zone = Counter({node.labels["zone"]: 0 for node in nodes})
        for host in nodes:
            in_zone[host.labels["zone"]] += counts[host.id]
        best = min(
            free,
            key=lambda candidate: (
                in_zone[candidate.labels["zone"]] if spread else 0,
                counts[candidate.id],
                candidate.id,
            ),
        )
        counts[best.id] += 1
    service = replace(WEB, replicas=sum(counts.values()), healthy=dict(counts), needs=needs)
    assert judge(service, nodes).tasks == 0
