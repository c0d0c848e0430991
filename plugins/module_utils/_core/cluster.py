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
    # When EC2 started it, in epoch seconds.
    launched: Optional[float] = None

    @property
    def gone(self) -> bool:
        """Whether it has ended or cannot but end."""
        return self.state in GONE_STATES

    @property
    def in_service(self) -> bool:
        """Whether Auto Scaling counts on it."""
        return self.lifecycle == "InService" and self.state == "running"

    @property
    def terminating(self) -> bool:
        """Whether Auto Scaling is ending it."""
        return (self.lifecycle or "").startswith("Terminating")

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
    # What services can ask of it: its name, its platform such as linux/x86_64, and what it has in all: memory in bytes
    # and CPUs in billionths. None where it has not told.
    hostname: str = ""
    platform: str = ""
    memory: Optional[int] = None
    cpus: Optional[int] = None

    @property
    def ready(self) -> bool:
        """Whether it does its work: a manager must also be heard in Raft."""
        return self.state == "ready" and self._in_raft

    @property
    def unheard(self) -> bool:
        """Whether nothing speaks against its doing its work, but the leader is new and has not heard from it yet."""
        return self.state == "unknown" and self._in_raft

    @property
    def _in_raft(self) -> bool:
        return self.role == WORKER or (self.voter and self.reachable)


@dataclass(frozen=True)
class Needs:
    """What a service's tasks ask of the node that they run on."""

    # As in `node.role == worker`.
    constraints: Tuple[str, ...] = ()
    # 0 for any number.
    most_per_node: int = 0
    # What each task reserves: bytes, and billionths of a CPU.
    memory: int = 0
    cpus: int = 0
    # Ports that are published on the node itself, which one task there can have.
    host_ports: Tuple[int, ...] = ()


@dataclass(frozen=True)
class Service:
    """A service of the swarm and where its tasks are: their numbers by the node's ID."""

    id: str
    name: str
    # replicated, global or job.
    mode: str = "replicated"
    replicas: int = 0
    # Whether its owner says that an old task and its replacement may run at once.
    start_first: bool = False
    # Whether an update or a rollback of it is under way.
    updating: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    # How long its tasks may take to stop, in seconds.
    stop_seconds: float = 10
    needs: Needs = Needs()
    # Tasks that run, which a task with a health check does only once it is healthy.
    healthy: Mapping[str, int] = field(default_factory=dict)
    # Tasks that are about to run.
    starting: Mapping[str, int] = field(default_factory=dict)
    # Tasks that are told to stop and have not yet.
    stopping: Mapping[str, int] = field(default_factory=dict)
    # Tasks without a node, and what the scheduler says of them; empty while it has not yet looked.
    pending: int = 0
    why_pending: str = ""

    def wanted_on(self, node: str) -> int:
        """How many tasks are to run there."""
        return self.healthy.get(node, 0) + self.starting.get(node, 0)

    def left_on(self, node: str) -> int:
        """How many tasks have not ended there."""
        return self.wanted_on(node) + self.stopping.get(node, 0)

    @property
    def running(self) -> int:
        """How many tasks are healthy, wherever they are."""
        return sum(self.healthy.values())


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
    # terminating, requested, down, or what was announced, such as spot interruption.
    kind: str
    # Epoch seconds when it goes at the latest; None if it is not known.
    deadline: Optional[float] = None
    # Whether its Auto Scaling group is to start another one.
    replace: bool = True
    # Whether the operator accepts that services lose tasks for which there is no place.
    force: bool = False


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
    # What the queue said of instances that are to go, until their nodes carry it as a label.
    interruptions: Tuple[Interruption, ...] = ()
    services: Optional[Tuple[Service, ...]] = ()
    # When an instance's hook was last kept waiting, in epoch seconds, as far as this observer did it.
    heartbeats: Mapping[str, float] = field(default_factory=dict)
