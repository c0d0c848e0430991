"""A formed cluster, whose bucket and nodes somebody damages.

Every node runs the agent's first half, the real joiner, and then watches its membership. The leader also runs the
parts of the real plan that concern the bucket.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils._core import apply as core
from ansible_collections.swarm.aws.plugins.module_utils._core import cluster
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Cluster
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster_ports import ClusterPorts
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError, Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.join import ports
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import ClusterRecord, Memory
from ansible_collections.swarm.aws.plugins.module_utils._core.join.join_decision import Join, Leave, Me, decide
from ansible_collections.swarm.aws.plugins.module_utils._core.join.joiner import Joiner
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import MANAGER, ROLES, WORKER
from ansible_collections.swarm.aws.plugins.module_utils._core.plan import plan
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Policy
from ansible_collections.swarm.aws.plugins.module_utils._core.publication import Publication

from tests.simulation.bucket import CLUSTER_RECORD, NODES, token_key
from tests.simulation.invariant import Broken
from tests.simulation.joining_cluster import (
    CLUSTER,
    JoiningCluster,
    Node,
    SimClock,
    SimEc2,
    SimEngine,
    SimStore,
    Swarm,
    join,
)
from tests.simulation.weather import Weather

POLICY = Policy(cluster=CLUSTER, groups={}, dns=None, queue=None, region="eu-west-1")
# The agent's own intervals, in seconds.
WATCH_SECONDS = 20.0
LIST_SECONDS = 30.0
RETRY_SECONDS = 15.0
# How long faults happen after all nodes have joined.
TROUBLE_SECONDS = 300.0


class Membership(JoiningCluster):
    """A cluster that forms in good weather and suffers faults afterwards."""

    def __init__(self, seed: int, trace: bool = False) -> None:
        super().__init__(seed, Weather(boot_spread=1.0, calm_after=0.0), trace, live)
        self.weather = Weather(
            managers=self.rng.choice((1, 3, 3, 5)),
            workers=self.rng.randint(0, 3),
            boot_spread=self.rng.choice((0.1, 10.0)),
            calm_after=0.0,
        )

    def run(self) -> None:
        self.boot()
        self.settle()
        self.outlives = True
        weather = self.rng.choice((Weather(), Weather.of(self.rng)))
        trouble_ends = self.now + TROUBLE_SECONDS
        self.weather = Weather(**{**vars(weather), "calm_after": trouble_ends})
        for _ in range(self.rng.randint(1, 8)):
            fault = self.rng.choice(FAULTS)
            # Several at once, or in sequence.
            self.scheduler.at(
                self.rng.uniform(self.now, self.rng.choice((self.now + 20, trouble_ends))), self.suffer(fault)
            )
        self.scheduler.run(lambda: False, trouble_ends)
        self.scheduler.now = trouble_ends
        self.settle()

    def suffer(self, fault: Callable[[Membership], None]) -> Callable[[], None]:
        def happen() -> None:
            self.trace(None, f"fault: {fault.__name__}")
            fault(self)

        return happen

    def settle(self, limit: float = 1800.0) -> None:
        end = self.now + limit
        while True:
            settled = self.scheduler.run(lambda: not self.unsettled(), end)
            if settled or self.lost:
                return
            waiting = {node.instance: node.said[-1:] for node in self.living if not node.joined}
            raise Broken(f"not converged after {limit:g} s: {self.unsettled()} {waiting}")

    def unsettled(self) -> str:
        """Why the cluster has not converged; empty if it has."""
        for node in self.living:
            if not node.joined or node.swarm is None or node not in node.swarm.members:
                return f"{node.instance} is in no swarm"
        cluster_record = self.cluster_record
        swarms = {node.swarm.id for node in self.living if node.swarm}
        if cluster_record is None or swarms != {cluster_record.cluster_id}:
            return f"the bucket names {cluster_record and cluster_record.cluster_id}, the nodes are in {swarms}"
        if any(self.bucket.get(token_key(role)) is None for role in ROLES):
            return "a join token is not published"
        listed = self.bucket.get(NODES)
        if listed is None or set(listed.value[1]) != {node.node_id for node in self.living}:
            return "the published list of nodes is not the swarm's"
        return ""

    @property
    def lost(self) -> bool:
        """Whether only a restore helps."""
        published = {node.swarm for node in self.nodes if node.swarm and node.swarm.id in self.published}
        return bool(published) and all(not swarm.quorate for swarm in published)

    def members(self, role: str) -> list[Node]:
        return [node for node in self.living if node.role == role and node.swarm and node in node.swarm.members]

    def expendable(self, node: Node) -> bool:
        """Whether the swarm keeps its quorum without the node."""
        swarm = node.swarm
        return swarm is None or node not in swarm.voters or (len(swarm.voters) > 1 and swarm.quorate_without(node))


def live(world: JoiningCluster, node: Node) -> None:
    """The real agent: join, watch the membership, and join again."""
    deleted = None
    while True:
        node.joined = False
        join(world, node, deleted)
        if node.joined:
            deleted = _serve(world, node)
        else:
            world.pause(node, RETRY_SECONDS)


def _serve(world: JoiningCluster, node: Node) -> str | None:
    """Return when the node must join again; the ID of the node if it was deleted from the swarm."""
    joiner = Joiner(
        Me(CLUSTER, node.instance, node.role),
        SimStore(world, node),
        SimEc2(world, node),
        SimEngine(world, node),
        SimClock(world, node),
        lambda sentence: None,
    )
    looked_at = listed_at = float("-inf")
    while True:
        world.pause(node, world.rng.uniform(0.5, 3))
        try:
            if world.now - looked_at >= WATCH_SECONDS:
                looked_at = world.now
                view = joiner.look()
                action = decide(joiner.me, view)
                if isinstance(action, (Join, Leave)):
                    world.trace(node, f"is no member: {action}")
                    return view.membership.node_id if view.deleted else None
            if node.manages and _leader(world, node.swarm) is node:
                swarm = node.swarm
                _lead(world, node, swarm)
                if world.now - listed_at >= LIST_SECONDS:
                    listed = {member.node_id for member in swarm.members}
                    SimStore(world, node).put(NODES, (swarm.id, listed))
                    listed_at = world.now
        except SwarmError as error:
            world.trace(node, str(error))


def _leader(world: JoiningCluster, swarm: Swarm | None) -> Node | None:
    """The leader, if the swarm has a quorum."""
    if swarm is None or not swarm.quorate:
        return None
    return min((voter for voter in swarm.voters if world.up(voter)), key=lambda voter: voter.instance, default=None)


def _lead(world: JoiningCluster, node: Node, swarm: Swarm) -> None:
    """A pass of the leader's agent."""
    store, raft = SimStore(world, node), Raft(world, node, swarm)
    publication = Publication(store, raft)
    observed = Cluster(
        swarm.id,
        publication.published(),
        raft.nodes(),
        None,
        stale_tokens=publication.stale(),
        remembered=swarm.remembered,
    )
    for action in plan(observed, POLICY, world.now):
        change = core.apply(action, ClusterPorts(raft, None, publication, None, None), POLICY)  # type: ignore[arg-type]
        world.trace(node, change.sentence if change else "nothing")
    for member in swarm.members:
        member.served = True


