"""Route 53, and resolvers that keep what it answered for as long as they may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Record
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable

if TYPE_CHECKING:
    from .world import World
# Seconds between two of a client's requests.
PAUSE = 0.5


class Zone:
    """The zone, as far as it concerns the cluster's name."""

    def __init__(self, world: World) -> None:
        self._world = world
        # What the API tells, and what the name servers answer, which follow it.
        self.record = self.answered = Record()
        # When all name servers know what the API tells, and of each change by its number.
        self.known_at = 0.0
        self.changes: list[float] = []
        self.gone = False
        # Until when some resolver may know an address that is not published any more, and when it was withdrawn.
        self.known_until: dict[str, float] = {}
        self.withdrawn_at: dict[str, float] = {}
        # Addresses that a write which was under way for long has published, perhaps again.
        self.republished_late: set[str] = set()

    def read(self) -> Record:
        if self.gone:
            raise Unavailable("NoSuchHostedZone: No hosted zone found with ID: Z1")
        return self.record

    def in_sync(self, change: str) -> bool:
        """Whether all name servers know a change."""
        return self._world.now >= self.changes[int(change)]

    def write(self, before: Record, after: Record) -> str:
        """Route 53's batch of CREATE, where the writer saw nothing, or UPSERT, for record and owner: all or nothing.

        The answer is the change's number.
        """
        present = self.read()
        pairs = ((before.ipv4, present.ipv4), (before.ipv6, present.ipv6), (before.owner, present.owner))
        if any(there and not seen for seen, there in pairs):
            raise Unavailable("InvalidChangeBatch: it already exists")
        if present.obstacle:
            raise Unavailable(f"InvalidChangeBatch: {present.obstacle} stands there")
        self.put(after)
        return str(len(self.changes) - 1)

    def put_by_hand(self, record: Record) -> None:
        """Have somebody write a record who does not care for those that are about to go."""
        self.republished_late |= set(record.addresses)
        self.put(record)

    def put(self, record: Record) -> None:
        """Have something else stand there, whoever says so."""
        now = self._world.now
        self.known_at = max(self.known_at, now + self._world.rng.uniform(0.0, self._world.weather.propagation))
        self.changes.append(self.known_at)
        for address in set(self.record.addresses) - set(record.addresses):
            known_until = self.known_at + (self.record.known_for or 0)
            self.known_until[address] = max(self.known_until.get(address, 0.0), known_until)
            self.withdrawn_at[address] = now
        self.record = record
        if self.known_at > now:
            self._world.at(self.known_at - now, lambda: self._answer(record))
        else:
            self._answer(record)
        self._world.changed()

    def _answer(self, record: Record) -> None:
        self.answered = record

    def known(self, address: str, slack: float) -> bool:
        """Whether a client may be told the address, now or by a resolver that asked before."""
        return address in self.record.addresses or self._world.now < self.known_until.get(address, 0.0) - slack


class Resolver:
    """A resolver that honours the TTL, neither more nor less."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._answer: tuple[str, ...] = ()
        self._until = 0.0

    def resolve(self) -> tuple[str, ...]:
        """The addresses under the cluster's name."""
        if self._world.now >= self._until:
            record = self._world.zone.answered
            self._answer, self._until = record.addresses, self._world.now + (record.known_for or 0)
        return self._answer


class Client:
    """A user, who asks for the page every so often and counts how often there was none."""

    def __init__(self, world: World) -> None:
        self._world, self._resolver = world, Resolver(world)
        self.requests = self.failures = 0
        self.last_failure: float | None = None
        world.at(PAUSE, self._ask)

    def _ask(self) -> None:
        world, addresses = self._world, self._resolver.resolve()
        self._world.at(PAUSE, self._ask)
        if not addresses:
            return
        self.requests += 1
        if not world.serves(world.rng.choice(addresses)):
            self.failures += 1
            self.last_failure = world.now
            if world.tracing:
                world.trace("client", f"no answer; {addresses} are known")
