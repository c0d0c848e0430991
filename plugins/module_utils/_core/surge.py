"""Extra tasks while a node is removed, so that the declared number of tasks stays healthy all the time.

Only for replicated services with `update_config.order: start-first`, which lets an old task and its replacement run at
once. While the node is cordoned, a service gets as many extra tasks as it has there, and they start elsewhere. After
the drain, once all tasks run and no update is in progress, the replicas are lowered again. The scheduler then stops
tasks on the nodes with most of them, even healthy tasks, so the replicas are lowered only when no task is starting.

The label on the service keeps the declared replicas until they are restored. A deployment in between replaces label and
replicas. If the replicas do not match the label, somebody else set them: they stay, and only the label is removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import AbstractSet, Dict, Iterator, Mapping, Optional, Sequence, Tuple

from . import actions as act
from . import placement
from .actions import Action
from .cluster import Node, Service
from .parsing import number, whole

# On the service: declared replicas, extra tasks, and when they were requested in epoch seconds, as in `6+2@1700000000`.
LABEL = "swarm.aws.surge"
REPLICATED = "replicated"


@dataclass(frozen=True)
class Need:
    """The tasks that a service lacks elsewhere before a node may be drained."""

    service: str
    # Tasks that are not healthy elsewhere yet, and the obstacle; empty if they only need time.
    missing: int
    obstacle: str = ""
    # When its replacements were requested, in epoch seconds; None if they were not.
    since: Optional[float] = None


def label(labels: Mapping[str, str]) -> Optional[Tuple[int, int]]:
    """The declared replicas and the extra tasks; None if there is no label, or it cannot be read."""
    counts = labels.get(LABEL, "").partition("@")[0].partition("+")
    declared, extra = whole(counts[0]), whole(counts[2])
    return None if declared is None or extra is None else (declared, extra)


def _requested_at(labels: Mapping[str, str]) -> Optional[float]:
    return number(labels.get(LABEL, "").partition("@")[2])


def declared(service: Service) -> int:
    """The declared replicas of a service."""
    noted = label(service.labels)
    return noted[0] if noted and sum(noted) == service.replicas else service.replicas


class Surge:
    """Extra tasks for the services of an observation."""

    def __init__(
        self, services: Sequence[Service], nodes: Sequence[Node], cordoned: AbstractSet[str], now: float
    ) -> None:
        """``cordoned`` are the IDs of nodes being removed that take no new tasks any more; ``now`` is epoch seconds."""
        self._services, self._now = services, now
        self._cordoned = cordoned
        self._others = [
            node
            for node in nodes
            if node.id not in cordoned and node.state == "ready" and node.availability == "active"
        ]
        self._alive = {node.id for node in nodes if node.id not in cordoned and node.state == "ready"}

    def actions(self, service: Service) -> Iterator[Action]:
        """The change of its replicas, if any."""
        if service.mid_update:
            return
        wanted = self._count(service)
        noted = LABEL in service.labels
        if wanted > declared(service):
            after = {**service.labels, LABEL: self._label(service, wanted)}
        else:
            after = {key: value for key, value in service.labels.items() if key != LABEL}
        if wanted != service.replicas or (noted and after != dict(service.labels)):
            yield act.SetReplicas(service.id, service.name, service.replicas, wanted, dict(service.labels), after)

    def _label(self, service: Service, wanted: int) -> str:
        own = declared(service)
        if label(service.labels) == (own, wanted - own):
            return service.labels[LABEL]
        return f"{own}+{wanted - own}@{self._now:.0f}"

    def needs(self, service: Service, node: str) -> Iterator[Need]:
        """The tasks that must be healthy elsewhere before the node may be drained."""
        moving = service.wanted_on(node)
        if service.mode != REPLICATED or not moving:
            return
        if not service.start_first:
            # Its tasks stop first, so they only need room elsewhere.
            free = placement.room(service, self._others, self._services, moving)
            if free < moving:
                yield Need(service.name, moving - free, placement.obstacle(service, self._others))
            return
        missing = min(declared(service), declared(service) - service.done - self._healthy(service))
        if missing > 0:
            yield Need(service.name, missing, self._obstacle(service), self._since(service))

    def unsettled(self, service: Service) -> Iterator[str]:
        """The wait of a service that still has extra tasks, although no node is being removed any more."""
        raised = LABEL in service.labels and service.replicas > declared(service)
        if raised and self._moving(service) == 0 and self._count(service) == service.replicas:
            if service.mid_update:
                yield f"the update of {service.name} to end, before its extra tasks are removed"
            else:
                yield f"all {service.replicas} tasks of {service.name} to run, before its extra tasks are removed"

    def _count(self, service: Service) -> int:
        """The replicas that the service should have now."""
        moving, own = self._moving(service), declared(service)
        if service.mode != REPLICATED or service.mid_update:
            return service.replicas
        if not moving:
            return own if self._settled(service) else service.replicas
        if not service.start_first:
            return service.replicas
        return max(service.replicas, own + self._placeable(service, moving, service.replicas - own))

    def _placeable(self, service: Service, moving: int, already: int) -> int:
        """Number of extra tasks to request, limited by the available space."""
        lacking = moving - already
        if lacking <= 0:
            return moving
        return already + placement.room(service, self._others, self._services, lacking)

    def _settled(self, service: Service) -> bool:
        """Whether lowering the replicas stops no needed task."""
        if service.running_or_done >= service.replicas:
            return True
        starting = sum(service.starting.values()) or (service.pending and not service.why_pending)
        return not starting and service.running_or_done >= declared(service)

    def _moving(self, service: Service) -> int:
        return sum(service.wanted_on(node) for node in self._cordoned)

    def _healthy(self, service: Service) -> int:
        return sum(count for node, count in service.healthy.items() if node in self._alive)

    def _since(self, service: Service) -> Optional[float]:
        if self._count(service) > service.replicas:
            return self._now
        at = _requested_at(service.labels)
        return None if at is None else min(at, self._now)

    def _obstacle(self, service: Service) -> str:
        if service.paused:
            return "its update is paused, so no replacement is started: update it again, or roll it back"
        if service.pending and service.why_pending:
            return service.why_pending
        extra = service.replicas - declared(service)
        if not service.updating and extra < self._moving(service):
            lacking = self._moving(service) - extra
            if placement.room(service, self._others, self._services, lacking) < lacking:
                return placement.obstacle(service, self._others)
        return ""


def lowest(seen: Mapping[str, Mapping[str, int]], services: Sequence[Service]) -> Dict[str, Dict[str, int]]:
    """Replicated services' declared and lowest healthy counts, updated with another observation.

    Complete tasks count as healthy.
    """
    result = {name: dict(counts) for name, counts in seen.items()}
    for service in services:
        if service.mode != REPLICATED:
            continue
        before = result.get(service.name)
        known = service.running_or_done if before is None else min(before["lowest"], service.running_or_done)
        result[service.name] = {"declared": declared(service), "lowest": known}
    return result
