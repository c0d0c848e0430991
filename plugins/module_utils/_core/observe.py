"""Looking at everything once. A service that does not answer leaves its part out, and rests for a while."""

from __future__ import annotations

from typing import Callable, Dict, List, Mapping, Optional, Tuple, TypeVar

from . import actions as act
from .apply import World
from .backoff import Backoff, Failure
from .cluster import Cluster, Interruption, Record
from .errors import SwarmError
from .policy import Dns, Policy

# How long what the bucket says is taken for granted, in seconds.
PUBLISHED_FOR = 30.0
Result = TypeVar("Result")


class Observer:
    """Observes a cluster, again and again."""

    def __init__(
        self,
        world: World,
        now: Callable[[], float],
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """``now`` gives epoch seconds; ``alive`` is called between the services, each of which may take a while."""
        self._world, self._now, self._alive = world, now, alive
        # Not that of the actions: a service may tell everything and yet refuse to change anything.
        self._backoff = Backoff()
        self._published_id: Optional[str] = None
        self._read_at: Dict[str, float] = {}
        # What the queue said of instances that are to go, for the next look.
        self.announced: List[Interruption] = []
        # Of the last look.
        self.failures: List[Failure] = []

    def observe(self, policy: Policy) -> Cluster:
        """What there is now."""
        self.failures = []
        if self._due("published"):
            found = self._ask(act.STORE, self._world.tokens.published_id)
            if found is not None:
                self._published_id = found
                self._read_at["published"] = self._now()
        # Before the rest, so that whoever withdraws a node after what is seen of it here changes the record too.
        record = self._record(policy.dns)
        nodes = self._ask(act.SWARM, self._world.swarm.nodes)
        services = self._ask(act.SWARM, self._world.swarm.services)
        return Cluster(
            # After the nodes, so that they are not those of a swarm that the engine has been moved to meanwhile.
            swarm_id=self._ask(act.SWARM, self._world.swarm.swarm_id),
            published_id=self._published_id,
            nodes=nodes,
            instances=self._ask(act.SCALING, self._world.scaling.instances),
            record=record,
            targets={one: self._targets(one) for one in policy.target_groups},
            stale_tokens=self._stale_tokens(),
            **self._lock(policy),
            interruptions=tuple(self.announced),
            services=services,
            desired=dict(self._world.scaling.desired),
            upgrading=frozenset(self._world.scaling.upgrading),
            heartbeats=dict(self._world.scaling.heartbeats),
        )

    def forget(self) -> None:
        """Look at everything anew the next time."""
        self._read_at.clear()

    def _record(self, wanted: Optional[Dns]) -> Optional[Record]:
        return None if wanted is None else self._ask(act.DNS, lambda: self._world.records.read(wanted))

    def _targets(self, target_group: str) -> Optional[Mapping[str, str]]:
        balancing = self._world.balancing
        return None if balancing is None else self._ask(act.BALANCING, lambda: balancing.health(target_group))

    def _stale_tokens(self) -> Optional[Tuple[str, ...]]:
        if not self._due("tokens"):
            return None
        stale = self._ask(act.STORE, self._world.tokens.stale)
        # Those that are stale are looked at again at once, to see that they were published.
        if stale == ():
            self._read_at["tokens"] = self._now()
        return stale

    def _lock(self, policy: Policy) -> Dict[str, Optional[bool]]:
        lock = self._world.lock
        if lock is None or not self._due("lock"):
            return {}
        locked = self._ask(act.SWARM, lock.locked)
        # Where nobody locks anything there is no key to ask for, nor a right to ask.
        kept = self._ask(act.KEYS, lock.kept) if locked and policy.autolock else None
        if locked == policy.autolock and kept is not False:
            self._read_at["lock"] = self._now()
        return {"locked": locked, "key_kept": kept}

    def _due(self, what: str) -> bool:
        at = self._read_at.get(what)
        return at is None or not 0 <= self._now() - at < PUBLISHED_FOR

    def _ask(self, service: str, question: Callable[[], Result]) -> Optional[Result]:
        if self._backoff.rests(service, self._now()):
            return None
        self._alive()
        try:
            answer = question()
        except SwarmError as error:
            self._backoff.failed(service, self._now())
            self.failures.append(Failure(service, str(error)))
            return None
        self._backoff.worked(service)
        return answer
