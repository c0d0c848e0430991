"""Elastic Load Balancing: a target group, whose targets take a while to be healthy, and to drain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable

if TYPE_CHECKING:
    from .world import World

TARGET_GROUP = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/sim/0123456789abcdef"
# Seconds from its registration until a target may be healthy, and from its deregistration until it is none any more.
HEALTHY_AFTER = 4.0
DELAY = 12.0


@dataclass
class Target:
    """An instance in the target group."""

    registered_at: float
    deregistered_at: float | None = None


class Balancing:
    """The target group."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._targets: dict[str, Target] = {}

    def health(self) -> Mapping[str, str]:
        """What the API tells now."""
        return {instance: self._state(instance, target) for instance, target in self._present().items()}

    def register(self, instances: Sequence[str]) -> None:
        for one in instances:
            if one not in self._world.cloud.machines or self._world.cloud.machines[one].state != "running":
                raise Unavailable(f"InvalidTarget: {one} is not running")
        for one in instances:
            target = self._present().get(one)
            if target is None or target.deregistered_at is not None:
                self._targets[one] = Target(self._world.now)

    def deregister(self, instances: Sequence[str]) -> None:
        for one in instances:
            target = self._present().get(one)
            if target is not None and target.deregistered_at is None:
                target.deregistered_at = self._world.now

    def sends_to(self, instance: str, since: float) -> bool:
        """Whether it sends requests to an instance, or ends some, as one could have known since that moment."""
        target = self._present().get(instance)
        return target is not None and target.registered_at < since

    def registered(self) -> frozenset[str]:
        """Those to which new requests may be sent."""
        return frozenset(one for one, target in self._present().items() if target.deregistered_at is None)

    def _present(self) -> dict[str, Target]:
        for one, target in list(self._targets.items()):
            drained = target.deregistered_at is not None and self._world.now - target.deregistered_at >= DELAY
            if drained or not self._world.cloud.machines[one].alive:
                del self._targets[one]
        return self._targets

    def _state(self, instance: str, target: Target) -> str:
        if target.deregistered_at is not None:
            return "draining"
        if not self._world.cloud.machines[instance].engine_up:
            return "unhealthy"
        return "healthy" if self._world.now - target.registered_at >= HEALTHY_AFTER else "initial"
