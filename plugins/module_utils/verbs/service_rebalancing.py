"""Rebalance services on a manager, a service at a time."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from .._core import interruptions, node_matching, rebalance
from .._core.cluster import Cluster, Service
from .._core.counting import counted
from .._core.errors import SwarmError, Unavailable
from .._core.policy import Policy
from .._core.rebalance import SpreadVerdict

# Seconds between two looks.
LOOK = 1.0
# States of a failed update.
_FAILED = {
    "paused": "its update was paused",
    "rollback_paused": "its update failed, and so did the rollback",
    "rollback_completed": "its update failed and was rolled back",
}


class Rebalancing:
    """Rebalances the services of a swarm."""

    def __init__(
        self,
        swarm: Any,
        look: Callable[[], Tuple[Policy, Cluster]],
        *,
        now: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """``swarm`` is a ``DockerSwarm``."""
        self._swarm, self._look, self._now, self._sleep = swarm, look, now, sleep

    def judge(self, names: Sequence[str]) -> List[SpreadVerdict]:
        """Judge the services of these names, or all services. Raises SwarmError."""
        policy, observed = self._look()
        interrupted = interruptions.of(observed, node_matching.join(observed), policy, self._now())
        obstacle = rebalance.calm(observed.nodes, sorted(interrupted))
        if obstacle:
            raise SwarmError(obstacle)
        services, nodes = observed.services or (), observed.nodes or ()
        unknown = sorted(set(names) - {service.name for service in services})
        if unknown:
            known = ", ".join(service.name for service in services) or "none"
            raise SwarmError(f"There is no service {' and no '.join(unknown)}; there are {known}.")
        return [rebalance.judge(service, nodes, services) for service in services if not names or service.name in names]

    def spread(self, name: str, timeout: float) -> Dict[str, int]:
        """Restart the service's tasks and wait until they run. Returns the number of tasks on each node.

        Raises SwarmError if the update fails, or after ``timeout`` seconds.
        """
        before = self._service(name)
        if before is None:
            raise SwarmError(f"The service {name} no longer exists.")
        self._swarm.restart(before.id)
        deadline, waiting = self._now() + timeout, "its update to begin"
        while True:
            try:
                state, message = self._swarm.update_state(before.id)
                if state in _FAILED:
                    raise SwarmError(f"{name} was not rebalanced: {_FAILED[state]}: {message}.")
                present = self._service(name)
            except Unavailable as error:
                present, state, waiting = None, "", str(error)
            if present is not None:
                waiting = f"{present.running} of {counted(present.replicas, 'task')} running"
                if state == "completed" and present.running_or_done >= present.replicas:
                    return {node: present.wanted_on(node) for node in sorted({*present.healthy, *present.starting})}
            if self._now() >= deadline:
                raise SwarmError(f"{name} is still being rebalanced after {timeout:.0f} s: {waiting}. It continues.")
            self._sleep(LOOK)

    def _service(self, name: str) -> Optional[Service]:
        return next((service for service in self._swarm.services() if service.name == name), None)
