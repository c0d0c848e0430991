"""What is observed of a cluster: instances as EC2 and Auto Scaling tell them, nodes as Raft does, and the record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import FrozenSet, Mapping, Optional, Tuple

from .join.cluster_record import ClusterRecord, Published

MANAGER = "manager"
WORKER = "worker"

# States of an instance from which there is no way back.
GONE_STATES = ("shutting-down", "terminated")
# What the lifecycle states of instances in a warm pool begin with.
WARMED = "Warmed:"
# The state of one that waits at its group's launch hook.
LAUNCH_WAIT = "Pending:Wait"


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
    # In the shortest form, as EC2 tells it. There is no private kind of these.
    ipv6_address: Optional[str] = None
    # The Auto Scaling group's name and the instance's lifecycle state there, such as Pending:Wait; None outside of one.
    scaling_group: Optional[str] = None
    lifecycle: Optional[str] = None
    healthy: bool = True
    # When EC2 started it, in epoch seconds.
    launched: Optional[float] = None
    # What it was made from: its type such as t3.small, its image, and the launch template's version; None if not known.
    kind: Optional[str] = None
    image: Optional[str] = None
    template: Optional[str] = None

    @property
    def gone(self) -> bool:
        """Whether it has ended or cannot but end."""
        return self.state in GONE_STATES

    @property
    def in_service(self) -> bool:
        """Whether Auto Scaling counts on it."""
        return self.lifecycle == "InService" and self.state == "running"

    @property
    def warmed(self) -> bool:
        """Whether it is in the warm pool of its group, or on its way there, and so in no swarm."""
        return (self.lifecycle or "").startswith(WARMED)

    @property
    def terminating(self) -> bool:
        """Whether Auto Scaling is ending it, out of its group or out of the group's warm pool."""
        return (self.lifecycle or "").removeprefix(WARMED).startswith("Terminating")

    def addresses(self, kind: str, *, ipv6: bool) -> Tuple[str, ...]:
        """Its ``public`` or ``private`` address, and with ``ipv6`` that one too, as far as it has them."""
        ipv4 = self.public_address if kind == "public" else self.private_address
        return tuple(address for address in (ipv4, self.ipv6_address if ipv6 else None) if address)


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
    # The version of its engine.
    engine: str = ""
    # What of it cannot be read, as a sentence; empty if all can.
    flaw: str = ""

    @property
    def ready(self) -> bool:
        """Whether it does its work: a manager must also be heard in Raft."""
        return self.state == "ready" and self._in_raft

    @property
    def unconfirmed(self) -> bool:
        """Whether nothing speaks against its doing its work, but the leader is new and has not heard from it yet."""
        return self.state == "unknown" and self._in_raft

    @property
    def holds_vote(self) -> bool:
        """Whether it has to be demoted before it can be removed.

        Managers that are down and no members of Raft, as they are left in a swarm that was brought back, cannot be.
        """
        return self.voter or (self.role == MANAGER and self.state != "down")

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
    # What its tasks are spread over, one after the other, such as `node.labels.zone`; the nodes come last.
    spread: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Service:
    """A service of the swarm and where its tasks are: their numbers by the node's ID."""

    id: str
    name: str
    # replicated, global or job.
    mode: str = "replicated"
    replicas: int = 0
    # Whether its owner says that an old task and its replacement may run at once. Not if it runs only once.
    start_first: bool = False
    # Whether its specification says how a task's health is told.
    health_checked: bool = False
    # How many of its tasks an update replaces at a time; 0 for all.
    parallelism: int = 1
    # Whether an update or a rollback of it is under way.
    updating: bool = False
    # Whether one has stopped half-way. Whatever is written to the service begins it anew, and is what Docker then rolls
    # back to.
    paused: bool = False
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
    # What its tasks run, as its specification has it.
    image: str = ""
    # Nodes, or slots of one that is not global, whose task has ended and that get no other one.
    over: FrozenSet[str] = frozenset()
    # How many of these were to end: all if nothing is to be restarted, and what has completed if failures are.
    done: int = 0
    # Nodes on which none of its tasks is healthy and the last ones have failed, one soon after the other.
    failing: FrozenSet[str] = frozenset()
    # Whether its specification can be written anew, with other credentials, and its tasks are left as they are: not
    # those of a job, which would run again, nor tasks that have ended for good, nor an update that was paused.
    renewable: bool = False
    # Tasks without a node, and what the scheduler says of them; empty while it has not yet looked.
    pending: int = 0
    why_pending: str = ""
    # Why nothing but its name is known, as a sentence; empty if all is.
    flaw: str = ""

    @property
    def mid_update(self) -> bool:
        """Whether an update of it is under way or has stopped half-way, so that nothing is to be written to it.

        One under way would lose what it can be rolled back to, and one that failed would begin anew.
        """
        return self.updating or self.paused

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

    @property
    def running_or_done(self) -> int:
        """How many tasks nobody has to wait for."""
        return self.running + self.done


