"""The simulated cluster: a bucket, EC2 and engines, with the real joiner as the process on every node."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.join import ports, token_publication
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import FORMED, ClusterRecord
from ansible_collections.swarm.aws.plugins.module_utils._core.join.join_decision import Me
from ansible_collections.swarm.aws.plugins.module_utils._core.join.joiner import CannotJoin, Joiner
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import (
    MANAGER,
    WORKER,
    Membership,
    Outcome,
    Peer,
)
from greenlet import GreenletExit, getcurrent, greenlet

from tests.simulation.bucket import CLUSTER_RECORD, Bucket, Store, token_key
from tests.simulation.invariant import Broken
from tests.simulation.limits import Limits
from tests.simulation.scheduler import Scheduler
from tests.simulation.weather import Weather

CLUSTER = "sim"
LIMIT = 1800.0
# How long a host does not answer after its launch.
BOOT_SECONDS = 3.0
# How long an engine waits for its join before it goes on in the background.
ENGINE_WAITS = 20.0
REFUSALS = (
    "AccessDenied (403)",
    "NoSuchBucket (404)",
    "ServiceUnavailable (503)",
    "SlowDown (503)",
    "Read timeout",
    "ExpiredToken (400)",
)


@dataclass(eq=False)
class Swarm:
    """Raft's knowledge of a swarm."""

    id: str
    made_by: str
    epoch: int = 0
    members: set[Node] = field(default_factory=set)
    voters: set[Node] = field(default_factory=set)
    # The cluster record that a leader stored in the swarm.
    remembered: ClusterRecord | None = None

    def token(self, role: str) -> str:
        """The join token of a role, which names the swarm's CA like a real token."""
        return f"SWMTKN-{self.id}-{role}-{self.epoch}"

    @property
    def quorate(self) -> bool:
        """Whether a majority of the voters is up."""
        return self.quorate_without(None)

    def quorate_without(self, node: Node | None) -> bool:
        """Whether a majority of the voters would live without the node; voters that only reboot come back."""
        living = [voter for voter in self.voters if voter is not node and voter.terminated_at is None]
        return len(living) * 2 > len(self.voters)


