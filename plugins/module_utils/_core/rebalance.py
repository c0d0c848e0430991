"""Whether a service's tasks are spread unevenly, so that a forced update would spread them better.

The scheduler places a task when it starts and never moves it, so a new node stays empty. It spreads a service's tasks
evenly over the values of its placement preferences, in their order, and then over the nodes. A service is uneven if,
somewhere in that tree, more tasks belong in another branch with room for them than an update itself may misplace: the
last new tasks are placed while old tasks, as many as the update's parallelism, still run on their nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from . import placement, surge
from .cluster import Node, Service
from .counting import counted


@dataclass(frozen=True)
class SpreadVerdict:
    """Whether a service should be rebalanced."""

    name: str
    # Number of tasks to restart; 0 for none.
    tasks: int = 0
    # Why, or why not, as a clause.
    reason: str = ""
    # The number of tasks by node ID, for eligible nodes.
    spread: Mapping[str, int] = field(default_factory=dict)


def judge(service: Service, nodes: Sequence[Node], services: Sequence[Service]) -> SpreadVerdict:
    """Judge whether the service should be rebalanced."""
    eligible = [
        node
        for node in nodes
        if node.state == "ready" and node.availability == "active" and placement.meets(service.needs, node)
    ]
    spread = {node.id: service.wanted_on(node.id) for node in eligible}
    reason = _unfit(service)
    if reason:
        return SpreadVerdict(service.name, 0, reason, spread)
    found = next(_uneven(service, eligible, services, service.needs.spread), None)
    if found is None:
        return SpreadVerdict(service.name, 0, "it is spread as evenly as it can be", spread)
    return SpreadVerdict(service.name, service.replicas, found, spread)


def _unfit(service: Service) -> str:
    """Why its tasks must not be restarted only to be rebalanced; empty if they may."""
    if service.mode != surge.REPLICATED:
        return "it runs on every node" if service.mode == "global" else "it is a job"
    if not service.start_first:
        return "it is not start-first, so a task would stop before its replacement runs"
    if not service.health_checked:
        return "it has no healthcheck, so it is unknown when a new task serves"
    if service.updating:
        return "an update of it is in progress"
    if service.paused:
        return "an update of it is paused"
    if surge.LABEL in service.labels:
        return "it has extra tasks while a node is removed"
    if service.over:
        return "some of its tasks have ended for good, and would run again"
    if service.running < service.replicas:
        return f"{service.running} of {counted(service.replicas, 'task')} healthy"
    return ""


def _uneven(
    service: Service, nodes: Sequence[Node], services: Sequence[Service], spread: Tuple[str, ...]
) -> Iterator[str]:
    """Clauses about branches that have at least two tasks more than another branch with space."""
    if not spread:
        branches: Dict[str, List[Node]] = {node.hostname or node.id: [node] for node in nodes}
    else:
        branches = {}
        for node in nodes:
            branches.setdefault(placement.value(spread[0], node) or "", []).append(node)
    counts = {name: sum(service.wanted_on(node.id) for node in members) for name, members in branches.items()}
    room = {name: placement.room(service, members, services, service.replicas) for name, members in branches.items()}
    if counts and any(room.values()) and _misplaced(counts, room) > (service.parallelism or service.replicas):
        most = max(counts, key=lambda name: counts[name])
        least = min((name for name in counts if room[name]), key=lambda name: counts[name])
        where = f" for {spread[0]}" if spread else ""
        yield f"{most or 'none'} has {counts[most]} of its tasks and {least or 'none'} has {counts[least]}{where}"
    if spread:
        for members in branches.values():
            yield from _uneven(service, members, services, spread[1:])


def _misplaced(counts: Mapping[str, int], room: Mapping[str, int]) -> int:
    """Number of tasks that must move until no branch has two tasks more than another branch with space."""
    have, free = dict(counts), dict(room)
    for moved in range(sum(have.values())):
        targets = [name for name in have if free[name] > 0]
        most = max(have, key=lambda name: have[name])
        least = min(targets, key=lambda name: have[name]) if targets else most
        if have[most] - have[least] <= 1:
            return moved
        have[most] -= 1
        have[least] += 1
        free[most] += 1
        free[least] -= 1
    return 0


def calm(nodes: Optional[Sequence[Node]], removing: Sequence[str]) -> str:
    """Why nothing should be moved now; empty if no node is added or removed."""
    if removing:
        return f"{' and '.join(removing)} is being removed: run this again after that."
    away = [node.hostname or node.id for node in nodes or () if node.state != "ready"]
    if away:
        return f"The node {' and '.join(away)} is not ready: repair or remove it first, or its tasks are moved twice."
    return ""
