"""The progress of a removal for its watcher: its stage, and the effect on services."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from . import node_labels, surge
from .cluster import Node, Service

# The stages of a removal, in order.
REQUESTED, BEGUN, READY, DRAINED, REMOVED = STAGES = ("requested", "begun", "ready", "drained", "removed")
# The node's facts by which the time of a step is known.
_FACTS = {
    "requested": node_labels.REMOVING,
    "paused": node_labels.CORDONED,
    "withdrawn": node_labels.WITHDRAWN,
    "ready": node_labels.DRAINED,
}

# A share of the time that tasks have to stop. On a busy manager there are seconds between two looks.
NEARLY_ALL = 0.85


@dataclass
class RemovalProgress:
    """A watched removal. The state so far can be passed on to the next watcher."""

    node: str
    # Replicated services: the declared and the lowest healthy count.
    services: Dict[str, Dict[str, int]] = field(default_factory=dict)
    # Services that were drained without running replacements.
    plain: List[str] = field(default_factory=list)
    # Services whose replacements counted as soon as they ran.
    unchecked: List[str] = field(default_factory=list)
    # Services with tasks that took (nearly) all of their time to stop, with that time in seconds.
    stubborn: Dict[str, float] = field(default_factory=dict)
    # Epoch seconds of each step.
    times: Dict[str, float] = field(default_factory=dict)

    @classmethod
    def resume(cls, node: str, seen: Mapping[str, Any]) -> RemovalProgress:
        """A removal that continues from the result of `as_dict`."""
        return cls(
            node,
            {name: dict(counts) for name, counts in seen.get("services", {}).items()},
            list(seen.get("plain", ())),
            list(seen.get("unchecked", ())),
            {name: float(seconds) for name, seconds in seen.get("stubborn", {}).items()},
            {name: float(at) for name, at in seen.get("times", {}).items()},
        )

    def as_dict(self) -> Dict[str, Any]:
        """The state so far."""
        return {
            "services": self.services,
            "plain": self.plain,
            "unchecked": self.unchecked,
            "stubborn": self.stubborn,
            "times": self.times,
        }

    def look(self, nodes: Sequence[Node], services: Sequence[Service], now: float) -> str:
        """Take in an observation, and return the stage that was reached."""
        self.services = surge.lowest(self.services, services)
        node = {node.id: node for node in nodes}.get(self.node)
        if node is None:
            self.times.setdefault("drained", now)
            self.times.setdefault("removed", now)
            return REMOVED
        for step, label in _FACTS.items():
            at = node_labels.fact(node.labels, label, now + 60)
            if at is not None:
                self.times[step] = at
        here = [service for service in services if service.left_on(node.id)]
        for service in here:
            if service.mode != surge.REPLICATED or not service.start_first:
                self.plain = sorted({*self.plain, service.name})
            elif not service.health_checked:
                self.unchecked = sorted({*self.unchecked, service.name})
        drained = self.times.get("ready")
        if node.availability != "drain" or drained is None:
            return BEGUN if "paused" in self.times else REQUESTED
        for service in here:
            if service.stopping.get(node.id) and now - drained >= max(1.0, NEARLY_ALL * service.stop_seconds):
                self.stubborn[service.name] = service.stop_seconds
        if here:
            return READY
        self.times.setdefault("drained", now)
        return DRAINED

    def durations(self) -> Dict[str, float]:
        """The seconds that each step took, in their order; unseen steps are left out."""
        order: List[Tuple[str, Optional[str]]] = [
            ("withdrawn", "requested"),
            ("ready", "withdrawn" if "withdrawn" in self.times else "requested"),
            ("drained", "ready"),
            ("removed", "drained"),
        ]
        result = {}
        for step, before in order:
            if step in self.times and before in self.times:
                result[step] = round(max(0.0, self.times[step] - self.times[before or ""]), 1)
        if "removed" in self.times and "requested" in self.times:
            result["all"] = round(self.times["removed"] - self.times["requested"], 1)
        return result