@dataclass(eq=False)
class Node:
    """An instance, and its state that survives a reboot."""

    instance: str
    role: str
    address: str
    launched_at: float
    terminated_at: float | None = None
    engine_up_at: float = 0.0
    state: str = ports.INACTIVE
    swarm: Swarm | None = None
    node_id: str = ""
    certified: bool = False
    attempt: int = 0
    unfinished: bool = False
    served: bool = False
    """Whether a leader has put it in service."""
    process: greenlet | None = None
    joined: bool = False
    refused: str = ""
    steps: int = 0
    """The number of pauses of its process."""
    crash_at: dict[int, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    @property
    def manages(self) -> bool:
        """Whether it is an active manager."""
        return self.state == ports.ACTIVE and self.swarm is not None and self in self.swarm.voters

    def state_at(self, time: float) -> str | None:
        """Its state in EC2 at a time."""
        if time < self.launched_at:
            return None
        return "terminated" if self.terminated_at is not None and time >= self.terminated_at else "running"


Process = Callable[["JoiningCluster", Node], None]


class JoiningCluster:
    """The whole simulation."""

    def __init__(
        self,
        seed: int,
        weather: Weather | None = None,
        trace: bool = False,
        process: Process | None = None,
        limits: Limits | None = None,
    ):
        """Without ``limits`` AWS and the swarm take any number of requests."""
        self.rng = random.Random(seed)
        self.limits = limits
        self.crashed_at = 0.0
        self.weather = weather or Weather.of(self.rng)
        self.process = process or join
        self.scheduler = Scheduler()
        self.tracing = trace
        self.bucket = Bucket(self._written)
        self.nodes: list[Node] = []
        self.published: set[str] = set()
        self.ids = 0
        # Whether the cluster has formed, so that no node may initialise another swarm.
        self.outlives = False

    # Time and chance

    @property
    def now(self) -> float:
        return self.scheduler.now

    def happens(self, probability: float) -> bool:
        """Whether a fault happens now."""
        return probability > 0 and self.now < self.weather.calm_after and self.rng.random() < probability

    def throttled(self, name: str) -> bool:
        """Whether AWS refuses a call now, by the name of its limit."""
        return self.limits is not None and not self.limits.allow(name, self.now)

    def trace(self, who: Node | None, what: str) -> None:
        if self.tracing:
            print(f"{self.now:9.3f}  {who.instance if who else '-':8}  {what}")

    def pause(self, node: Node, seconds: float) -> None:
        """Let time pass on a node. It may crash here, between two effects."""
        if getcurrent() is node.process:
            node.steps += 1
            kind = node.crash_at.pop(node.steps, None)
            if kind:
                self.crashed_at = self.now
            if kind == "freeze":
                self.trace(node, "freeze")
                seconds += self.rng.uniform(60, 600)
            elif kind:
                self.crash(node, kind)
                raise GreenletExit
        self.scheduler.pause(seconds)

    # Nodes

    def launch(self, role: str, delay: float = 0.0) -> Node:
        """Launch an instance, whose agent starts some time later."""
        number = len(self.nodes) + 1
        node = Node(f"i-{number:04}", role, f"10.0.0.{number}", self.now + delay)
        self.nodes.append(node)
        node.engine_up_at = node.launched_at + self.rng.uniform(0, 15)
        self.start(node, delay + self.rng.uniform(0, self.weather.boot_spread))
        return node

    def start(self, node: Node, delay: float) -> None:
        """Start the node's agent."""

        def agent() -> None:
            self.trace(node, f"agent starts ({node.role})")
            self.process(self, node)

        node.process = self.scheduler.start(agent, delay)

    def crash(self, node: Node, kind: str) -> None:
        """Crash a node's process: the ``agent`` or the node restarts, or EC2 replaces the instance."""
        swarm = node.swarm
        if kind == "replace" and swarm and swarm.id in self.published and not swarm.quorate_without(node):
            # A replacement would destroy the swarm, which a joiner cannot repair.
            kind = "reboot"
        self.trace(node, f"crash: {kind}")
        if kind == "replace":
            self.terminate(node)
            self.launch(node.role, self.rng.uniform(5, 60))
            return
        if kind == "reboot":
            self.restart_engine(node, self.rng.uniform(5, 60))
        self.start(node, self.rng.choice((self.rng.uniform(1, 60), self.rng.uniform(1, 600))))

    def terminate(self, node: Node) -> None:
        """Terminate an instance."""
        node.terminated_at = self.now
        if node.process and node.process is not getcurrent():
            self.scheduler.kill(node.process)

    def restart_engine(self, node: Node, seconds: float) -> None:
        """Stop the engine for a while, which aborts a join in progress."""
        self.trace(node, "engine restarts")
        node.engine_up_at = self.now + seconds
        if node.state != ports.ACTIVE:
            node.state, node.swarm, node.certified, node.attempt = ports.INACTIVE, None, False, node.attempt + 1

    def up(self, node: Node) -> bool:
        """Whether its engine answers."""
        return node.terminated_at is None and self.now >= max(node.engine_up_at, node.launched_at)

    @property
    def living(self) -> list[Node]:
        return [node for node in self.nodes if node.terminated_at is None]

    # The cluster record

    @property
    def cluster_record(self) -> ClusterRecord | None:
        found = self.bucket.get(CLUSTER_RECORD)
        return found.value if found and isinstance(found.value, ClusterRecord) else None

    @property
    def cluster_id(self) -> str | None:
        """The published swarm."""
        return self.cluster_record.cluster_id if self.cluster_record else None

    def _written(self, key: str, value: Any) -> None:
        """Check that nobody publishes a second cluster while a manager of the first lives. Raises Broken."""
        if not isinstance(value, ClusterRecord) or value.phase != FORMED:
            return
        self.published.add(value.cluster_id or "")
        alive = {voter.swarm.id for voter in self.living if voter.swarm and voter in voter.swarm.voters}
        if len(self.published & {value.cluster_id, *alive}) > 1:
            raise Broken(f"two clusters were published: {', '.join(sorted(self.published))}")

    # The story

    def boot(self) -> None:
        """Launch the nodes and choose their faults."""
        for role, count in ((MANAGER, self.weather.managers), (WORKER, self.weather.workers)):
            for _ in range(count):
                self.launch(role)
        for _ in range(self.weather.crashes):
            # Managers more often than workers, and low step numbers, where the election is.
            node = self.rng.choice(self.nodes[: self.weather.managers] * 3 + self.nodes)
            node.crash_at[self.rng.randint(1, self.rng.choice((20, 40, 100)))] = self.rng.choice(
                ("agent", "reboot", "replace", "replace", "freeze", "freeze")
            )
        for _ in range(self.weather.rotations):
            self.scheduler.at(self.rng.uniform(1, 120), self.rotate)

    def rotate(self) -> None:
        """Rotate the published swarm's tokens; its leader's agent publishes the new tokens some seconds later."""
        leader = next((node for node in self.living if node.manages and node.swarm.id == self.cluster_id), None)  # type: ignore[union-attr]
        if leader is None or leader.swarm is None:
            return
        swarm = leader.swarm
        swarm.epoch += 1
        self.trace(leader, "tokens rotated")

        def agent() -> None:
            while True:
                try:
                    token_publication.publish(SimStore(self, leader), swarm.id, SimEngine(self, leader).tokens)
                    return
                except Unavailable:
                    self.scheduler.pause(2)

        self.scheduler.start(agent, self.rng.uniform(1, 15))

    def run(self) -> None:
        """Run until every node has joined, and check the invariants. Raises Broken."""
        self.boot()
        self.settle()

    def settle(self, limit: float = LIMIT) -> None:
        """Run until every node has joined, and check the invariants. Raises Broken.

        The nodes have ``limit`` seconds from now, and from the last crash.
        """

        def joined() -> bool:
            return all(node.joined for node in self.living)

        until = self.now + limit
        settled = self.scheduler.run(joined, until)
        while not settled and until < self.crashed_at + limit:
            until = self.crashed_at + limit
            settled = self.scheduler.run(joined, until)
        if not settled and self.lost:
            return
        if not settled:
            waiting = {node.instance: node.said[-1:] for node in self.living if not node.joined}
            raise Broken(f"not joined after {limit:g} s: {waiting}")
        self.check()

    @property
    def lost(self) -> bool:
        """Whether the published swarm has lost its quorum forever, and all nodes outside say how to restore it.

        This happens to a swarm whose only manager dies as it is published.
        """
        published = {node.swarm for node in self.nodes if node.swarm and node.swarm.id in self.published}
        outside = [node for node in self.living if not node.joined]
        return any(not swarm.quorate for swarm in published) and all("restore" in node.said[-1] for node in outside)

    def check(self) -> None:
        """Check that every node is in the only published swarm, and that its tokens are published. Raises Broken."""
        for node in self.living:
            if node.swarm is None or node.swarm.id != self.cluster_id:
                raise Broken(f"{node.instance} is in {node.swarm and node.swarm.id}, published is {self.cluster_id}")
        for role in ports.ROLES:
            stored = self.bucket.get(token_key(role))
            if stored is None or stored.value.cluster_id != self.cluster_id:
                raise Broken(f"the published {role} token is {stored}, published is {self.cluster_id}")


def join(world: JoiningCluster, node: Node, deleted: str | None = None) -> None:
    """The real agent's first half. ``deleted`` is the ID of this host's node that was deleted from the swarm."""

    def report(sentence: str) -> None:
        node.said.append(sentence)
        world.trace(node, sentence)

    me = Me(CLUSTER, node.instance, node.role, deleted)
    joiner = Joiner(
        me, SimStore(world, node), SimEc2(world, node), SimEngine(world, node), SimClock(world, node), report
    )
    try:
        joined = joiner.run()
    except CannotJoin as error:
        report(f"refused: {error}")
        node.refused = str(error)
        return
    if node.swarm is not None and joined.cluster_id != node.swarm.id:
        raise Broken(f"{node.instance} says it joined {joined.cluster_id}, but is in {node.swarm}")
    world.trace(node, "joined")
    node.joined = True


class SimClock:
    """The node's clock, in virtual time."""

    def __init__(self, world: JoiningCluster, node: Node) -> None:
        self._world, self._node = world, node

    def now(self) -> float:
        return self._world.now

    def timestamp(self) -> str:
        return f"{self._world.now:.3f}"

    def wait(self, seconds: float, reason: str) -> None:
        self._node.said.append(reason)
        self._world.pause(self._node, seconds)


class SimStore(Store):
    """The bucket as a node reaches it."""

    def __init__(self, world: JoiningCluster, node: Node) -> None:
        self._world, self._node = world, node

    def get(self, key: str) -> Any:
        self._travel(f"read {key}")
        found = self._world.bucket.get(key)
        self._return()
        return found

    def put(self, key: str, value: Any) -> None:
        """Write unconditionally."""
        self._travel(f"write {key}")
        self._world.trace(self._node, f"put {key}: {value}")
        self._world.bucket.put(key, value)
        self._return()

    def _swap(self, key: str, value: Any, version: str | None) -> Outcome:
        world, weather = self._world, self._world.weather

        def effect() -> Outcome:
            world.trace(self._node, f"put {key}: {value}")
            outcome = world.bucket.swap(key, value, version)
            if outcome is Outcome.LOST:
                world.trace(self._node, f"put {key}: lost")
            return outcome

        self._travel(f"write {key}")
        if world.happens(weather.conflict):
            return Outcome.CONFLICT
        if world.happens(weather.delay_write):
            world.scheduler.at(world.now + world.rng.uniform(1, 60), effect)
            raise self._unavailable("the write is under way")
        outcome = effect()
        if world.happens(weather.repeat_write):
            outcome = effect()
        if world.happens(weather.lose_reply):
            raise self._unavailable("the reply was lost")
        self._return()
        return outcome

    def _travel(self, what: str) -> None:
        self._return()
        if self._world.throttled(f"S3 {what.split()[0]}"):
            raise self._unavailable(f"{what}: SlowDown (503)")
        if self._world.happens(self._world.weather.refuse):
            raise self._unavailable(f"{what}: {self._world.rng.choice(REFUSALS)}")

    def _return(self) -> None:
        world = self._world
        slow = world.happens(world.weather.stall)
        world.pause(self._node, world.rng.uniform(6, 20) if slow else world.rng.uniform(0.01, 0.1))

    def _unavailable(self, why: str) -> Unavailable:
        self._world.trace(self._node, f"S3 error: {why}")
        return Unavailable(f"S3: {why}")


class SimEc2:
    """EC2 as a node sees it."""

    def __init__(self, world: JoiningCluster, node: Node) -> None:
        self._world, self._node = world, node

    def running_managers(self) -> Sequence[Peer]:
        time = self._asked()
        return [
            Peer(node.instance, node.address)
            for node in self._world.nodes
            if node.role == MANAGER and node.state_at(time) == "running"
        ]

    def launching(self, instances: Sequence[str]) -> set[str]:
        self._asked()
        return {node.instance for node in self._world.nodes if node.instance in instances and not node.served}

    def state(self, instance: str) -> str | None:
        time = self._asked()
        return next(node.state_at(time) for node in self._world.nodes if node.instance == instance)

    def _asked(self) -> float:
        """The time of the state that EC2 answers with."""
        world = self._world
        world.pause(self._node, world.rng.uniform(0.05, 0.3))
        if world.throttled("EC2") or world.happens(world.weather.refuse):
            raise Unavailable("EC2: RequestLimitExceeded")
        return world.now - (world.rng.uniform(0, 60) if world.happens(world.weather.stale) else 0)


class SimEngine:
    """A node's engine."""

    def __init__(self, world: JoiningCluster, node: Node) -> None:
        self._world, self._node = world, node

    def membership(self) -> Membership:
        self._asked(0.01)
        node = self._node
        if node.state in (ports.INACTIVE, ports.ACTIVE):
            node.unfinished = False
        if node.state == ports.INACTIVE:
            return Membership(ports.INACTIVE)
        swarm = node.swarm
        if node.state != ports.ACTIVE:
            known = swarm.id if node.certified else None
            return Membership(node.state, known, unfinished=node.unfinished, message="connection refused")
        manages = node.manages
        return Membership(
            ports.ACTIVE,
            swarm.id,
            node.node_id,
            manager=manages,
            made_by=swarm.made_by if manages and swarm.quorate else None,
            alone=len(swarm.members) == 1,
            remembered=swarm.remembered if manages and swarm.quorate else None,
            message="" if not manages or swarm.quorate else "The swarm does not have a leader",
        )

    def init(self, made_by: str) -> None:
        world, node = self._world, self._node
        self._asked(world.rng.uniform(0.3, 3))
        if node.state != ports.INACTIVE:
            raise Unavailable("This node is already part of a swarm")
        # During boot another node may publish its swarm meanwhile; this node then leaves its own.
        others = self._world.outlives and [
            node
            for node in world.living
            if node.swarm and node.swarm.id in world.published and node in node.swarm.voters
        ]
        if others:
            raise Broken(f"{node.instance} initialises a swarm beside {others[0].swarm.id}, which was published")
        world.ids += 1
        self._enter(Swarm(f"swarm{world.ids}", made_by), manager=True)
        world.pause(node, 0.01)

    def join(self, address: str, token: str, epoch: int) -> None:
        world, node = self._world, self._node
        self._asked(world.rng.uniform(0.3, 3))
        if node.state != ports.INACTIVE:
            raise Unavailable("This node is already part of a swarm")
        node.unfinished = True
        target = next(peer for peer in world.nodes if peer.address == address)
        swarm = self._admitting(target, token)
        if swarm.id not in world.published:
            raise Broken(f"{node.instance} joins {swarm.id}, published is {world.cluster_id}")
        slow = world.happens(world.weather.slow_join)
        seconds = world.rng.uniform(1, 90) if slow else world.limits.admission(world.now) if world.limits else 0.0
        if slow or seconds > ENGINE_WAITS:
            node.state, node.swarm, node.certified = ports.PENDING, swarm, world.rng.random() < 0.5
            node.attempt += 1
            attempt, arrives = node.attempt, not slow or world.rng.random() < 0.7
            world.scheduler.at(world.now + seconds, lambda: self._arrive(attempt, arrives, swarm, token))
            world.pause(node, ENGINE_WAITS)
            raise ports.JoinPending("The engine is still joining")
        if seconds:
            world.pause(node, seconds)
        self._enter(swarm, manager="-manager-" in token)
        world.pause(node, 0.01)

    def remember(self, epoch: int) -> None:
        """This model has no backups."""

    def leave(self, cluster_id: str | None) -> None:
        world, node = self._world, self._node
        self._asked(world.rng.uniform(0.1, 1))
        if node.state == ports.ACTIVE:
            if node.swarm.id != cluster_id:
                raise Unavailable("The engine's swarm has changed meanwhile")
            if node in node.swarm.members and (cluster_id in world.published or node.swarm.members != {node}):
                raise Broken(f"{node.instance} leaves {cluster_id}, published is {world.cluster_id}")
            node.swarm.members.discard(node)
            node.swarm.voters.discard(node)
        world.trace(node, f"left {node.swarm and node.swarm.id}")
        node.state, node.swarm, node.certified, node.attempt = ports.INACTIVE, None, False, node.attempt + 1
        world.pause(node, 0.01)

    def tokens(self) -> Mapping[str, str]:
        self._asked(0.05)
        node = self._node
        if not node.manages or node.swarm is None or not node.swarm.quorate:
            raise Unavailable("The swarm does not have a leader")
        return {role: node.swarm.token(role) for role in ports.ROLES}

    def probe(self, address: str) -> str:
        world = self._world
        world.pause(self._node, world.rng.uniform(0.001, 2))
        target = next(node for node in world.nodes if node.address == address)
        if target.terminated_at is not None or world.now < target.launched_at + BOOT_SECONDS:
            return ports.SILENT
        return ports.LISTENS if world.up(target) and target.manages else ports.REFUSES

    def _asked(self, seconds: float) -> None:
        world, node = self._world, self._node
        world.pause(node, seconds)
        if world.happens(world.weather.engine_hiccup):
            world.restart_engine(node, world.rng.uniform(1, 20))
        if not world.up(node):
            raise Unavailable("The engine does not answer")

    def _admitting(self, target: Node, token: str) -> Swarm:
        """The swarm that admits the holder of the token. Raises JoinRefused."""
        swarm = target.swarm
        if swarm is None or not self._world.up(target) or not target.manages:
            raise ports.JoinRefused("connection refused")
        if not token.startswith(f"SWMTKN-{swarm.id}-"):
            raise ports.JoinRefused("remote CA does not match fingerprint")
        if token not in (swarm.token(MANAGER), swarm.token(WORKER)):
            raise ports.JoinRefused("invalid join token")
        if not swarm.quorate:
            raise ports.JoinRefused("The swarm does not have a leader")
        return swarm

    def _enter(self, swarm: Swarm, *, manager: bool) -> None:
        node, world = self._node, self._world
        world.ids += 1
        node.state, node.swarm, node.certified, node.node_id = ports.ACTIVE, swarm, True, f"node{world.ids}"
        swarm.members.add(node)
        if manager:
            swarm.voters.add(node)
        world.trace(node, f"in {swarm.id}")

    def _arrive(self, attempt: int, arrives: bool, swarm: Swarm, token: str) -> None:
        """End a join in the background, unless it was aborted."""
        node = self._node
        if node.attempt != attempt or node.state != ports.PENDING or node.terminated_at is not None:
            return
        if arrives and swarm.quorate:
            self._enter(swarm, manager="-manager-" in token)
        else:
            node.state = ports.ERROR
