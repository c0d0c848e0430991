"""What joining asks of the outside world."""

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
    """What was read from the store, and which version of it that was (an ETag)."""

    value: Value
    version: str


class Outcome(enum.Enum):
    """How a conditional write ended when there was an answer."""

    WRITTEN = "written"
    LOST = "the object is not what it was (412)"
    CONFLICT = "another write was under way (409)"


@dataclass(frozen=True)
class Token:
    """A join token, with the swarm that it is for, so that one of another swarm is never used."""

    cluster_id: str
    secret: str = field(repr=False)


class Store(Protocol):
    """The cluster's bucket.

    Every method raises :class:`Unavailable` when there was no answer or a refusal, whatever the refusal's code; only a
    clear 'no such key' is 'not there'.
    """

    def read(self) -> Optional[Stored[ClusterRecord]]:
        """The cluster record; None if there is none yet."""

    def create(self, cluster_record: ClusterRecord) -> Outcome:
        """Write the cluster record if there is none."""

    def replace(self, cluster_record: ClusterRecord, version: str) -> Outcome:
        """Write the cluster record if it still is of that version."""

    def read_token(self, role: str) -> Optional[Stored[Token]]:
        """The join token of a role; None if there is none."""

    def read_nodes(self, cluster_id: str) -> Optional[Stored[Collection[str]]]:
        """IDs of the nodes of that swarm, as its leader lists them again and again; None if it does not."""

    def unlock_keys(self) -> Sequence[str]:
        """The kept unlock keys, the newest first. For managers only."""

    def write_token(self, role: str, token: Token, version: Optional[str]) -> Outcome:
        """Write the join token of a role if the one there still is of that version; None is 'if there is none'."""


@dataclass(frozen=True)
class Peer:
    """An instance that may be a manager."""

    instance: str
    address: str
    """Its private IPv4 address."""


GONE = ("shutting-down", "terminated")


class Instances(Protocol):
    """EC2 and Auto Scaling, whose answers may be minutes old. Every method raises :class:`Unavailable`."""

    def running_managers(self) -> Sequence[Peer]:
        """The cluster's manager instances that are pending or running."""

    def state(self, instance: str) -> Optional[str]:
        """An instance's state in EC2's words; None if EC2 does not know it."""

    def launching(self, instances: Sequence[str]) -> Set[str]:
        """Those of them whose launch is not over, so that no leader has taken them into service yet."""


INACTIVE = "inactive"
PENDING = "pending"
ACTIVE = "active"
ERROR = "error"
LOCKED = "locked"

# How a host answers on the swarm's port, on which only managers listen. A silent one may boot, hang or be cut off.
LISTENS = "listens"
REFUSES = "refuses"
SILENT = "silent"


@dataclass(frozen=True)
class Membership:
    """What the node's own engine says of its place in a swarm."""

    state: str
    """``inactive``, ``pending``, ``active``, ``error`` or ``locked``, in the engine's words."""
    cluster_id: Optional[str] = None
    """The swarm's ID; with another state than ``active``, what its certificate says, if it has one."""
    node_id: Optional[str] = None
    manager: bool = False
    made_by: Optional[str] = None
    """``cluster/instance`` whose :class:`Joiner` initialised the swarm, if one did and the engine can tell."""
    alone: bool = False
    """Whether the swarm has no other node."""
    unfinished: bool = False
    """Whether the engine has not been active since this node was told to join, so that it never was a member."""
    message: str = ""
    """The engine's reason when something is wrong."""
    epoch: int = 0
    """The published swarm's epoch when this node was told to join it."""
    swarm_epoch: Optional[int] = None
    """The epoch that the swarm itself is in; None where the engine cannot tell, as on workers and without a leader."""
    remembered: Optional[ClusterRecord] = None
    """The cluster's record as the swarm itself remembers it; None where the engine cannot tell, too."""


class JoinRefused(SwarmError):
    """The other side did not let this node in, or did not answer; another address or a newer token may do."""


class JoinPending(Unavailable):
    """The engine goes on joining in the background."""


class Engine(Protocol):
    """The node's own engine. Every method raises :class:`Unavailable` if it does not answer, or changed meanwhile."""

    def membership(self) -> Membership: ...

    def init(self, made_by: str) -> None:
        """Initialise a swarm of its own, marked with who made it."""

    def join(self, address: str, token: str, epoch: int) -> None:
        """Join through the manager at that address, and remember the epoch.

        Raises :class:`JoinRefused` or :class:`JoinPending`.
        """

    def remember(self, epoch: int) -> None:
        """Remember the epoch of the swarm that this node is in."""

    def unlock(self, key: str) -> bool:
        """Unlock the manager's state, or return that this is not the key."""

    def leave(self, cluster_id: Optional[str]) -> None:
        """Leave the swarm, by force, if it is still the one of that ID."""

    def tokens(self) -> Mapping[str, str]:
        """The swarm's present join tokens by role."""

    def probe(self, address: str) -> str:
        """How that address answers on the swarm's port: ``LISTENS``, ``REFUSES`` or ``SILENT``."""


class Clock(Protocol):
    """Time."""

    def now(self) -> float:
        """Seconds that only ever grow."""

    def timestamp(self) -> str:
        """The date and time in UTC, for people."""

    def wait(self, seconds: float, reason: str) -> None:
        """Let time pass."""


# Takes sentences about the progress.
Reporter = Callable[[str], None]
