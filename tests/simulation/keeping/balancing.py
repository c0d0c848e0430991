"""Elastic Load Balancing: a target group, what it sends to its targets, and clients that come by it.

Whether a target answers is looked at every so often, so that a load balancer learns of it late. One that is taken out
gets no new requests and ends those under way, and is called draining until its deregistration delay is over, whether
there are any or not
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
    from .world import World

TARGET_GROUP = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/sim/0123456789abcdef"
# Targets of somebody else, with whom the target group is shared: an instance and an address.
STRANGERS = ("i-elsewhere", "192.0.2.9")
# Seconds between two looks at a target's health, and how many in a row change what is thought of it.
EVERY, IN_A_ROW = 2.0, 2


@dataclass
class Target:
    """What is in the target group."""

    registered_at: float
    deregistered_at: float | None = None
    state: str = "initial"
    # How many looks in a row have said otherwise.
    otherwise: int = 0


class Balancing:
    """The target group and its load balancer. Its chance is its own, so that worlds without one are as they were."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self.rng = random.Random(f"balancing {seed}")
        # The deregistration delay, in seconds; no request takes longer.
        self.delay = self.rng.choice((0.0, 6.0, 12.0, 12.0, 30.0))
        self._targets: dict[str, Target] = {}
        self._told: Told[Mapping[str, str]] = Told()
        if world.policy.target_groups:
            for stranger in self.rng.choice(((), STRANGERS[1:], STRANGERS)):
                self._targets[stranger] = Target(0.0)
            world.at(EVERY, self._look)

    # What others ask

    def health(self) -> Mapping[str, str]:
        """What the API tells now."""
        states = {instance: self._state(target) for instance, target in self._present().items()}
        return self._told.note(self._world.now, states)

    def health_some_time_ago(self, seconds: float) -> Mapping[str, str]:
        """What the API told at most so long ago."""
        return self._told.since(self._world.now - seconds) or self.health()

    def sends_to(self, instance: str, since: float) -> bool:
        """Whether it sends requests to an instance, or ends some, as one could have known since that moment."""
        target = self._present().get(instance)
        return target is not None and target.registered_at < since

    def registered(self) -> frozenset[str]:
        """Those to which new requests may be sent."""
        return frozenset(instance for instance, target in self._present().items() if target.deregistered_at is None)

    def is_healthy(self, target: str) -> bool:
        """Whether it gets its share of the requests."""
        return target in self.registered() and self._targets[target].state == "healthy"

    def strangers(self) -> frozenset[str]:
        """Those of somebody else."""
        return frozenset(self._present()) - frozenset(self._world.cloud.machines)

    def route(self) -> str | None:
        """Where the next request is sent: to one that is healthy, or to any if none is."""
        registered = sorted(self.registered())
        healthy = [instance for instance in registered if self.is_healthy(instance)]
        return self.rng.choice(healthy or registered) if registered else None

    # What others do

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

    # What goes on by itself

    def _present(self) -> dict[str, Target]:
        machines = self._world.cloud.machines
        for instance, target in list(self._targets.items()):
            drained = target.deregistered_at is not None and self._world.now - target.deregistered_at >= self.delay
            if drained or (instance in machines and not machines[instance].alive):
                del self._targets[instance]
        return self._targets

    def _state(self, target: Target) -> str:
        return target.state if target.deregistered_at is None else "draining"

    def _look(self) -> None:
        self._world.at(EVERY, self._look)
        for instance, target in self._present().items():
            seen = "healthy" if self._world.answers(instance) else "unhealthy"
            target.otherwise = 0 if seen == target.state else target.otherwise + 1
            if target.otherwise >= IN_A_ROW:
                target.state, target.otherwise = seen, 0


class Client:
    """A user who comes by the load balancer, and whose requests take as long as they may."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.requests = self.failures = 0
        self.last_failure: float | None = None
        world.at(PAUSE, self._ask)

    def _ask(self) -> None:
        world, balancing = self._world, self._world.balancing
        world.at(PAUSE, self._ask)
        target = balancing.route()
        if target is None and not self.requests:
            # It is made with the cluster.
            return
        self.requests += 1
        task = None if target is None else world.task_at(target)
        if target is None or (task is None and not world.answers(target)):
            self._failed(target, world.now)
        elif task is not None:
            began = world.now
            world.at(balancing.rng.uniform(0.0, balancing.delay), lambda: self._end(target, task, began))

    def _end(self, target: str, task: Task, began: float) -> None:
        if not self._world.runs(task):
            self._failed(target, began)

    def _failed(self, target: str | None, began: float) -> None:
        self.failures += 1
        self.last_failure = self._world.now
        self._world.trace("client", f"no answer from {target or 'the load balancer'} to what began at {began:.1f}")
        self._world.invariants.request(target, began)
