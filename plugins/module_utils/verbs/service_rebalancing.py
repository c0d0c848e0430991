"""Spreading services anew, one at a time, on a manager."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from .._core import interruptions, node_matching, rebalance
from .._core.cluster import Cluster, Service
from .._core.errors import SwarmError, Unavailable
from .._core.policy import Policy
from .._core.rebalance import SpreadVerdict

# Seconds between two looks.
LOOK = 1.0
# States of an update that did not do what it was to do.
_FAILED = {
    "paused": "its update was paused",
    "rollback_paused": "its update failed, and so did going back",
    "rollback_completed": "its update failed and was rolled back",
}


class Rebalancing:
    """The services of one swarm."""

    def __init__(
        self,
        swarm: Any,
        look: Callable[[], Tuple[Policy, Cluster]],
        *,
        now: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """``swarm`` is the adapter of the engine."""
        self._swarm, self._look, self._now, self._sleep = swarm, look, now, sleep

    def judge(self, names: Sequence[str]) -> List[SpreadVerdict]:
        """What is to be done about the services of these names, or about all. Raises SwarmError."""
        policy, observed = self._look()
        leaving = interruptions.of(observed, node_matching.join(observed), policy, self._now())
        obstacle = rebalance.calm(observed.nodes, sorted(leaving))
        if obstacle:
            raise SwarmError(obstacle)
        services, nodes = observed.services or (), observed.nodes or ()
        unknown = sorted(set(names) - {service.name for service in services})
        if unknown:
            known = ", ".join(service.name for service in services) or "none"
            raise SwarmError(f"There is no service {' and no '.join(unknown)}; there are {known}.")
        return [rebalance.judge(service, nodes, services) for service in services if not names or service.name in names]

    def spread(self, name: str, timeout: float) -> Dict[str, int]:
        """Start the service's tasks anew and wait until they run; returns how many each node then has.

        Raises SwarmError if the update fails, or after ``timeout`` seconds.
        """
        before = self._service(name)
        if before is None:
            raise SwarmError(f"There is no service {name} any more.")
        self._swarm.restart(before.id)
        deadline, waiting = self._now() + timeout, "its update to begin"
        while True:
            try:
                state, message = self._swarm.update_state(before.id)
                if state in _FAILED:
                    raise SwarmError(f"{name} was not spread anew, for {_FAILED[state]}: {message}.")
                present = self._service(name)
            except Unavailable as error:
                present, state, waiting = None, "", str(error)
            if present is not None:
                waiting = f"{present.running} of {present.replicas} tasks run"
                if state == "completed" and present.running_or_done >= present.replicas:
                    return {node: present.wanted_on(node) for node in sorted({*present.healthy, *present.starting})}
            if self._now() >= deadline:
                raise SwarmError(f"After {timeout:.0f} s {name} still is being spread anew: {waiting}. It goes on.")
            self._sleep(LOOK)

    def _service(self, name: str) -> Optional[Service]:
        return next((service for service in self._swarm.services() if service.name == name), None)
