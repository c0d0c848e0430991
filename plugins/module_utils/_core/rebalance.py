"""Whether a service's tasks are spread worse than they could be, and so whether starting them anew would help.

The scheduler places a task when it starts and never moves it, so that a node that joins stays empty. It spreads a
service's tasks evenly over the values of its placement preferences, one preference after the other, and within those
over the nodes. A service is uneven if somewhere in that tree more tasks should be in another branch, which has room for
them, than an update may leave where they should not be: the last of its new tasks are placed while as many old ones, as
it replaces at a time, still take up their nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from . import placement, surge
from .cluster import Node, Service


@dataclass(frozen=True)
class SpreadVerdict:
    """What is to be done about a service."""

    name: str
    # How many tasks are to be started anew; 0 for none.
    tasks: int = 0
    # Why, or why not, as a clause.
    reason: str = ""
    # How many tasks each node has, of those that may have any: by node ID.
    spread: Mapping[str, int] = field(default_factory=dict)


def judge(service: Service, nodes: Sequence[Node], services: Sequence[Service]) -> SpreadVerdict:
    """Whether the service is to be spread anew."""
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
    """Why its tasks must not be started anew just to be spread; empty if they may."""
    if service.mode != surge.REPLICATED:
        return "it runs on every node" if service.mode == "global" else "it is a job"
    if not service.start_first:
        return "it is not start-first, so that a task would stop before another one runs"
    if not service.health_checked:
        return "it has no healthcheck, so that nobody could tell when a new task serves"
    if service.updating:
        return "an update of it is under way"
    if service.paused:
        return "an update of it is paused"
    if surge.LABEL in service.labels:
        return "it has more tasks than usual while a node is taken out"
    if service.over:
        return "some of its tasks have ended for good, and would run again"
    if service.running < service.replicas:
        return f"{service.running} of its {service.replicas} tasks are healthy"
    return ""


def _uneven(
    service: Service, nodes: Sequence[Node], services: Sequence[Service], spread: Tuple[str, ...]
) -> Iterator[str]:
    """Where in the tree a branch has two tasks more than another that has room, as clauses."""
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
    """How many tasks have to move until no branch has two more than another one that has room."""
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
    """Why nothing is to be moved now; empty if nodes neither come nor go."""
    if removing:
        return f"{' and '.join(removing)} is being taken out: run this again when that is over."
    away = [node.hostname or node.id for node in nodes or () if node.state != "ready"]
    if away:
        return f"The node {' and '.join(away)} is not ready: repair or remove it first, or its tasks are moved twice."
    return ""
