"""The observed cluster: instances from EC2 and Auto Scaling, nodes from Raft, and the DNS record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import FrozenSet, Mapping, Optional, Tuple

from .join.cluster_record import ClusterRecord, Published

MANAGER = "manager"
WORKER = "worker"

# Final states of an instance.
GONE_STATES = ("shutting-down", "terminated")
# Prefix of the lifecycle states of instances in a warm pool.
WARMED = "Warmed:"
# The lifecycle state of an instance that waits at its group's launch hook.
LAUNCH_WAIT = "Pending:Wait"


@dataclass(frozen=True)
class Instance:
    """An instance of the cluster."""

    id: str
    group: str
    role: str
    zone: str
    # As EC2 names it: pending, running, shutting-down, terminated, stopping or stopped.
    state: str
    private_address: Optional[str] = None
    public_address: Optional[str] = None
    # In the shortest form, as EC2 gives it. There is no private kind.
    ipv6_address: Optional[str] = None
    # The Auto Scaling group's name and the instance's lifecycle state there, such as Pending:Wait; None if in none.
    scaling_group: Optional[str] = None
    lifecycle: Optional[str] = None
    healthy: bool = True
    # When EC2 started it, in epoch seconds.
    launched: Optional[float] = None
    # Its type such as t3.small, its image, and the version of its launch template; None if not known.
    kind: Optional[str] = None
    image: Optional[str] = None
    template: Optional[str] = None

    @property
    def gone(self) -> bool:
        """Whether it is terminated or shutting down."""
        return self.state in GONE_STATES

    @property
    def in_service(self) -> bool:
        """Whether it runs and Auto Scaling has it in service."""
        return self.lifecycle == "InService" and self.state == "running"

    @property
    def warmed(self) -> bool:
        """Whether it is in its group's warm pool or enters it, and so is in no swarm."""
        return (self.lifecycle or "").startswith(WARMED)

    @property
    def terminating(self) -> bool:
        """Whether Auto Scaling is terminating it, in its group or in the group's warm pool."""
        return (self.lifecycle or "").removeprefix(WARMED).startswith("Terminating")

    def addresses(self, kind: str, *, ipv6: bool) -> Tuple[str, ...]:
        """Its ``public`` or ``private`` address, and with ``ipv6`` its IPv6 address, as far as it has them."""
        ipv4 = self.public_address if kind == "public" else self.private_address
        return tuple(address for address in (ipv4, self.ipv6_address if ipv6 else None) if address)


@dataclass(frozen=True)
class Node:
    """A node of the swarm, as its managers see it."""

    id: str
    # The desired role. While it changes, the node may still be a voter, or not be a voter yet.
    role: str
    # ready, down, disconnected or unknown.
    state: str
    # active, pause or drain.
    availability: str = "active"
    # Its address for the managers.
    address: Optional[str] = None
    # Whether it is a member of Raft, and whether it answers there.
    voter: bool = False
    reachable: bool = False
    leader: bool = False
    # Only managers set them.
    labels: Mapping[str, str] = field(default_factory=dict)
    # The node itself sets them.
    engine_labels: Mapping[str, str] = field(default_factory=dict)
    # Tasks that run on it or will.
    tasks: int = 0
    # For constraints and reservations: its name, its platform such as linux/x86_64, its total memory in bytes and its
    # CPUs in billionths; None if not known.
    hostname: str = ""
    platform: str = ""
    memory: Optional[int] = None
    cpus: Optional[int] = None
    # The version of its engine.
    engine: str = ""
    # A sentence about fields that cannot be read; empty if all can.
    flaw: str = ""

    @property
    def ready(self) -> bool:
        """Whether it works: a manager must also be reachable in Raft."""
        return self.state == "ready" and self._in_raft

    @property
    def unconfirmed(self) -> bool:
        """Whether it may be ready, but the leader is new and has not received its heartbeat yet."""
        return self.state == "unknown" and self._in_raft

    @property
    def holds_vote(self) -> bool:
        """Whether it must be demoted before it can be deleted.

        A manager that is down and no member of Raft, as a restore leaves it, cannot be demoted.
        """
        return self.voter or (self.role == MANAGER and self.state != "down")

    @property
    def _in_raft(self) -> bool:
        return self.role == WORKER or (self.voter and self.reachable)


