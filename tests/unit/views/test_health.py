"""The state of a cluster in a sentence, and why the record omits a node."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import report
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Needs, Service
from ansible_collections.swarm.aws.plugins.module_utils._core.health import health
from ansible_collections.swarm.aws.plugins.module_utils._core.plan import decide

from tests.unit.core.memory_cluster import POLICY, dead, gone, instance, node, observed, record

HOSTS = [*(instance(number) for number in (1, 2, 3)), instance(4, "worker")]
NODES = [node(1, leader=True), node(2), node(3), node(4, "worker")]
WEB = Service("s1", "web", replicas=6, healthy={"n001": 2, "n002": 2, "n003": 1, "n004": 1})
RECORD = record(1, 2, 3)
WELL = replace(observed(HOSTS, NODES, RECORD), services=(WEB,), desired={"manager": 3, "worker": 1})
REQUEST = {**NODES[3].labels, "swarm.aws.remove-requested": "1"}


def nodes(*changed):
    """The nodes, some of them changed."""
    by_id = {node.id: node for node in changed}
    return tuple(by_id.get(node.id, node) for node in NODES)


@pytest.mark.parametrize(
    ("seen", "state", "sentence"),
    [
        (WELL, "healthy", "Healthy: 4 of 4 nodes, 6 of 6 tasks"),
        (replace(WELL, services=()), "healthy", "Healthy: 4 of 4 nodes, no tasks"),
        (replace(WELL, nodes=None), "unknown", "Unknown: this manager's engine does not answer"),
        (replace(WELL, instances=None), "unknown", "Unknown: EC2 and Auto Scaling do not answer"),
        (
            replace(WELL, nodes=nodes(replace(NODES[3], labels=REQUEST))),
            "changing",
            "Changing: 3 of 4 nodes, 6 of 6 tasks; i-004 is being removed",
        ),
        (
            replace(WELL, nodes=nodes(dead(2))),
            "unhealthy",
            "Unhealthy: 3 of 4 nodes, 6 of 6 tasks; i-002 is down",
        ),
        (
            replace(WELL, nodes=nodes(replace(NODES[1], reachable=False))),
            "unhealthy",
            "Unhealthy: 3 of 4 nodes, 6 of 6 tasks; i-002 is unreachable",
        ),
        (
            replace(WELL, nodes=NODES[:3]),
            "unhealthy",
            "Unhealthy: 3 of 4 nodes, 6 of 6 tasks; i-004 is not in the swarm",
        ),
        (
            replace(WELL, instances=(*HOSTS[:3], instance(5, "worker", lifecycle="Pending:Wait")), nodes=NODES[:3]),
            "changing",
            "Changing: 3 of 4 nodes, 6 of 6 tasks; i-005 is joining",
        ),
        (
            replace(WELL, instances=HOSTS[:3], nodes=NODES[:3]),
            "changing",
            "Changing: 3 of 4 nodes, 6 of 6 tasks; Auto Scaling starts 1 instance",
        ),
        (
            replace(WELL, instances=HOSTS[:3], nodes=NODES[:3], launch_failures={"worker": "no capacity"}),
            "unhealthy",
            "Unhealthy: 3 of 4 nodes, 6 of 6 tasks; launches of the group worker fail",
        ),
        (
            replace(WELL, instances=(*HOSTS[:3], gone(4, "worker")), nodes=nodes(dead(4, "worker"))),
            "changing",
            "Changing: 3 of 4 nodes, 6 of 6 tasks; Auto Scaling starts 1 instance",
        ),
        (
            replace(WELL, services=(replace(WEB, replicas=7, starting={"n001": 1}),)),
            "changing",
            "Changing: 4 of 4 nodes, 6 of 7 tasks; web is starting",
        ),
        (
            replace(WELL, services=(replace(WEB, replicas=7, pending=1, why_pending="no suitable node"),)),
            "unhealthy",
            "Unhealthy: 4 of 4 nodes, 6 of 7 tasks; web runs 6 of 7 tasks",
        ),
        (
            replace(
                WELL, services=(Service("s2", "db", replicas=1, starting={"n001": 1}, failing=frozenset({"n001"})),)
            ),
            "unhealthy",
            "Unhealthy: 4 of 4 nodes, 0 of 1 task; db runs 0 of 1 task",
        ),
        (
            replace(WELL, record=record(1, 2)),
            "changing",
            "Changing: 4 of 4 nodes, 6 of 6 tasks; update the DNS record www.example.com: add 198.51.100.3",
        ),
        (
            replace(WELL, instances=(*HOSTS[:3], replace(HOSTS[3], scaling_group=None, lifecycle=None))),
            "attention",
            "Needs attention: 4 of 4 nodes, 6 of 6 tasks; i-004 is in no Auto Scaling group: it is neither replaced "
            "nor in the record",
        ),
        (
            replace(
                WELL,
                services=(replace(WEB, balanced=True),),
                nodes=nodes(replace(NODES[3], engine_labels={**NODES[3].engine_labels, "swarm.aws.lacks": "ip_vs"})),
            ),
            "attention",
            "Needs attention: 4 of 4 nodes, 6 of 6 tasks; The kernel has no IPVS (ip_vs) on i-004, so web cannot be "
            "reached from there by virtual address or routing mesh",
        ),
        (
            replace(WELL, nodes=nodes(dead(2), dead(3), dead(4, "worker"))),
            "unhealthy",
            "Unhealthy: 1 of 4 nodes, 6 of 6 tasks; i-002 is down, i-003 is down, and 1 more",
        ),
    ],
)
def test_the_health_is_a_sentence_with_its_reason(seen, state, sentence):
    assert health(seen, POLICY, decide(seen, POLICY, 0), 0) == {"state": state, "sentence": sentence}


def rows(seen):
    return {row["instance"]: row for row in report.moment(seen, POLICY, decide(seen, POLICY, 0), 0)["members"]}


@pytest.mark.parametrize(
    ("instance_changes", "node_changes", "reason"),
    [
        ({}, {}, "it will be added"),
        ({"group": "worker"}, {}, "dns is false for the group worker"),
        ({"public_address": None}, {}, "it has no public address"),
        ({"lifecycle": "Standby"}, {}, "it is not in service"),
        ({}, {"availability": "drain"}, "it is drained"),
        ({}, {"state": "down"}, "its node is down"),
        ({}, {"reachable": False}, "its node is unreachable"),
        ({}, {"labels": {**NODES[1].labels, "swarm.aws.remove-requested": "1"}}, "it is being removed"),
    ],
)
def test_a_node_that_the_record_omits_has_the_reason(instance_changes, node_changes, reason):
    hosts = [HOSTS[0], replace(HOSTS[1], **instance_changes), *HOSTS[2:]]
    seen = replace(WELL, instances=tuple(hosts), nodes=nodes(replace(NODES[1], **node_changes)), record=record(1, 3))
    found = rows(seen)
    assert (found["i-002"]["omitted"], found["i-001"]["omitted"]) == (reason, None)


def test_a_node_without_its_host_port_service_has_that_reason():
    proxy = Service("s2", "proxy", mode="global", healthy={"n001": 1}, needs=Needs(host_ports=(80,)))
    assert rows(replace(WELL, services=(proxy,), record=record(1)))["i-002"]["omitted"] == "proxy does not run on it"
    assert rows(replace(WELL, nodes=NODES[:1], record=record(1)))["i-002"]["omitted"] == "it has not joined the swarm"


def test_a_node_has_its_capacity_and_what_its_tasks_reserve():
    web = replace(WEB, needs=Needs(memory=100, cpus=250_000_000))
    found = rows(replace(WELL, services=(web,), nodes=nodes(replace(NODES[0], memory=1000, cpus=2_000_000_000))))
    assert found["i-001"]["capacity"] == {"cpus": 2.0, "cpus_reserved": 0.5, "memory": 1000, "memory_reserved": 200}
    assert found["i-002"]["capacity"]["cpus"] is None
