"""The swarm: nodes, Raft with its leader and quorum, and how managers learn which nodes are up.

Refusals, and the effects of a demotion or a change of leader, are those of moby.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ansible_collections.swarm.aws.plugins.module_utils._core import cluster
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import ClusterRecord
from ansible_collections.swarm.aws.plugins.module_utils._core.node_matching import INSTANCE_LABEL

from .cloud import Machine

if TYPE_CHECKING:
    from .simulated_cluster import SimCluster

NO_LEADER = "The swarm does not have a leader."
# How long until a silent node is down, and until a leader without a quorum steps down, in seconds.
SILENCE = 12.0
LEADER_SILENCE = 8.0


@dataclass(eq=False)
class Member:
    """A node."""

    id: str
    machine: Machine
    # As specified. The vote follows the role some time later.
    role: str
    voter: bool
    availability: str = "active"
    labels: Mapping[str, str] = field(default_factory=dict)
    # When the decision to set each label was made, whatever its value says.
    noted_at: dict[str, float] = field(default_factory=dict)
    version: int = 0
    # ready, unknown or down, as the leader's store has it.
    state: str = "ready"
    silent_since: float | None = None
    removed: bool = False
    # Its engine is in no swarm or in another, while the managers still have the node.
    left: bool = False
    joined_at: float = 0.0
    drained_at: float | None = None


class Swarm:
    """A swarm and its nodes."""

    def __init__(self, world: SimCluster, identifier: str = "swarm1") -> None:
        self._world = world
        self.id = identifier
        self.epoch = 0
        # The cluster record that a leader stored in the swarm.
        self.remembered: ClusterRecord | None = None
        self.members: dict[str, Member] = {}
        # The leader, and deposed leaders with their stores; those exist only while a partition is young.
        self.leader: Member | None = None
        self.deposed: dict[Member, list[Member]] = {}
        # Instances that only reach each other, during a partition.
        self.isolated: frozenset[Machine] = frozenset()
        self._electing = False
        # Node IDs differ between swarms.
        self._made, self._prefix = 0, "n" if identifier == "swarm1" else f"{identifier}-n"

    # State

    def token(self, role: str) -> str:
        """The join token of a role."""
        return f"SWMTKN-1-{self.id}-{role}-{self.epoch}"

    def member_of(self, machine: Machine) -> Member | None:
        """The node of the instance's engine."""
        return next((member for member in self.members.values() if member.machine is machine and not member.left), None)

    def up(self, member: Member) -> bool:
        """Whether its engine works, and as this node."""
        return member.machine.engine_up and not member.left and not member.removed

    def connected(self, machine: Machine, other: Machine) -> bool:
        """Whether packets pass between two instances."""
        return machine is other or (machine in self.isolated) == (other in self.isolated)

    @property
    def voters(self) -> list[Member]:
        return [member for member in self.members.values() if member.voter]

    def reachable(self, member: Member, leader: Member) -> bool:
        """Whether the leader reaches a node."""
        return self.up(member) and self.connected(member.machine, leader.machine)

    def quorate(self, leader: Member) -> bool:
        """Whether the leader reaches a quorum."""
        voters = self.voters
        return sum(self.reachable(voter, leader) for voter in voters) * 2 > len(voters)

    @property
    def works(self) -> bool:
        """Whether it has a leader with a quorum."""
        return self.leader is not None and self.quorate(self.leader)

    @property
    def lost(self) -> bool:
        """Whether so many voters are gone that there can never be a quorum again."""
        voters = self.voters
        return sum(voter.machine.alive and not voter.left and not voter.removed for voter in voters) * 2 <= len(voters)

    # The engine's API

    def leader_for(self, machine: Machine) -> Member:
        """The leader, as this manager's engine sees it. Raises Unavailable."""
        member = self._manager(machine)
        for leader in (self.leader, *self.deposed):
            if leader and self.up(leader) and self.connected(leader.machine, member.machine):
                return leader
        raise Unavailable(NO_LEADER)

    def nodes(self, machine: Machine) -> tuple[cluster.Node, ...]:
        """The nodes, as in the store of this manager's leader. Raises Unavailable."""
        leader = self.leader_for(machine)
        # A leader that does not know it was deposed has its old store, but sees itself which nodes are silent.
        store = self.deposed.get(leader) or list(self.members.values())
        tasks = self._world.work.count()
        return tuple(
            cluster.Node(
                id=member.id,
                role=member.role,
                state=member.state,
                availability=member.availability,
                address=member.machine.private,
                voter=member.voter,
                reachable=member.voter and self.reachable(self.members.get(member.id, member), leader),
                leader=member.id == leader.id,
                labels=member.labels,
                engine_labels={INSTANCE_LABEL: member.machine.id},
                tasks=tasks.get(member.id, 0),
            )
            for member in sorted(store, key=lambda member: member.id)
        )

    def version(self, node: str) -> int:
        """The version of a node's specification; -1 without the node."""
        return self.members[node].version if node in self.members else -1

    def update(
        self,
        machine: Machine,
        node: str,
        version: int,
        role: str | None,
        availability: str | None,
        labels: Mapping[str, str] | None,
        decided: float,
    ) -> None:
        """Change a node's specification, by a decision made at the time ``decided``. Raises Unavailable."""
        member = self._deciding(machine, node)
        if version != member.version:
            raise Unavailable("update out of sequence")
        if role == "worker" and member.role == "manager":
            if sum(known.role == "manager" for known in self.members.values()) == 1:
                raise Unavailable("attempting to demote the last manager of the swarm")
            if not self._can_lose(member):
                raise Unavailable("can't remove member from the raft: this would result in a loss of quorum")
            self._world.at(self._world.rng.uniform(0.2, 2), lambda: self._demote(member))
        if role == "manager" and member.role == "worker":
            self._world.at(self._world.rng.uniform(0.2, 2), lambda: self._promote(member))
        member.version += 1
        member.role = role or member.role
        if availability:
            member.availability = availability
            member.drained_at = self._world.now if availability == "drain" else None
        if labels is not None:
            member.noted_at.update({key: decided for key, _value in labels.items() - member.labels.items()})
            member.labels = dict(labels)
        self._world.work.orchestrate()
        self._world.changed()

    def demote_by_hand(self, member: Member) -> None:
        """Demote a manager as somebody with `docker node demote`."""
        if self._can_lose(member):
            member.role = "worker"
            member.version += 1
            self._world.at(self._world.rng.uniform(0.2, 2), lambda: self._demote(member))

    def remove(self, machine: Machine, node: str) -> None:
        """Delete a node, up or not. A demoted manager may still vote. Raises Unavailable."""
        if node not in self.members:
            return
        member = self._deciding(machine, node)
        if member.role == "manager" and member.voter:
            raise Unavailable("node is a cluster manager and is a member of the raft cluster")
        member.removed = True
        if not member.voter:
            del self.members[node]
        self.disturbed()

    def join(self, machine: Machine, token: str) -> Member:
        """Admit an instance. Raises Unavailable."""
        if not self.works or self.leader is None or not self.connected(machine, self.leader.machine):
            raise Unavailable(NO_LEADER)
        role = next((role for role in ("manager", "worker") if token == self.token(role)), None)
        if role is None:
            raise Unavailable("invalid join token")
        return self.add(machine, role)

    def add(self, machine: Machine, role: str) -> Member:
        """Add the node of an instance's engine."""
        self._made += 1
        member = Member(
            f"{self._prefix}{self._made:03}", machine, role, voter=role == "manager", joined_at=self._world.now
        )
        self.members[member.id] = member
        if self.leader is None and len(self.members) == 1:
            self.leader = member
        self._world.work.orchestrate()
        self._world.changed()
        return member

    # Events

    def disturbed(self) -> None:
        """React to a change: depose the leader, elect another, and note silent nodes."""
        leader = self.leader
        if leader and not (self.up(leader) and leader.voter and leader.id in self.members):
            self.leader = None
        elif leader and not self.quorate(leader):
            # It continues for a while, with its old store.
            self.deposed[leader] = [replace(member, labels=dict(member.labels)) for member in self.members.values()]
            self._world.at(LEADER_SILENCE, lambda: self._step_down(leader))
            self.leader = None
        if self.leader is None and not self._electing:
            self._electing = True
            self._world.at(self._world.rng.uniform(2, 8), self._elect)
        self._listen()
        self._world.work.orchestrate()
        self._world.changed()

    def _elect(self) -> None:
        self._electing = False
        if self.leader:
            return
        candidates = [voter for voter in self.voters if self.up(voter) and self.quorate(voter)]
        if not candidates:
            # The return of a voter calls `disturbed`.
            return
        self.lead(self._world.rng.choice(candidates))

    def lead(self, member: Member) -> None:
        """Make a voter the leader."""
        self.leader = member
        self._world.note("leads", member.machine)
        # A new leader has no heartbeats yet.
        for other in self.members.values():
            if other.state == "ready" and other is not member:
                other.state = "unknown"
        self._listen()
        for voter in self.voters:
            if voter.role == "worker":
                self._world.at(self._world.rng.uniform(0.2, 2), lambda voter=voter: self._demote(voter))
        self._world.work.orchestrate()
        self._world.changed()

    def _step_down(self, leader: Member) -> None:
        self.deposed.pop(leader, None)

    def _listen(self) -> None:
        """Note which nodes the leader reaches: they are ready soon, silent nodes are down after a while."""
        leader, now = self.leader, self._world.now
        for member in self.members.values():
            if leader is not None and self.reachable(member, leader):
                member.silent_since = None
                if member.state != "ready":
                    self._world.at(self._world.rng.uniform(0.3, 4), lambda member=member: self._welcome(member))
            elif member.silent_since is None:
                member.silent_since = now
                self._world.at(SILENCE, self._miss)

    def _welcome(self, member: Member) -> None:
        if self.leader and member.state != "ready" and self.reachable(member, self.leader):
            member.state = "ready"
            self._world.work.orchestrate()
            self._world.changed()

    def _miss(self) -> None:
        if not self.works:
            # No state changes without a quorum.
            if self.leader or not self.lost:
                self._world.at(SILENCE, self._miss)
            return
        for member in self.members.values():
            since = member.silent_since
            if since is not None and member.state != "down" and self._world.now - since >= SILENCE - 0.001:
                member.state = "down"
                self._world.note("is down", member.machine)
        self._world.work.orchestrate()
        self._world.changed()

    def _demote(self, member: Member) -> None:
        """Take the vote of a demoted manager, as soon as the leader can."""
        if not member.voter or member.role == "manager" or member.id not in self.members:
            return
        leader = self.leader
        if leader is None or not self.quorate(leader):
            return
        if not self._can_lose(member):
            self._world.at(5.0, lambda: self._demote(member))
            return
        if member is leader:
            others = [voter for voter in self.voters if voter is not member and self.reachable(voter, member)]
            self.lead(self._world.rng.choice(others))
            return
        member.voter = False
        self._world.note("lost its vote", member.machine)
        if member.removed:
            del self.members[member.id]
        self.disturbed()

    def _promote(self, member: Member) -> None:
        """Give a promoted worker a vote, as soon as the leader can."""
        if member.voter or member.role == "worker" or member.id not in self.members:
            return
        if not self.works or not self.up(member):
            self._world.at(5.0, lambda: self._promote(member))
            return
        member.voter = True
        self._world.note("votes", member.machine)
        self.disturbed()

    def _can_lose(self, member: Member) -> bool:
        """Whether the other voters would be a quorum of themselves."""
        leader = self.leader
        rest = [voter for voter in self.voters if voter is not member]
        return leader is not None and sum(self.reachable(voter, leader) for voter in rest) >= len(rest) // 2 + 1

    def _manager(self, machine: Machine) -> Member:
        member = self.member_of(machine)
        if not machine.engine_up:
            raise Unavailable("The engine does not answer.")
        if member is None or not member.voter or member.removed:
            raise Unavailable("This node is not a swarm manager.")
        return member

    def deciding(self, machine: Machine) -> None:
        """Raise Unavailable unless this manager can commit a change."""
        leader = self.leader_for(machine)
        if leader is not self.leader or not self.quorate(leader):
            raise Unavailable("context deadline exceeded")

    def _deciding(self, machine: Machine, node: str) -> Member:
        """The node to change. Raises Unavailable."""
        self.deciding(machine)
        if node not in self.members:
            raise Unavailable(f"node {node} not found")
        return self.members[node]
