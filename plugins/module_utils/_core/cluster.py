"""What is observed of a cluster: instances as EC2 and Auto Scaling tell them, nodes as Raft does, and the record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Optional, Tuple

MANAGER = "manager"
WORKER = "worker"

# States of an instance from which there is no way back.
GONE_STATES = ("shutting-down", "terminated")


@dataclass(frozen=True)
class Instance:
    """An instance of the cluster, by its tags."""

    id: str
    group: str
    role: str
    zone: str
    # As EC2 names it: pending, running, shutting-down, terminated, stopping or stopped.
    state: str
    private_address: Optional[str] = None
    public_address: Optional[str] = None
    # The Auto Scaling group's name and the instance's lifecycle state there, such as Pending:Wait; None outside of one.
    scaling_group: Optional[str] = None
    lifecycle: Optional[str] = None
    healthy: bool = True

    @property
    def gone(self) -> bool:
        """Whether it has ended or cannot but end."""
        return self.state in GONE_STATES

    @property
    def in_service(self) -> bool:
        """Whether Auto Scaling counts on it."""
        return self.lifecycle == "InService" and self.state == "running"

    def address(self, kind: str) -> Optional[str]:
        """Its ``public`` or ``private`` address; None where it has none."""
        return self.public_address if kind == "public" else self.private_address


@dataclass(frozen=True)
class Node:
    """A node of the swarm, as its managers know it."""

    id: str
    # The role it is to have. While that changes, it may still be a voter, or not be one yet.
    role: str
    # ready, down, disconnected or unknown.
    state: str
    # active, pause or drain.
    availability: str = "active"
    # Where the managers see it.
    address: Optional[str] = None
    # Whether it is a member of Raft, and whether the leader hears from it there.
    voter: bool = False
    reachable: bool = False
    leader: bool = False
    # Set by managers alone.
    labels: Mapping[str, str] = field(default_factory=dict)
    # Claimed by the node itself.
    engine_labels: Mapping[str, str] = field(default_factory=dict)
    # Tasks that run on it or are about to.
    tasks: int = 0

    @property
    def ready(self) -> bool:
        """Whether it does its work: a manager must also be heard in Raft."""
        return self.state == "ready" and (self.role == WORKER or (self.voter and self.reachable))


@dataclass(frozen=True)
class Record:
    """What stands in DNS under the cluster's name, and who says it is theirs."""

    # The A record's values and its TTL in seconds; empty and None if there is none.
    addresses: Tuple[str, ...] = ()
    ttl: Optional[int] = None
    # The ownership record's text; None if there is none.
    owner: Optional[str] = None
    # Why nobody but its owner can tell what stands there, such as 'a CNAME'; None for a plain record or none at all.
    obstacle: Optional[str] = None

    @property
    def absent(self) -> bool:
        """Whether nothing stands under the name."""
        return self.ttl is None and self.obstacle is None


@dataclass(frozen=True)
class Interruption:
    """An instance that is to go, whoever said so."""

    instance: str
    # terminating, for a termination hook that waits; others are to come.
    kind: str
    # Epoch seconds when it goes at the latest; None if it is not known.
    deadline: Optional[float] = None


@dataclass(frozen=True)
class Cluster:
    """All of it at one moment. A part that could not be observed is None, which is never read as 'there is none'."""

    # The swarm of the engine that looks, and the one that the bucket publishes.
    swarm_id: Optional[str]
    published_id: Optional[str]
    nodes: Optional[Tuple[Node, ...]]
    instances: Optional[Tuple[Instance, ...]]
    record: Optional[Record] = None
    # The roles whose published join token is not the engine's.
    stale_tokens: Optional[Tuple[str, ...]] = None
    interruptions: Tuple[Interruption, ...] = ()
    # When an instance's hook was last kept waiting, in epoch seconds, as far as this observer did it.
    heartbeats: Mapping[str, float] = field(default_factory=dict)