class Raft:
    """The leader's engine: the parts of the core's ``Swarm`` and ``Secrets`` that this simulator calls."""

    def __init__(self, world: JoiningCluster, node: Node, swarm: Swarm) -> None:
        self._world, self._node, self._swarm = world, node, swarm

    def _asked(self) -> None:
        self._world.pause(self._node, 0.01)
        if self._node.swarm is not self._swarm or not self._swarm.quorate:
            raise Unavailable("The swarm does not have a leader")

    def memory(self) -> Memory:
        self._asked()
        return Memory(self._swarm.id, self._swarm.remembered)

    def remember(self, record: ClusterRecord) -> None:
        self._asked()
        self._swarm.remembered = record

    def swarm_id(self) -> str:
        return self.memory().swarm_id

    def tokens(self) -> dict[str, str]:
        self._asked()
        return {role: self._swarm.token(role) for role in ROLES}

    def nodes(self) -> tuple[cluster.Node, ...]:
        self._asked()
        return tuple(
            cluster.Node(
                id=member.node_id,
                role=MANAGER if member in self._swarm.voters else WORKER,
                state="ready" if self._world.up(member) else "down",
                voter=member in self._swarm.voters,
                reachable=self._world.up(member),
            )
            for member in self._swarm.members
            if member.terminated_at is None
        )


