"""I1 to I7, checked at every effect and after every change; `Invariants.unsettled` checks the end of a story.

An address may only be written to the record if, at some moment since the writer's pass began, it was the address of a
live instance that was in the swarm, and in service or being terminated. If another agent withdrew it before the writer
read the record, that moment must be after the withdrawal. EC2 and the managers may be late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.swarm.aws.plugins.module_utils._core import interruptions, node_labels, target_groups
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Node, Record
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import ClusterRecord
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import ROLES, Token
from ansible_collections.swarm.aws.plugins.module_utils._core.node_matching import INSTANCE_LABEL
from ansible_collections.swarm.aws.plugins.module_utils._core.reconcile import Pass

from tests.simulation.bucket import CLUSTER_RECORD, token_key
from tests.simulation.invariant import Broken

from .balancing import TARGET_GROUP
from .cloud import LAUNCHING, TERMINATING, Machine
from .ports import STALE_SECONDS
from .swarm import LEADER_SILENCE, SILENCE, Member

if TYPE_CHECKING:
    from .agent import Agent
    from .simulated_cluster import SimCluster

SECRET = "SWMTKN-"
# Times in labels are whole seconds, and clocks differ.
SLACK = 1.0
# How late EC2, and managers that notice a silent node, may be.
LATE = max(STALE_SECONDS, SILENCE) + SLACK
# How long clients may fail after an unplanned event, in seconds.
UNPLANNED_SECONDS = 60.0


class Invariants:
    """The invariants of a simulated cluster. Each check raises Broken."""

    def __init__(self, world: SimCluster) -> None:
        self._world = world
        self._published: str | None = None
        # Machines whose addresses may be published, and until when others were such machines.
        self._fit: set[Machine] = set()
        self._ceased_at: dict[Machine, float] = {}
        # Since when a machine does not serve as a target should.
        self._unfit_since: dict[Machine, float] = {}

    # At an effect

    def bucket(self, key: str, value: Any) -> None:
        """I1: the cluster record and the tokens have the same cluster ID."""
        found = value.cluster_id if isinstance(value, (ClusterRecord, Token)) else None
        if self._published is None:
            self._published = found
        elif found not in (None, self._published):
            raise Broken(f"I1: {key} now has the cluster ID {found} instead of {self._published}")

    def spoken(self, agent: Agent, text: str) -> None:
        """I4: no log, state or status document has a secret."""
        if SECRET in text:
            raise Broken(f"I4: the agent of {agent.machine.id} reveals a join token: {text.strip()}")

    def update(self, agent: Agent, told: Sequence[Node], node: str, role: str | None, availability: str | None) -> None:
        """I7, and I6: a node is not drained while clients may be sent to it."""
        member = agent.swarm.members.get(node)
        if member is None:
            return
        if role == "worker":
            self._quorum(agent, told, node, "demotes")
        if availability == "drain":
            self._quorum(agent, told, node, "drains")
            # The agent could not foresee unplanned events since its pass began, or unseen by the managers.
            unseen = self._world.work.excused_at >= agent.pass_began - SILENCE - SLACK
            if unseen or self._world.hurried(member.machine, member) or self._waited_long(member):
                self._world.work.excuse()
            self._unknown_to_clients(agent, member)
            self._unbalanced(agent, member)

    def remove(self, agent: Agent, node: str) -> None:
        """I2: no node is deleted that votes, or whose instance runs and stays."""
        member = agent.swarm.members.get(node)
        if member is None:
            return
        if member.voter and member.machine.alive:
            raise Broken(f"I2: {agent.machine.id} deletes {node} of {member.machine.id}, which votes")
        if member.machine.alive and not member.left and not self._being_removed(member):
            raise Broken(f"I2: {agent.machine.id} deletes {node} of {member.machine.id}, which runs")
        if member.machine.engine_up and member.state == "ready" and self._cut_short(member):
            raise Broken(
                f"I6: {agent.machine.id} deletes {node} of {member.machine.id}, whose tasks still have time to stop"
            )

    def _cut_short(self, member: Member) -> bool:
        """Whether it has tasks that the policy gives more time, and no deadline cuts that."""
        tasks = [task for service in self._world.work.services.values() for task in service.tasks]
        decided = member.noted_at.get(node_labels.DRAINED)
        if decided is None or not any(task.member is member for task in tasks):
            return False
        over = self._world.now - decided >= self._world.policy.drain_seconds - SLACK
        return not over and not self._world.hurried(member.machine, member)

    def complete(self, agent: Agent, hook: str, instance: str, result: str, began: float) -> None:
        """I2 and I6: no launch completes before the node has joined, and no termination before it is deleted."""
        machine = self._world.cloud.machines.get(instance)
        if machine is None or result != "CONTINUE" or not machine.alive:
            return
        member = self._world.swarm.member_of(machine)
        if hook != (LAUNCHING if machine.lifecycle == "Pending:Wait" else TERMINATING):
            # It does not wait at this hook, so the call has no effect.
            return
        nodes = [node for node in self._world.swarm.members.values() if node.machine is machine]
        # The agent could not foresee a node that left, or was deleted by hand, a moment ago.
        labelled = any(node.labels.get(INSTANCE_LABEL) == instance for node in nodes)
        deleted = self._world.deleted_at.get(machine, float("-inf")) >= began
        if machine.lifecycle == "Pending:Wait" and not labelled and not deleted:
            raise Broken(f"I2: {agent.machine.id} puts {instance} in service, which has not joined")
        seen = member is not None and not member.removed and member.joined_at < began - LEADER_SILENCE
        if machine.lifecycle == "Terminating:Wait" and member and seen:
            raise Broken(
                f"I6: {agent.machine.id} completes the termination of {instance}, whose node {member.id} still exists"
            )

    def record(self, agent: Agent, after: Record, began: float, read: float) -> None:
        """I3: only addresses that serve are published."""
        if not after.addresses:
            raise Broken(f"I3: {agent.machine.id} empties the record")
        self.step()
        zone, cloud = self._world.zone, self._world.cloud
        for address in after.addresses:
            since = began - LATE
            withdrawn = zone.withdrawn_at.get(address)
            if withdrawn is not None and withdrawn < read:
                since = max(since, withdrawn - LATE)
            machines = [machine for machine in cloud.machines.values() if address in machine.addresses]
            if not any(self._was_fit(machine, since) for machine in machines):
                raise Broken(f"I3: {agent.machine.id} publishes {address}, which does not serve")
            drained = [member.drained_at for member in agent.swarm.members.values() if member.machine in machines]
            # If all nodes are being removed, such an address is better than none.
            if any(at is not None and began < at < read for at in drained) and self._world.serving():
                raise Broken(f"I6: {agent.machine.id} publishes {address}, which was drained meanwhile")
            # Other agents must repair a write that was too late for them to see.
            if self._world.now - read > 2.0:
                zone.republished_late.add(address)

    def register(self, agent: Agent, instances: Sequence[str], began: float, told_at: float) -> None:
        """I6: a node that was drained before the agent's last look gets no requests again."""
        for member in agent.swarm.members.values():
            at = member.drained_at
            if member.machine.id in instances and at is not None and began < at < told_at:
                raise Broken(f"I6: {agent.machine.id} registers {member.machine.id}, which was drained meanwhile")

    def deregister(self, agent: Agent, instances: Sequence[str], told: Mapping[str, str]) -> None:
        """I3: the target group is never emptied, and foreign targets stay in it."""
        for instance in instances:
            if instance not in self._world.cloud.machines:
                raise Broken(f"I3: {agent.machine.id} deregisters {instance}, a foreign target")
        if set(target_groups.registered(told)) <= set(instances):
            raise Broken(f"I3: {agent.machine.id} empties the target group")

    def request(self, target: str | None, began: float) -> None:
        """I6: a request by the load balancer is answered, unless an unplanned event happened."""
        world = self._world
        # Refused calls make planned work take longer.
        affected = UNPLANNED_SECONDS / (1 - world.weather.refuse)
        # At first there are no targets.
        excuses = (
            0.0 if target is None else float("-inf"),
            world.work.excused_at,
            world.frozen_until,
            *world.outages.values(),
        )
        if max(excuses) < began - affected:
            raise Broken(f"I6: {target or 'the load balancer'} does not answer a request")

    def passed(self, agent: Agent, result: Pass) -> None:
        """I3: after a successful pass, no target is left that did not serve long before, if others do."""
        world, seen, since = self._world, result.observed, agent.pass_began - LATE
        leader, health = world.swarm.leader, seen.targets.get(TARGET_GROUP)
        if leader is None or leader.machine is not agent.machine or not world.swarm.works:
            return
        if health is None or seen.nodes is None or seen.instances is None:
            return
        acted = not (result.failures or result.postponed or result.decision.refused)
        if not acted or not any(self._takes_over(instance, health) for instance in health):
            return
        for instance in sorted(world.balancing.registered() & set(world.cloud.machines)):
            machine = world.cloud.machines[instance]
            if self._unfit_since.get(machine, since) < since and world.balancing.sends_to(instance, since):
                raise Broken(f"I3: {agent.machine.id} leaves {instance} a target, which does not serve")

    def _takes_over(self, target: str, health: Mapping[str, str]) -> bool:
        """Whether a target is the cluster's, healthy by the agent's answer, and not being removed."""
        machine = self._world.cloud.machines.get(target)
        member = self._world.swarm.member_of(machine) if machine else None
        if machine is None or member is None or machine in self._unfit_since:
            return False
        asked = {node_labels.REQUESTED, node_labels.INTERRUPTION, node_labels.REMOVING}
        return health[target] == "healthy" and asked.isdisjoint(member.labels)

    # After every change

    def step(self) -> None:
        """I6, and the bookkeeping of I3."""
        now, swarm = self._world.now, self._world.swarm
        in_swarm = {member.machine for member in swarm.members.values() if not member.left and not member.removed}
        for machine in self._world.cloud.machines.values():
            place = machine.lifecycle or ""
            if machine.engine_up and machine in in_swarm and (place == "InService" or place.startswith("Terminating")):
                self._fit.add(machine)
            elif machine in self._fit:
                self._fit.remove(machine)
                self._ceased_at[machine] = now
            self._note_unfit(machine)
        for service in self._world.work.services.values():
            if service.replicas is None:
                continue
            healthy = service.healthy(now)
            if healthy >= service.declared:
                # It stays excused while managers count a task whose host has failed.
                service.excused = any(not task.member.machine.engine_up or task.member.left for task in service.tasks)
            elif not service.excused and self._world.dips_count(service):
                raise Broken(f"I6: {service.name} has {healthy} of {service.declared} healthy tasks")

    def _note_unfit(self, machine: Machine) -> None:
        member = self._world.swarm.member_of(machine)
        serves = machine.engine_up and member is not None and not member.removed and member.state != "down"
        if serves and member and member.availability != "drain" and machine.lifecycle == "InService":
            self._unfit_since.pop(machine, None)
        else:
            self._unfit_since.setdefault(machine, self._world.now)

    # At the end

    def unsettled(self) -> str:
        """Why the cluster has not converged, by I1, I2, I3, I5 and I6; empty if it has."""
        world = self._world
        cloud, swarm = world.cloud, world.swarm
        if not swarm.works or swarm.leader is None:
            return "the swarm has no leader"
        for group in cloud.groups.values():
            if not group.deleted and len(cloud.members(group)) != group.desired:
                return f"{group.name} has {len(cloud.members(group))} of {group.desired} instances"
        for machine in cloud.machines.values():
            if machine.waits or machine.terminating:
                return f"{machine.id} is {machine.lifecycle}"
            if machine.alive:
                reason = self._unfit_member(machine)
                if reason:
                    return f"I2: {machine.id} {reason}"
        for member in swarm.members.values():
            # A node left over from an instance that somebody detached may stay.
            if not member.machine.alive or (member.left and member.machine.scaling_group):
                return f"I2: the node {member.id} of {member.machine.id} is still there"
        for role in ROLES:
            stored = world.bucket.get(token_key(role))
            if stored is None or stored.value.secret != swarm.token(role):
                return f"the published {role} token is not the swarm's"
        cluster_record = world.bucket.get(CLUSTER_RECORD)
        if (
            cluster_record is None
            or not isinstance(cluster_record.value, ClusterRecord)
            or cluster_record.value.cluster_id != swarm.id
        ):
            return f"I1: the cluster record is {cluster_record}"
        wanted = world.serving()
        if not world.record_is_foreign and wanted and world.zone.record.addresses != wanted:
            return f"I3: {world.zone.record.addresses} are published, but {wanted} serve"
        stay = {node.machine.id for node in swarm.members.values() if self._held(node.machine, node)}
        registered = world.balancing.registered() - world.balancing.strangers()
        if world.targets() and registered - stay != world.targets() - stay:
            return f"I3: {sorted(registered)} are targets, but {sorted(world.targets())} serve"
        held = any(self._held(node.machine, node) for node in swarm.members.values())
        for service in world.work.services.values():
            if service.replicas is not None and service.replicas != service.declared and not held:
                return f"I6: {service.name} has {service.replicas} replicas, but {service.declared} are declared"
            if service.healthy(world.now) < service.declared and world.work.place(service):
                return f"I6: {service.name} has {service.healthy(world.now)} of {service.declared} healthy tasks"
        agent = world.agents.get(swarm.leader.machine.id)
        if agent is None or agent.last is None or agent.last.decision.actions or agent.last.failures:
            return "I5: the leader's agent still has actions or failures"
        return ""

    def _unfit_member(self, machine: Machine) -> str:
        member = self._world.swarm.member_of(machine)
        if member is None or member.removed:
            # An instance that somebody detached and then removed from the swarm stays.
            return "is in no swarm" if machine.scaling_group else ""
        if self._held(machine, member):
            return ""
        if node_labels.REQUESTED in member.labels:
            return "should be removed"
        if member.state != "ready" or member.availability != "active":
            return f"is {member.state} and {member.availability}"
        if member.role != machine.group.role or member.voter != (member.role == "manager"):
            return "has the wrong role"
        if member.labels.get(INSTANCE_LABEL) != machine.id:
            return "is not labelled"
        return ""

    def _held(self, machine: Machine, member: Member) -> bool:
        """Whether its removal was requested but is held: refused with a reason, or the record has no other address."""
        leader = self._world.swarm.leader
        agent = self._world.agents.get(leader.machine.id) if leader else None
        if node_labels.REQUESTED not in member.labels or agent is None or agent.last is None:
            return False
        return machine.id in agent.last.decision.held or set(self._world.serving()) == machine.addresses

    # Helpers

    def _quorum(self, agent: Agent, told: Sequence[Node], node: str, verb: str) -> None:
        """I7: demotions and drains must leave a quorum of the voters that the agent saw."""
        voters = [member for member in told if member.voter]
        subject = next((voter for voter in voters if voter.id == node), None)
        if subject is None or subject.role != "manager":
            return
        left = sum(voter.reachable and voter.role == "manager" for voter in voters if voter is not subject)
        machine = agent.swarm.members[node].machine
        # If the instance terminates anyway or without a replacement, a quorum of the other voters is enough.
        request = interruptions.read_request(subject.labels.get(node_labels.REQUESTED, ""), machine.id)
        ends = machine.terminating or machine.ends_at is not None or (request is not None and not request.replace)
        of = len(voters) - 1 if ends else len(voters)
        if left < of // 2 + 1:
            raise Broken(f"I7: {agent.machine.id} {verb} {node}, which leaves {left} of {len(voters)} voters")

    def _unknown_to_clients(self, agent: Agent, member: Member) -> None:
        machine, zone = member.machine, self._world.zone
        group = self._world.policy.groups.get(machine.group.name)
        if group is None or not group.dns:
            # Never published; an earlier instance may have had its address.
            return
        for address in sorted(machine.addresses):
            if not zone.known(address, SLACK + 2 * self._world.weather.skew):
                zone.republished_late.discard(address)
                continue
            if address in zone.republished_late or not machine.engine_up or self._world.hurried(machine, member):
                continue
            raise Broken(f"I6: {agent.machine.id} drains {machine.id}, whose address {address} clients may still use")

    def _unbalanced(self, agent: Agent, member: Member) -> None:
        machine, world = member.machine, self._world
        if not machine.engine_up or world.hurried(machine, member):
            return
        # The agent could not know a target that somebody registered since its pass began, or a moment before.
        late = STALE_SECONDS if world.weather.stale else 0.0
        if world.balancing.sends_to(machine.id, agent.pass_began - late - SLACK):
            raise Broken(f"I6: {agent.machine.id} drains {machine.id}, to which the load balancer sends requests")

    def _waited_long(self, member: Member) -> bool:
        """Whether its tasks' replacements had all the time that the policy gives them, or the removal is forced."""
        paused = member.noted_at[node_labels.CORDONED] if node_labels.CORDONED in member.labels else None
        forced = "force" in member.labels.get(node_labels.REQUESTED, "")
        late = paused is not None and self._world.now >= paused + self._world.policy.surge_seconds - SLACK
        return forced or late

    def _was_fit(self, machine: Machine, since: float) -> bool:
        return machine in self._fit or self._ceased_at.get(machine, float("-inf")) >= since

    @staticmethod
    def _being_removed(member: Member) -> bool:
        machine = member.machine
        return machine.terminating or machine.scaling_group is None or node_labels.REQUESTED in member.labels
