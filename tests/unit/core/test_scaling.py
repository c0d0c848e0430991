"""How many nodes a group needs, of chosen and of random swarms."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import placement, scaling
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Cluster, Needs, Node, Service
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Group, Policy, Scaling
from hypothesis import given
from hypothesis import strategies as st

from . import memory_cluster

MOST = 6
POLICY = replace(
    memory_cluster.POLICY,
    groups={**memory_cluster.POLICY.groups, "worker": Group("worker", {"disk": "ssd"}, scaling=Scaling(1, MOST))},
)
GIB, CPU = 2**30, 10**9


def worker(number: int, **more: object) -> Node:
    return replace(memory_cluster.node(number, "worker"), memory=4 * GIB, cpus=2 * CPU, **more)  # type: ignore[arg-type]


def swarm(nodes: list[Node], services: list[Service], desired: int | None = None) -> Cluster:
    """Managers aside, a swarm of these workers."""
    instances = [memory_cluster.instance(int(node.id[1:]), "worker") for node in nodes]
    seen = memory_cluster.observed(
        [memory_cluster.instance(99), *instances], [memory_cluster.node(99, leader=True), *nodes]
    )
    wanted = len(nodes) if desired is None else desired
    return replace(seen, services=tuple(services), desired={"manager": 1, "worker": wanted})


def service(name: str, on: dict[str, int] | None = None, pending: int = 0, mode: str = "replicated", **needs: object):
    replicas = sum((on or {}).values()) + pending
    why = "no suitable node" if pending else ""
    asked = Needs(**needs)  # type: ignore[arg-type]
    return Service(name, name, mode, replicas, needs=asked, healthy=on or {}, pending=pending, why_pending=why)


def needed(observed: Cluster, policy: Policy = POLICY) -> int:
    return scaling.capacities(observed, policy)["worker"].needed


def test_a_busy_node_is_needed_and_a_node_with_global_tasks_only_is_not() -> None:
    agents = service("agents", {"n001": 1, "n002": 1, "n003": 1}, mode="global")
    web = service("web", {"n002": 2})
    found = scaling.capacities(swarm([worker(1), worker(2), worker(3)], [agents, web]), POLICY)["worker"]
    assert (found.needed, found.desired, found.reservation) == (1, 3, 33.333)


@pytest.mark.parametrize(
    ("needs", "pending", "more"),
    [
        ({"memory": 3 * GIB}, 1, 1),
        ({"memory": 2 * GIB}, 4, 2),
        ({"cpus": CPU}, 3, 2),
        ({"most_per_node": 1}, 2, 2),
        ({"host_ports": (80,)}, 2, 2),
        ({"constraints": ("node.labels.disk == ssd",), "memory": GIB}, 1, 1),
        ({"constraints": ("node.labels.swarm.aws.group==worker",), "memory": GIB}, 1, 1),
        # Which zone a new node is in is not known beforehand.
        ({"constraints": ("node.labels.swarm.aws.zone == eu-west-1c",)}, 1, 1),
        # Another node of the group would be of no use.
        ({"memory": 5 * GIB}, 1, 0),
        ({"constraints": ("node.labels.disk == hdd",)}, 1, 0),
        ({"constraints": ("node.role == manager",)}, 1, 0),
        ({"constraints": ("node.hostname == other",)}, 1, 0),
        # No more than the group may have.
        ({"memory": 3 * GIB}, 50, MOST - 2),
    ],
)
def test_pending_tasks_need_enough_new_nodes_for_all(needs: dict[str, object], pending: int, more: int) -> None:
    full = service("full", {"n001": 1, "n002": 1}, memory=4 * GIB)
    assert needed(swarm([worker(1), worker(2)], [full, service("web", pending=pending, **needs)])) == 2 + more


def test_a_task_that_the_scheduler_has_not_tried_needs_no_node() -> None:
    waiting = replace(service("web", pending=1, memory=GIB), why_pending="")
    assert needed(swarm([worker(1)], [service("full", {"n001": 1}), waiting])) == 1


def test_global_services_use_room_on_a_new_node_too() -> None:
    agents = service("agents", {"n001": 1}, mode="global", memory=2 * GIB)
    full = service("full", {"n001": 1}, memory=2 * GIB)
    assert needed(swarm([worker(1)], [agents, full, service("web", pending=2, memory=2 * GIB)])) == 3
    assert needed(swarm([worker(1)], [agents, full, service("web", pending=2, memory=3 * GIB)])) == 1


def test_a_starting_node_is_not_requested_twice() -> None:
    tasks = [service("full", {"n001": 1}, memory=4 * GIB), service("web", pending=1, memory=3 * GIB)]
    found = scaling.capacities(swarm([worker(1)], tasks, desired=2), POLICY)["worker"]
    assert found.reservation == 100
    # It has come, and the scheduler is about to look.
    assert needed(swarm([worker(1), worker(2)], tasks)) == 2


def test_a_drained_or_down_node_counts_until_it_is_terminated() -> None:
    web = service("web", {"n001": 1})
    assert needed(swarm([worker(1), worker(2, availability="drain")], [web])) == 2
    down = replace(worker(2), state="down")
    assert needed(swarm([worker(1), down], [web])) == 2
    seen = swarm([worker(1), worker(2)], [web], desired=1)
    ending = tuple(
        replace(instance, lifecycle="Terminating:Wait") if instance.id == "i-002" else instance
        for instance in seen.instances or ()
    )
    assert needed(replace(seen, instances=ending, services=(service("web", {"n001": 1, "n002": 1}),))) == 1


def test_a_node_that_cannot_take_the_others_tasks_is_no_spare() -> None:
    """Auto Scaling chooses which instance it terminates."""
    pinned = service("pinned", {"n001": 1}, constraints=("node.labels.volume.data == true",))
    first = worker(1)
    first = replace(first, labels={**first.labels, "volume.data": "true"})
    assert needed(swarm([first, worker(2)], [pinned])) == 2
    assert needed(swarm([worker(1), replace(worker(2), memory=GIB)], [service("web", {"n001": 2}, memory=GIB)])) == 2


def test_the_first_suitable_group_gets_the_node_up_to_its_max() -> None:
    more = Group("worker", scaling=Scaling(1, 2))
    policy = replace(POLICY, groups={**memory_cluster.POLICY.groups, "worker": more, "other": replace(more)})
    other = replace(worker(2), labels={**worker(2).labels, "swarm.aws.group": "other"})
    seen = swarm([worker(1), other], [service("full", {"n001": 1, "n002": 1}, memory=4 * GIB)])
    instances = tuple(
        replace(instance, group="other") if instance.id == "i-002" else instance for instance in seen.instances or ()
    )
    seen = replace(seen, instances=instances, desired={"worker": 1, "other": 1})
    for pending, expected in ((1, (2, 1)), (2, (2, 2)), (3, (2, 2))):
        services = (*(seen.services or ()), service("web", pending=pending, memory=4 * GIB))
        found = scaling.capacities(replace(seen, services=services), policy)
        assert (found["worker"].needed, found["other"].needed) == expected


def test_groups_in_upgrade_unknown_or_without_scaling_have_no_metric() -> None:
    seen = swarm([worker(1)], [])
    assert list(scaling.capacities(seen, POLICY)) == ["worker"]
    assert not scaling.capacities(seen, memory_cluster.POLICY)
    assert not scaling.capacities(replace(seen, upgrading=frozenset({"worker"})), POLICY)
    for unknown in ({"nodes": None}, {"services": None}, {"instances": None}, {"desired": {}}):
        assert not scaling.capacities(replace(seen, **unknown), POLICY)  # type: ignore[arg-type]
    assert not scaling.capacities(swarm([replace(worker(1), state="down")], []), POLICY)


def test_the_policy_names_the_groups_that_scale() -> None:
    document = {"cluster": "example", "groups": {"worker": {"role": "worker", "scaling": {"min": 1, "max": 4}}}}
    assert Policy.parse(document).groups["worker"].scaling == Scaling(1, 4)
    assert Policy.parse(document).scales


# Random swarms. Tasks are placed as the scheduler does: where the constraints and reservations let them, spread.


@st.composite
def asked(draw: st.DrawFn) -> list[Service]:
    """Services without a task anywhere yet, each with how many are to be as ``pending``."""
    found = []
    for number in range(draw(st.integers(0, 4))):
        mode = draw(st.sampled_from(("replicated", "replicated", "replicated", "global")))
        needs = {
            "memory": draw(st.integers(0, 5)) * GIB,
            "cpus": draw(st.integers(0, 4)) * CPU // 2,
            "most_per_node": draw(st.sampled_from((0, 0, 1, 2))),
            "constraints": draw(
                st.sampled_from(((), (), ("node.role == worker",), ("node.labels.disk != ssd",), ("node.id == n001",)))
            ),
        }
        found.append(service(f"s{number}", pending=draw(st.integers(0, 5)), mode=mode, **needs))
    return found


def scheduled(nodes: list[Node], services: list[Service]) -> list[Service]:
    """The same once the scheduler has looked: what runs on nodes that stay goes on there, and the rest is placed."""
    bins = {node.id: scaling._Bin(node) for node in nodes}
    kept = {
        service.id: {node: number for node, number in service.healthy.items() if node in bins} for service in services
    }
    for service in services:
        for node, number in kept[service.id].items():
            bins[node].put(service, number)
    placed = []
    for service in sorted(services, key=lambda item: item.mode != placement.GLOBAL):
        on = kept[service.id]
        if service.mode == placement.GLOBAL:
            for name, there in bins.items():
                if name not in on and there.takes(service):
                    there.put(service)
                    on[name] = 1
            placed.append(replace(service, healthy=on, pending=0, why_pending=""))
            continue
        left = service.pending + service.running - sum(on.values())
        while left:
            room = [name for name, there in bins.items() if there.takes(service)]
            if not room:
                break
            best = min(room, key=lambda name: (on.get(name, 0), sum(count for _one, count in bins[name].load)))
            bins[best].put(service)
            on[best] = on.get(best, 0) + 1
            left -= 1
        placed.append(replace(service, healthy=on, pending=left, why_pending="no suitable node" if left else ""))
    return placed


def labelled(count: int) -> list[Node]:
    return [replace(worker(number), labels={**worker(number).labels, "disk": "ssd"}) for number in range(1, count + 1)]


def busy(seen: Cluster) -> int:
    ids = {node.id for node in seen.nodes or () if node.role == "worker"}
    on = {node for service in seen.services or () if service.mode != placement.GLOBAL for node in service.healthy}
    return len(ids & on)


@given(st.integers(1, MOST), asked(), st.integers(0, 2))
def test_the_result_is_between_the_busy_nodes_and_max(count: int, services: list[Service], coming: int) -> None:
    nodes = labelled(count)
    seen = swarm(nodes, scheduled(nodes, services), desired=min(MOST, count + coming))
    assert max(1, busy(seen)) <= needed(seen) <= MOST


@given(st.integers(1, MOST), asked(), st.integers(1, 4))
def test_a_pending_task_that_fits_on_a_new_node_raises_the_result(
    count: int, services: list[Service], memory: int
) -> None:
    nodes = labelled(count)
    settled = [replace(service, pending=0, why_pending="") for service in scheduled(nodes, services)]
    before = needed(swarm(nodes, settled))
    reserved = sum(service.needs.memory for service in services if service.mode == placement.GLOBAL)
    more = service("more", pending=1, memory=memory * GIB)
    fits = reserved + memory * GIB <= 4 * GIB
    after = needed(swarm(nodes, [*settled, more]))
    assert after >= before
    if fits:
        # The smallest service needs an idle node, which is kept.
        assert after >= min(MOST, busy(swarm(nodes, settled)) + 1)
    full = [*settled, service("full", {node.id: 1 for node in nodes}, memory=4 * GIB)]
    if fits:
        assert needed(swarm(nodes, [*full, more])) == min(MOST, count + 1)


@given(st.integers(1, MOST), asked())
def test_with_the_same_tasks_the_size_converges_and_stays(count: int, services: list[Service]) -> None:
    """Target tracking follows the ratio. If Auto Scaling terminates a node, its tasks start elsewhere."""
    nodes, sizes = labelled(count), []
    tasks = scheduled(nodes, services)
    for _round in range(3 * MOST):
        seen = swarm(nodes, tasks)
        capacity = scaling.capacities(seen, POLICY)["worker"]
        wanted = math.ceil(capacity.desired * capacity.reservation / 100)
        assert wanted == capacity.needed
        sizes.append(len(nodes))
        if wanted < len(nodes):
            # The worst choice: those that have tasks, which then are scheduled anew.
            nodes = sorted(nodes, key=lambda node: any(node.id in task.healthy for task in tasks))[:wanted]
        elif wanted > len(nodes):
            free = [new for new in labelled(2 * MOST) if new.id not in {node.id for node in nodes}]
            nodes = [*nodes, *free[: wanted - len(nodes)]]
        tasks = scheduled(nodes, tasks)
    assert sizes[-1] == sizes[-2] == sizes[MOST + 2], sizes