def is_ipv6(address: str) -> bool:
    """Whether an address belongs into an AAAA record rather than into an A record."""
    return ":" in address


@dataclass(frozen=True)
class Record:
    """What stands in DNS under the cluster's name, and who says it is theirs."""

    # The values of the A and of the AAAA record, together; empty if there is neither.
    addresses: Tuple[str, ...] = ()
    # The A record's TTL in seconds; None if there is none.
    ttl: Optional[int] = None
    # The ownership record's text; None if there is none.
    owner: Optional[str] = None
    # Why nobody but its owner can tell what stands there, such as 'a CNAME'; None for a plain record or none at all.
    obstacle: Optional[str] = None
    # Whether all of Route 53's name servers answer so.
    in_sync: bool = field(default=True, compare=False)
    # The AAAA record's TTL in seconds; None if there is none.
    ipv6_ttl: Optional[int] = None
    # Whether an AAAA record stands there too of which the ownership record does not speak; it is no part of this.
    ipv6_unowned: bool = False

    @property
    def absent(self) -> bool:
        """Whether nothing stands under the name."""
        return self.known_for is None and self.obstacle is None

    @property
    def ipv4(self) -> Tuple[str, ...]:
        """The A record's values."""
        return tuple(address for address in self.addresses if not is_ipv6(address))

    @property
    def ipv6(self) -> Tuple[str, ...]:
        """The AAAA record's values."""
        return tuple(address for address in self.addresses if is_ipv6(address))

    @property
    def shown(self) -> Mapping[str, object]:
        """The same for people and as JSON."""
        aaaa = {} if self.ipv6_ttl is None else {"ipv6_values": list(self.ipv6), "ipv6_ttl": self.ipv6_ttl}
        return {"ipv4_values": list(self.ipv4), "ttl": self.ttl, **aaaa, "owner": self.owner}

    @property
    def known_for(self) -> Optional[int]:
        """The longest time that resolvers keep an answer, in seconds; None if there is neither record."""
        return max((ttl for ttl in (self.ttl, self.ipv6_ttl) if ttl is not None), default=None)


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
class ScalingGroup:
    """A node group's Auto Scaling group."""

    name: str
    # The node group's name in the configuration.
    group: str
    smallest: int
    desired: int
    largest: int
    # Those of its instances that it counts on.
    in_service: int
    # The version of the launch template that its next instance is made from; None if not known.
    template: Optional[str] = None
    role: str = WORKER
    # How many instances it is to have once its upgrade is over; None if none is under way.
    original_size: Optional[int] = None

    @property
    def surplus(self) -> int:
        """How many instances it has beyond its original size."""
        return 0 if self.original_size is None else max(0, self.desired - self.original_size)


@dataclass(frozen=True)
class Cluster:
    """All of it at one moment. A part that could not be observed is None, which is never read as 'there is none'."""

    # The swarm of the engine that looks, and the cluster's record in the bucket.
    swarm_id: Optional[str]
    published: Optional[Published]
    nodes: Optional[Tuple[Node, ...]]
    instances: Optional[Tuple[Instance, ...]]
    record: Optional[Record] = None
    # The roles whose published join token is not the engine's.
    stale_tokens: Optional[Tuple[str, ...]] = None
    # Whether managers lock their state, and whether the key to it is kept where managers look for it when they boot.
    locked: Optional[bool] = None
    key_kept: Optional[bool] = None
    # What the queue said of instances that are to go, until their nodes carry it as a label.
    interruptions: Tuple[Interruption, ...] = ()
    services: Optional[Tuple[Service, ...]] = ()
    # How many instances each node group is to have, as far as that is known.
    desired: Mapping[str, int] = field(default_factory=dict)
    # The node groups that are being upgraded, as far as that is known.
    upgrading: FrozenSet[str] = frozenset()
    # When an instance's hook was last kept waiting, in epoch seconds, as far as this observer did it.
    heartbeats: Mapping[str, float] = field(default_factory=dict)
    # What each target group says of its targets, by its ARN: a state by instance ID. None for one that did not answer.
    targets: Mapping[str, Optional[Mapping[str, str]]] = field(default_factory=dict)
    # What the swarm itself remembers of the cluster's record, and how often it says that it was brought back.
    remembered: Optional[ClusterRecord] = None
    epoch: int = 0
    # Instances of managers that listen for a swarm, and have for a while, though this one does not reach them.
    elsewhere: Tuple[str, ...] = ()
