"""The ports of joining to the outside world."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Callable, Collection, Generic, Mapping, Optional, Protocol, Sequence, Set, TypeVar

from ..errors import SwarmError, Unavailable
from .cluster_record import ClusterRecord

MANAGER = "manager"
WORKER = "worker"
ROLES = (MANAGER, WORKER)

Value = TypeVar("Value")


@dataclass(frozen=True)
class Stored(Generic[Value]):
    """A value from the store, and its version (an ETag)."""

    value: Value
    version: str


class Outcome(enum.Enum):
    """The result of a conditional write that was answered."""

    WRITTEN = "written"
    LOST = "the object has changed (412)"
    CONFLICT = "another write was in progress (409)"


@dataclass(frozen=True)
class Token:
    """A join token and its swarm, so that a token of another swarm is never used."""

    cluster_id: str
    secret: str = field(repr=False)


class Store(Protocol):
    """The cluster's bucket.

    Each method raises :class:`Unavailable` without an answer, and for any refusal. Only a clear 'no such key' means
    'not there'.
    """

    def read(self) -> Optional[Stored[ClusterRecord]]:
        """The cluster record; None if there is none yet."""

    def create(self, cluster_record: ClusterRecord) -> Outcome:
        """Write the cluster record if there is none."""

    def replace(self, cluster_record: ClusterRecord, version: str) -> Outcome:
        """Write the cluster record if it still has that version."""

    def read_token(self, role: str) -> Optional[Stored[Token]]:
        """The join token of a role; None if there is none."""

    def read_nodes(self, cluster_id: str) -> Optional[Stored[Collection[str]]]:
        """IDs of the nodes of that swarm, as its leader last listed them; None if it has not."""

    def unlock_keys(self) -> Sequence[str]:
        """The stored unlock keys, the newest first. For managers only."""

    def write_token(self, role: str, token: Token, version: Optional[str]) -> Outcome:
        """Write the join token of a role if the object still has that version (None: if there is none)."""


@dataclass(frozen=True)
class Peer:
    """An instance that may be a manager."""

    instance: str
    address: str
    """Its private IPv4 address."""


GONE = ("shutting-down", "terminated")


class Instances(Protocol):
    """EC2 and Auto Scaling, whose answers may be minutes old. Each method raises :class:`Unavailable`."""

    def running_managers(self) -> Sequence[Peer]:
        """The cluster's manager instances that are pending or running."""

    def state(self, instance: str) -> Optional[str]:
        """An instance's EC2 state; None if EC2 does not know it."""

    def launching(self, instances: Sequence[str]) -> Set[str]:
        """Those whose launch is not completed, so that no leader has taken them into service yet."""


INACTIVE = "inactive"
PENDING = "pending"
ACTIVE = "active"
ERROR = "error"
LOCKED = "locked"

# How a host answers on the swarm's port, on which only managers listen. A silent host may boot, hang or be cut off.
LISTENS = "listens"
REFUSES = "refuses"
SILENT = "silent"


@dataclass(frozen=True)
class Membership:
    """The swarm membership of the node's own engine."""

    state: str
    """The engine's ``inactive``, ``pending``, ``active``, ``error`` or ``locked``."""
    cluster_id: Optional[str] = None
    """The swarm's ID; if the state is not ``active``, from its certificate, if any."""
    node_id: Optional[str] = None
    manager: bool = False
    made_by: Optional[str] = None
    """``cluster/instance`` whose :class:`Joiner` initialised the swarm, if known."""
    alone: bool = False
    """Whether the swarm has no other node."""
    unfinished: bool = False
    """Whether the engine has not been active since this node last tried to join, so it never was a member."""
    message: str = ""
    """The engine's error message."""
    epoch: int = 0
    """The published swarm's epoch when this node joined it."""
    swarm_epoch: Optional[int] = None
    """The swarm's own epoch; None if unknown, as on workers and without a leader."""
    remembered: Optional[ClusterRecord] = None
    """The cluster's record as the swarm remembers it; None if unknown, too."""


class JoinRefused(SwarmError):
    """The other side refused this node, or did not answer. Another address or a newer token may work."""


class JoinPending(Unavailable):
    """The engine continues to join in the background."""


class Engine(Protocol):
    """The node's own engine. Each method raises :class:`Unavailable` if it does not answer, or changed meanwhile."""

    def membership(self) -> Membership: ...

    def init(self, made_by: str) -> None:
        """Initialise a swarm, marked with ``made_by``."""

    def join(self, address: str, token: str, epoch: int) -> None:
        """Join through the manager at that address, and remember the epoch.

        Raises :class:`JoinRefused` or :class:`JoinPending`.
        """

    def remember(self, epoch: int) -> None:
        """Remember the epoch of the swarm that this node is in."""

    def unlock(self, key: str) -> bool:
        """Unlock the manager's state. False if it is the wrong key."""

    def leave(self, cluster_id: Optional[str]) -> None:
        """Leave the swarm by force, if it still has that ID."""

    def tokens(self) -> Mapping[str, str]:
        """The swarm's present join tokens by role."""

    def probe(self, address: str) -> str:
        """The answer of that address on the swarm's port: ``LISTENS``, ``REFUSES`` or ``SILENT``."""


class Clock(Protocol):
    """Time."""

    def now(self) -> float:
        """Monotonic seconds."""

    def timestamp(self) -> str:
        """The date and time in UTC, for people."""

    def wait(self, seconds: float, reason: str) -> None:
        """Wait. ``reason`` is for people."""


# Takes sentences about the progress.
Reporter = Callable[[str], None]
