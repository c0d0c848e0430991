"""Elastic Load Balancing: a target group, its health checks, and clients of its load balancer.

Health checks run at intervals, so a load balancer learns late of a target that does not answer. A deregistered target
gets no new requests but finishes its present requests, and is `draining` for the whole deregistration delay, with or
without requests
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable

from .cloud import Told
from .work import Task
from .zone import PAUSE

if TYPE_CHECKING:
    from .simulated_cluster import SimCluster

TARGET_GROUP = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/sim/0123456789abcdef"
# Foreign targets in a shared target group: an instance and an address.
STRANGERS = ("i-elsewhere", "192.0.2.9")
# Seconds between two health checks, and how many equal results in a row change a target's state.
CHECK_SECONDS, CHECKS = 2.0, 2


@dataclass
class Target:
    """A target in the target group."""

    registered_at: float
    deregistered_at: float | None = None
    state: str = "initial"
    # How many health checks in a row had another result.
    otherwise: int = 0


class Balancing:
    """The target group and its load balancer. It has its own random numbers, so that other stories stay the same."""

    def __init__(self, world: SimCluster, seed: int) -> None:
        self._world = world
        self.rng = random.Random(f"balancing {seed}")
        # The deregistration delay, in seconds; no request takes longer.
        self.delay = self.rng.choice((0.0, 6.0, 12.0, 12.0, 30.0))
        self._targets: dict[str, Target] = {}
        self._told: Told[Mapping[str, str]] = Told()
        if world.policy.target_groups:
            for stranger in self.rng.choice(((), STRANGERS[1:], STRANGERS)):
                self._targets[stranger] = Target(0.0)
            world.at(CHECK_SECONDS, self._check)

    # Questions

    def health(self) -> Mapping[str, str]:
        """The present answer of the API: state by target."""
        states = {instance: self._state(target) for instance, target in self._present().items()}
        return self._told.note(self._world.now, states)

    def health_some_time_ago(self, seconds: float) -> Mapping[str, str]:
        """An answer of the API that is at most ``seconds`` old."""
        return self._told.since(self._world.now - seconds) or self.health()

    def sends_to(self, instance: str, since: float) -> bool:
        """Whether an instance gets requests or finishes some, and is a target since before the moment ``since``."""
        target = self._present().get(instance)
        return target is not None and target.registered_at < since

    def registered(self) -> frozenset[str]:
        """The targets that may get new requests."""
        return frozenset(instance for instance, target in self._present().items() if target.deregistered_at is None)

    def is_healthy(self, target: str) -> bool:
        """Whether a target is registered and healthy."""
        return target in self.registered() and self._targets[target].state == "healthy"

    def strangers(self) -> frozenset[str]:
        """The foreign targets."""
        return frozenset(self._present()) - frozenset(self._world.cloud.machines)

    def route(self) -> str | None:
        """The target of the next request: a healthy target, or any target if none is healthy."""
        registered = sorted(self.registered())
        healthy = [instance for instance in registered if self.is_healthy(instance)]
        return self.rng.choice(healthy or registered) if registered else None

    # Calls

    def register(self, instances: Sequence[str]) -> None:
        for instance in instances:
            if instance not in self._world.cloud.machines or self._world.cloud.machines[instance].state != "running":
                raise Unavailable(f"InvalidTarget: {instance} is not running")
        for instance in instances:
            target = self._present().get(instance)
            if target is None or target.deregistered_at is not None:
                self._targets[instance] = Target(self._world.now)

    def deregister(self, instances: Sequence[str]) -> None:
        for instance in instances:
            target = self._present().get(instance)
            if target is not None and target.deregistered_at is None:
                target.deregistered_at = self._world.now

    # Events

    def _present(self) -> dict[str, Target]:
        machines = self._world.cloud.machines
        for instance, target in list(self._targets.items()):
            drained = target.deregistered_at is not None and self._world.now - target.deregistered_at >= self.delay
            if drained or (instance in machines and not machines[instance].alive):
                del self._targets[instance]
        return self._targets

    def _state(self, target: Target) -> str:
        return target.state if target.deregistered_at is None else "draining"

    def _check(self) -> None:
        self._world.at(CHECK_SECONDS, self._check)
        for instance, target in self._present().items():
            seen = "healthy" if self._world.answers(instance) else "unhealthy"
            target.otherwise = 0 if seen == target.state else target.otherwise + 1
            if target.otherwise >= CHECKS:
                target.state, target.otherwise = seen, 0


class BalancedClient:
    """A client of the load balancer, whose requests take up to the deregistration delay."""

    def __init__(self, world: SimCluster) -> None:
        self._world = world
        self.requests = self.failures = 0
        self.last_failure: float | None = None
        world.at(PAUSE, self._ask)

    def _ask(self) -> None:
        world, balancing = self._world, self._world.balancing
        world.at(PAUSE, self._ask)
        target = balancing.route()
        if target is None and not self.requests:
            # No target is registered yet.
            return
        self.requests += 1
        task = None if target is None else world.task_at(target)
        if target is None or (task is None and not world.answers(target)):
            self._fail(target, world.now)
        elif task is not None:
            began = world.now
            world.at(balancing.rng.uniform(0.0, balancing.delay), lambda: self._end(target, task, began))

    def _end(self, target: str, task: Task, began: float) -> None:
        if not self._world.runs(task):
            self._fail(target, began)

    def _fail(self, target: str | None, began: float) -> None:
        self.failures += 1
        self.last_failure = self._world.now
        self._world.trace("client", f"no answer from {target or 'the load balancer'} to the request of {began:.1f}")
        self._world.invariants.request(target, began)