@dataclass(frozen=True)
class Needs:
    """The requirements of a service's tasks on a node."""

    # Such as `node.role == worker`.
    constraints: Tuple[str, ...] = ()
    # 0 for any number.
    most_per_node: int = 0
    # The reservation of each task: bytes, and billionths of a CPU.
    memory: int = 0
    cpus: int = 0
    # Ports that are published on the node itself, which a single task there can have.
    host_ports: Tuple[int, ...] = ()
    # Its placement preferences in their order, such as `node.labels.zone`; the nodes come last.
    spread: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Service:
    """A service of the swarm, and the numbers of its tasks by the node's ID."""

    id: str
    name: str
    # replicated, global or job.
    mode: str = "replicated"
    replicas: int = 0
    # Whether an old task and its replacement may run at once (`start-first`). Not if it has a single task.
    start_first: bool = False
    # Whether it has a health check.
    health_checked: bool = False
    # Whether its tasks are reached by IPVS.
    balanced: bool = False
    # Number of tasks that an update replaces at a time; 0 for all.
    parallelism: int = 1
    # Whether an update or a rollback is in progress.
    updating: bool = False
    # Whether an update or a rollback is paused. Any write to the service starts it again, and becomes the
    # specification that Docker rolls back to.
    paused: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    # Seconds that its tasks may take to stop.
    stop_seconds: float = 10
    needs: Needs = Needs()
    # Tasks that run, which a task with a health check does only once it is healthy.
    healthy: Mapping[str, int] = field(default_factory=dict)
    # Tasks that will run.
    starting: Mapping[str, int] = field(default_factory=dict)
    # Tasks that were told to stop and have not stopped yet.
    stopping: Mapping[str, int] = field(default_factory=dict)
    # From its specification.
    image: str = ""
    # Nodes (or slots, if it is not global) whose task has ended and gets no replacement.
    over: FrozenSet[str] = frozenset()
    # Number of these that count as complete: all without restarts, the successful tasks with restarts on failure.
    done: int = 0
    # Nodes where no task of it is healthy and the last tasks have failed, soon after each other.
    failing: FrozenSet[str] = frozenset()
    # Whether its specification can be written with other credentials and its tasks stay as they are. Not if it is a
    # job, which would run again, has tasks that have ended for good, or has a paused update.
    renewable: bool = False
    # Tasks without a node, and the scheduler's reason; empty before it has tried.
    pending: int = 0
    why_pending: str = ""
    # A sentence why only its name is known; empty if all is.
    flaw: str = ""

    @property
    def mid_update(self) -> bool:
        """Whether an update is in progress or paused, so that nothing may be written to the service.

        A write would lose the specification to roll back to, or start a paused update again.
        """
        return self.updating or self.paused

    def wanted_on(self, node: str) -> int:
        """Number of tasks that run there, or will run."""
        return self.healthy.get(node, 0) + self.starting.get(node, 0)

    def left_on(self, node: str) -> int:
        """Number of tasks that have not ended there."""
        return self.wanted_on(node) + self.stopping.get(node, 0)

    @property
    def running(self) -> int:
        """Number of healthy tasks on all nodes."""
        return sum(self.healthy.values())

    @property
    def running_or_done(self) -> int:
        """Number of healthy or complete tasks."""
        return self.running + self.done


def is_ipv6(address: str) -> bool:
    """Whether an address belongs in an AAAA record."""
    return ":" in address


