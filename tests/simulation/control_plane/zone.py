"""Route 53, and resolvers that cache its answers for the TTL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Record
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable

if TYPE_CHECKING:
    from .simulated_cluster import SimCluster
# Seconds between two of a client's requests.
PAUSE = 0.5


class Zone:
    """The zone, with the record sets of the cluster's name."""

    def __init__(self, world: SimCluster) -> None:
        self._world = world
        # The answer of the API, and the answer of the name servers, which follow.
        self.record = self.answered = Record()
        # When all name servers know the record, and the same for each change by its number.
        self.known_at = 0.0
        self.changes: list[float] = []
        self.gone = False
        # Until when a resolver may cache a withdrawn address, and when it was withdrawn.
        self.known_until: dict[str, float] = {}
        self.withdrawn_at: dict[str, float] = {}
        # Addresses that a slow write has published, perhaps again.
        self.republished_late: set[str] = set()

    def read(self) -> Record:
        if self.gone:
            raise Unavailable("NoSuchHostedZone: No hosted zone found with ID: Z1")
        return self.record

    def in_sync(self, change: str) -> bool:
        """Whether all name servers know a change."""
        return self._world.now >= self.changes[int(change)]

    def write(self, before: Record, after: Record) -> str:
        """Write record and owner in a batch, by CREATE where the writer saw nothing, else by UPSERT.

        Returns the change's number. Raises Unavailable, and then changes nothing.
        """
        present = self.read()
        pairs = ((before.ipv4, present.ipv4), (before.ipv6, present.ipv6), (before.owner, present.owner))
        if any(there and not seen for seen, there in pairs):
            raise Unavailable("InvalidChangeBatch: it already exists")
        if present.obstacle:
            raise Unavailable(f"InvalidChangeBatch: {present.obstacle} already exists")
        self.put(after)
        return str(len(self.changes) - 1)

    def put_by_hand(self, record: Record) -> None:
        """Write a record as somebody who ignores removals."""
        self.republished_late |= set(record.addresses)
        self.put(record)

    def put(self, record: Record) -> None:
        """Replace the record, without any check."""
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
        """Whether a client may still get the address, from a name server or a resolver's cache."""
        return address in self.record.addresses or self._world.now < self.known_until.get(address, 0.0) - slack


class Resolver:
    """A resolver that caches for exactly the TTL."""

    def __init__(self, world: SimCluster) -> None:
        self._world = world
        self._answer: tuple[str, ...] = ()
        self._until = 0.0

    def resolve(self) -> tuple[str, ...]:
        """The addresses under the cluster's name."""
        if self._world.now >= self._until:
            record = self._world.zone.answered
            self._answer, self._until = record.addresses, self._world.now + (record.known_for or 0)
        return self._answer


class DnsClient:
    """A client that resolves the cluster's name, and counts its failed requests."""

    def __init__(self, world: SimCluster) -> None:
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
                world.trace("client", f"no answer; the name resolves to {addresses}")