# The faults


def roll_back(world: Membership) -> None:
    """Somebody restores an earlier version of the cluster record."""
    world.bucket.restore(CLUSTER_RECORD, world.rng.choice(world.bucket.history[CLUSTER_RECORD]))


def delete_record(world: Membership) -> None:
    world.bucket.objects.pop(CLUSTER_RECORD, None)


def spoil_record(world: Membership) -> None:
    """Somebody makes the cluster record invalid."""
    world.bucket.restore(CLUSTER_RECORD, "{")


def empty_bucket(world: Membership) -> None:
    world.bucket.objects.clear()


def roll_back_token(world: Membership) -> None:
    key = token_key(world.rng.choice(ROLES))
    world.bucket.restore(key, world.rng.choice(world.bucket.history[key]))


def boot_manager(world: Membership) -> None:
    world.launch(MANAGER)


def boot_worker(world: Membership) -> None:
    world.launch(WORKER)


def replace_manager(world: Membership) -> None:
    """A manager's instance is terminated, and another takes its place."""
    found = [node for node in world.members(MANAGER) if world.expendable(node)]
    if found:
        node = world.rng.choice(found)
        world.terminate(node)
        # The leader's agent removes the node; the other simulator covers that.
        node.swarm.members.discard(node)
        node.swarm.voters.discard(node)
        world.launch(MANAGER, world.rng.uniform(0, 20))


def leave_by_hand(world: Membership) -> None:
    """Somebody runs `docker swarm leave --force` on a node."""
    found = [node for node in world.members(MANAGER) + world.members(WORKER) if world.expendable(node)]
    if found:
        node = world.rng.choice(found)
        node.swarm.members.discard(node)
        node.swarm.voters.discard(node)
        node.state, node.swarm, node.certified = ports.INACTIVE, None, False


def delete_by_hand(world: Membership) -> None:
    """Somebody runs `docker node rm --force` for a worker, whose engine does not notice."""
    found = world.members(WORKER)
    if found:
        node = world.rng.choice(found)
        node.swarm.members.discard(node)


def restart_engine(world: Membership) -> None:
    node = world.rng.choice(world.living)
    world.restart_engine(node, world.rng.uniform(1, 60))


def restart_all_engines(world: Membership) -> None:
    """Somebody restarts all engines at once."""
    for node in world.living:
        world.restart_engine(node, world.rng.uniform(1, 60))


def kill_agent(world: Membership) -> None:
    node: Any = world.rng.choice(world.living)
    if node.process:
        world.scheduler.kill(node.process)
    node.joined = False
    world.start(node, world.rng.uniform(1, 60))


FAULTS = (
    roll_back,
    roll_back,
    delete_record,
    spoil_record,
    empty_bucket,
    empty_bucket,
    roll_back_token,
    boot_manager,
    boot_manager,
    boot_worker,
    replace_manager,
    replace_manager,
    leave_by_hand,
    delete_by_hand,
    restart_engine,
    restart_all_engines,
    kill_agent,
)