@dataclass(frozen=True)
class Record:
    """The DNS record under the cluster's name, and its ownership record."""

    # The values of the A and of the AAAA record, together; empty if there is neither.
    addresses: Tuple[str, ...] = ()
    # The A record's TTL in seconds; None if there is none.
    ttl: Optional[int] = None
    # The ownership record's text; None if there is none.
    owner: Optional[str] = None
    # A kind of record that is not ours, such as 'a CNAME'; None for a plain record or none at all.
    obstacle: Optional[str] = None
    # Whether all of Route 53's name servers answer with it.
    in_sync: bool = field(default=True, compare=False)
    # The AAAA record's TTL in seconds; None if there is none.
    ipv6_ttl: Optional[int] = None
    # Whether there is an AAAA record that the ownership record does not cover. It is not part of this.
    ipv6_unowned: bool = False

    @property
    def absent(self) -> bool:
        """Whether there is no record under the name."""
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
        """For people and JSON."""
        aaaa = {} if self.ipv6_ttl is None else {"ipv6_values": list(self.ipv6), "ipv6_ttl": self.ipv6_ttl}
        return {"ipv4_values": list(self.ipv4), "ttl": self.ttl, **aaaa, "owner": self.owner}

    @property
    def known_for(self) -> Optional[int]:
        """The longer of the two TTLs, in seconds; None if there is neither record."""
        return max((ttl for ttl in (self.ttl, self.ipv6_ttl) if ttl is not None), default=None)


@dataclass(frozen=True)
class Interruption:
    """A reason to remove an instance."""

    instance: str
    # terminating, requested, down, demoted, or an event such as spot interruption.
    kind: str
    # The latest time at which the instance ends, in epoch seconds; None if not known.
    deadline: Optional[float] = None
    # Whether its Auto Scaling group starts another instance.
    replace: bool = True
    # Whether the operator accepts that services lose tasks that fit nowhere else.
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
    # The number of its instances in service.
    in_service: int
    # The version of the launch template for new instances; None if not known.
    template: Optional[str] = None
    role: str = WORKER
    # Its desired size after the upgrade; None if no upgrade is in progress.
    original_size: Optional[int] = None
    # Auto Scaling's reason why its launches fail, and for how many seconds they have; None if they do not.
    launch_failure: Optional[str] = None
    failing_seconds: Optional[float] = None

    @property
    def surplus(self) -> int:
        """Number of instances beyond its original size."""
        return 0 if self.original_size is None else max(0, self.desired - self.original_size)


@dataclass(frozen=True)
class Cluster:
    """The whole cluster at one time. None is a part that could not be observed, never 'there is none'."""

    # The swarm of this engine, and the cluster's record in the bucket.
    swarm_id: Optional[str]
    published: Optional[Published]
    nodes: Optional[Tuple[Node, ...]]
    instances: Optional[Tuple[Instance, ...]]
    record: Optional[Record] = None
    # The roles whose published join token is not the engine's.
    stale_tokens: Optional[Tuple[str, ...]] = None
    # Whether managers lock their state, and whether its key is stored where managers look for it when they boot.
    locked: Optional[bool] = None
    key_kept: Optional[bool] = None
    # Interruptions from the queue, until the nodes carry them as labels.
    interruptions: Tuple[Interruption, ...] = ()
    services: Optional[Tuple[Service, ...]] = ()
    # The desired capacity of each node group, as far as known.
    desired: Mapping[str, int] = field(default_factory=dict)
    # The node groups that are being upgraded, as far as known.
    upgrading: FrozenSet[str] = frozenset()
    # Auto Scaling's reason why the launches of a node group fail, as far as known.
    launch_failures: Mapping[str, str] = field(default_factory=dict)
    # When this observer sent the last heartbeat for an instance, in epoch seconds.
    heartbeats: Mapping[str, float] = field(default_factory=dict)
    # By the target group's ARN: the targets' states by instance ID. None if it did not answer.
    targets: Mapping[str, Optional[Mapping[str, str]]] = field(default_factory=dict)
    # The cluster's record as the swarm remembers it, and how often the swarm was restored.
    remembered: Optional[ClusterRecord] = None
    epoch: int = 0
    # Managers that have listened on the swarm's port for a while, although this swarm does not reach them.
    elsewhere: Tuple[str, ...] = ()
