"""What is measured of a cluster, and the forms in which it is told."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.swarm.aws.plugins.module_utils._core import metrics
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Cluster, Service
from ansible_collections.swarm.aws.plugins.module_utils._core.plan import decide
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Policy
from hypothesis import given
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.core import memory_cluster, states
from tests.unit.core.test_plan import NODES, THREE

STUCK = Service("s1", "web", replicas=3, healthy={"n1": 2}, pending=1, why_pending="no suitable node")
LOOKED_FOR = Service("s2", "api", replicas=1, pending=1)


def measured(observed: Cluster, policy: Policy = memory_cluster.POLICY) -> dict[str, float]:
    """The values by name and labels."""
    found = metrics.measure(observed, policy, decide(observed, policy, 0))
    return {
        measured.family.name + "".join(f" {value}" for _, value in measured.labels): measured.value
        for measured in found
    }


def test_a_lost_manager_reduces_the_margin_and_counts_as_down() -> None:
    good = measured(memory_cluster.observed(THREE, NODES))
    bad = measured(memory_cluster.observed(THREE, [*NODES[:2], memory_cluster.dead(3)]))
    names = ("raft_voters", "raft_reachable", "quorum_margin", "nodes_ready", "nodes_down")
    assert [good[f"swarm_{name}"] for name in names] == [3, 3, 1, 3, 0]
    assert [bad[f"swarm_{name}"] for name in names] == [3, 2, 0, 2, 1]
    assert bad["swarm_nodes active manager down"] == 1


def test_only_tasks_that_the_scheduler_cannot_place_are_unschedulable() -> None:
    observed = replace(
        memory_cluster.observed([memory_cluster.instance(1)], [memory_cluster.node(1, leader=True)]),
        services=(STUCK, LOOKED_FOR),
    )
    found = measured(observed)
    assert found["swarm_tasks_unschedulable"] == found["swarm_service_tasks_unschedulable web"] == 1
    assert (found["swarm_service_tasks_running web"], found["swarm_service_tasks_wanted web"]) == (2, 3)
    assert found["swarm_service_tasks_unschedulable api"] == 0


def test_the_record_is_compared_with_the_wanted_record() -> None:
    found = measured(memory_cluster.observed(THREE, NODES, memory_cluster.record(1, 2, 9)))
    assert found["swarm_record_addresses"] == 3
    assert found["swarm_record_differences"] == 2, "3 is missing and 9 is too many"


def test_groups_whose_launches_fail_are_counted() -> None:
    seen = memory_cluster.observed(THREE, NODES)
    assert measured(seen)["swarm_launch_failures"] == 0
    assert measured(replace(seen, launch_failures={"worker": "quota"}))["swarm_launch_failures"] == 1


def test_unknown_values_are_omitted() -> None:
    found = measured(Cluster(None, None, None, None, services=None))
    assert set(found) == {"swarm_interruptions waiting", "swarm_interruptions held", "swarm_actions_planned"}


@given(states.clusters())
def test_prometheus_reads_every_measured_value(observed: Cluster) -> None:
    told = metrics.measure(observed, memory_cluster.POLICY, decide(observed, memory_cluster.POLICY, 0))
    read = [
        (sample.name, dict(sample.labels), sample.value)
        for family in text_string_to_metric_families(metrics.exposition(told))
        for sample in family.samples
    ]
    assert read == [(measured.family.name, dict(measured.labels), measured.value) for measured in told]


def test_labels_are_escaped() -> None:
    odd = 'a "quoted"\\\nname'
    told = metrics.exposition([metrics.sample(metrics.TASKS_RUNNING, 1, service=odd)])
    (family,) = text_string_to_metric_families(told)
    assert family.samples[0].labels == {"service": odd}
    assert family.documentation == metrics.TASKS_RUNNING.help


def test_cloudwatch_gets_at_most_ten_metrics() -> None:
    names = [family.cloudwatch for family in metrics.FAMILIES if family.cloudwatch and not family.dimension]
    assert len(set(names)) == 10, "which is what an account has for nothing"


def test_each_metric_has_its_own_name() -> None:
    names = [family.name for family in metrics.FAMILIES]
    assert len(names) == len(set(names))
    assert all(family.name.endswith("_total") == (family.kind == metrics.COUNTER) for family in metrics.FAMILIES)


def test_without_a_backup_its_age_is_that_of_the_swarm() -> None:
    assert [(measured.family.name, measured.value) for measured in metrics.age(None, 100, 250)] == [
        ("swarm_backup_timestamp_seconds", 0),
        ("swarm_backup_age_seconds", 150),
    ]
    assert [measured.value for measured in metrics.age(200, 100, 250)] == [200, 50]
