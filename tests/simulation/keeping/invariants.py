"""I1 to I7, checked at every effect and after every change; what only holds in the end is `Invariants.unsettled`.

Of the record, exactly: an address may only be written that, at some moment since the writer's pass began, was the
address of a live instance that was in the swarm and in service, or on its way out of it. If another agent withdrew it
before the writer read the record, that moment must be after the withdrawal. What EC2 and the managers know may be late.
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

from .balancing import TARGET_GROUP
from .cloud import LAUNCHING, TERMINATING, Machine
from .ports import STALE_SECONDS
from .swarm import LEADER_SILENCE, SILENCE, Member

if TYPE_CHECKING:
    from .agent import Agent
    from .world import World

SECRET = "SWMTKN-"
# Facts are noted in whole seconds, and clocks differ.
SLACK = 1.0
# So late may be what EC2 tells, and what managers know of a node that is silent.
LATE = max(STALE_SECONDS, SILENCE) + SLACK
# For how long clients may feel something that nobody planned, in seconds.
FELT = 60.0


class Broken(AssertionError):
    """An invariant does not hold."""


class Invariants:
    """The watchful eye on one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._published: str | None = None
        # Machines whose addresses may be published, and when those that could before ceased to be.
        self._fit: set[Machine] = set()
        self._ceased_at: dict[Machine, float] = {}
        # Since when a machine does not serve, as a target group's targets have to.
        self._unfit_since: dict[Machine, float] = {}

    # At an effect

    def bucket(self, key: str, value: Any) -> None:
        """I1: one cluster ID, in the cluster record and with the tokens."""
        found = value.cluster_id if isinstance(value, (ClusterRecord, Token)) else None
        if self._published is None:
            self._published = found
        elif found not in (None, self._published):
            raise Broken(f"I1: {key} is now of {found}, the published cluster is {self._published}")

    def spoken(self, agent: Agent, text: str) -> None:
        """I4: no secret in anything that is said or written for people."""
        if SECRET in text:
            raise Broken(f"I4: the agent of {agent.machine.id} tells a join token: {text.strip()}")

    def update(self, agent: Agent, told: Sequence[Node], node: str, role: str | None, availability: str | None) -> None:
        """I7, and that a node is not drained while clients may be sent to it."""
        member = agent.swarm.members.get(node)
        if member is None:
            return
        if role == "worker":
            self._quorum(agent, told, node, "demotes")
        if availability == "drain":
            self._quorum(agent, told, node, "drains")
            # What nobody planned since its pass began, or managers have not seen, could not be foreseen.
            unseen = self._world.work.excused_at >= agent.pass_began - SILENCE - SLACK
            if unseen or self._world.hurried(member.machine, member) or self._waited_long(member):
                self._world.work.excuse()
            self._unknown_to_clients(agent, member)
            self._unbalanced(agent, member)

    def remove(self, agent: Agent, node: str) -> None:
        """I2: nobody is removed whose instance runs and is to stay, and nobody who votes."""
        member = agent.swarm.members.get(node)
        if member is None:
            return
        if member.voter and member.machine.alive:
            raise Broken(f"I2: {agent.machine.id} removes {node} of {member.machine.id}, which votes")
        if member.machine.alive and not member.left and not self._to_go(member):
            raise Broken(f"I2: {agent.machine.id} removes {node} of {member.machine.id}, which runs")
        if member.machine.engine_up and member.state == "ready" and self._cut_short(member):
            raise Broken(f"I6: {agent.machine.id} removes {node} of {member.machine.id}, whose tasks have time to end")

    def _cut_short(self, member: Member) -> bool:
        """Whether it has tasks that the policy gives more time, and nothing ends it before."""
        tasks = [task for service in self._world.work.services.values() for task in service.tasks]
        decided = member.noted_at.get(node_labels.DRAINED)
        if decided is None or not any(task.member is member for task in tasks):
            return False
        over = self._world.now - decided >= self._world.policy.drain_seconds - SLACK
        return not over and not self._world.hurried(member.machine, member)

    def complete(self, agent: Agent, hook: str, instance: str, result: str, began: float) -> None:
        """I2 and I6: nothing goes on before its node is in, or out."""
        machine = self._world.cloud.machines.get(instance)
        if machine is None or result != "CONTINUE" or not machine.alive:
            return
        member = self._world.swarm.member_of(machine)
        if hook != (LAUNCHING if machine.lifecycle == "Pending:Wait" else TERMINATING):
            # It does not wait there, so nothing is going to happen.
            return
        nodes = [one for one in self._world.swarm.members.values() if one.machine is machine]
        # One that left again a moment ago could not be foreseen.
        labelled = any(node.labels.get(INSTANCE_LABEL) == instance for node in nodes)
        if machine.lifecycle == "Pending:Wait" and not labelled:
            raise Broken(f"I2: {agent.machine.id} puts {instance} in service, which has not joined")
        seen = member is not None and not member.removed and member.joined_at < began - LEADER_SILENCE
        if machine.lifecycle == "Terminating:Wait" and member and seen:
            raise Broken(f"I6: {agent.machine.id} lets {instance} end, whose node {member.id} is still in")

    def record(self, agent: Agent, after: Record, began: float, read: float) -> None:
        """I3: what is published."""
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
                raise Broken(f"I3: {agent.machine.id} publishes {address}, which serves nobody")
            drained = [member.drained_at for member in agent.swarm.members.values() if member.machine in machines]
            if any(at is not None and began < at < read for at in drained):
                raise Broken(f"I6: {agent.machine.id} publishes {address}, which was drained meanwhile")
            # What comes too late for others to have seen it is theirs to repair.
            if self._world.now - read > 2.0:
                zone.republished_late.add(address)

    def register(self, agent: Agent, instances: Sequence[str], began: float, told_at: float) -> None:
        """I6: a node that was drained before one looked for the last time is not sent requests again."""
        for member in agent.swarm.members.values():
            at = member.drained_at
            if member.machine.id in instances and at is not None and began < at < told_at:
                raise Broken(f"I6: {agent.machine.id} registers {member.machine.id}, which was drained meanwhile")

    def deregister(self, agent: Agent, instances: Sequence[str], told: Mapping[str, str]) -> None:
        """I3: the target group is never emptied, and what is somebody else's stays in it."""
        for instance in instances:
            if instance not in self._world.cloud.machines:
                raise Broken(f"I3: {agent.machine.id} deregisters {instance}, which is somebody else's")
        if set(target_groups.registered(told)) <= set(instances):
            raise Broken(f"I3: {agent.machine.id} empties the target group")

    def request(self, target: str | None, began: float) -> None:
        """I6: what comes by the load balancer is answered, unless something happened that nobody planned."""
        world = self._world
        # Where many calls are refused, what is planned takes so much longer.
        felt = FELT / (1 - world.weather.refuse)
        # At first nothing is a target yet.
        excuses = (
            0.0 if target is None else float("-inf"),
            world.work.excused_at,
            world.stands_still_until,
            *world.outages.values(),
        )
        if max(excuses) < began - felt:
            raise Broken(f"I6: {target or 'the load balancer'} does not answer a request")

    def passed(self, agent: Agent, result: Pass) -> None:
        """I3: after a pass that went well, no target is left that had not served for long before it, if others do."""
        world, seen, since = self._world, result.observed, agent.pass_began - LATE
        leader, health = world.swarm.leader, seen.targets.get(TARGET_GROUP)
        if leader is None or leader.machine is not agent.machine or not world.swarm.works:
            return
        if health is None or seen.nodes is None or seen.instances is None:
            return
        acted = not (result.failures or result.postponed or result.decision.refused)
        if not acted or not any(self._takes_over(one, health) for one in health):
            return
        for one in sorted(world.balancing.registered() & set(world.cloud.machines)):
            machine = world.cloud.machines[one]
            if self._unfit_since.get(machine, since) < since and world.balancing.sends_to(one, since):
                raise Broken(f"I3: {agent.machine.id} leaves {one} a target, which serves nobody")

    def _takes_over(self, target: str, health: Mapping[str, str]) -> bool:
        """Whether a target is one of the cluster's that gets requests, as was told, and is to stay."""
        machine = self._world.cloud.machines.get(target)
        member = self._world.swarm.member_of(machine) if machine else None
        if machine is None or member is None or machine in self._unfit_since:
            return False
        asked = {node_labels.REQUESTED, node_labels.INTERRUPTION, node_labels.REMOVING}
        return health[target] == "healthy" and asked.isdisjoint(member.labels)

    # After every change

    def step(self) -> None:
        """I1, I3's bookkeeping, and I6."""
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
                # Nor is it whole while managers count on a task whose host has failed.
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

    # In the end

    def unsettled(self) -> str:
        """What is not yet as it should be: I2, I3, I5 and I6; empty if all is."""
        world = self._world
        cloud, swarm = world.cloud, world.swarm
        if not swarm.works or swarm.leader is None:
            return "the swarm has no leader"
        for group in cloud.groups.values():
            if not group.deleted and len(cloud.members(group)) != group.desired:
                return f"{group.name} has {len(cloud.members(group))} of {group.desired} instances"
        for machine in cloud.machines.values():
            if machine.waits or machine.leaving:
                return f"{machine.id} is {machine.lifecycle}"
            if machine.alive:
                reason = self._unfit_member(machine)
                if reason:
                    return f"I2: {machine.id} {reason}"
        for member in swarm.members.values():
            # What is left of one that somebody took out of its group is in nobody's way.
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
            return f"I1: the bucket has {cluster_record} as the cluster's record"
        wanted = world.serving()
        if not world.record_is_foreign and wanted and world.zone.record.addresses != wanted:
            return f"I3: {world.zone.record.addresses} are published, {wanted} serve"
        stay = {one.machine.id for one in swarm.members.values() if self._held(one.machine, one)}
        registered = world.balancing.registered() - world.balancing.strangers()
        if world.targets() and registered - stay != world.targets() - stay:
            return f"I3: {sorted(registered)} are targets, {sorted(world.targets())} serve"
        held = any(self._held(one.machine, one) for one in swarm.members.values())
        for service in world.work.services.values():
            if service.replicas is not None and service.replicas != service.declared and not held:
                return f"I6: {service.name} has {service.replicas} replicas, {service.declared} are declared"
            if service.healthy(world.now) < service.declared and world.work.place(service):
                return f"I6: {service.name} has {service.healthy(world.now)} of {service.declared} healthy tasks"
        agent = world.agents.get(swarm.leader.machine.id)
        if agent is None or agent.last is None or agent.last.decision.actions or agent.last.failures:
            return "I5: the leader's agent has something to do"
        return ""

    def _unfit_member(self, machine: Machine) -> str:
        member = self._world.swarm.member_of(machine)
        if member is None or member.removed:
            # Nobody ends one that somebody took out of its group, and then out of the swarm.
            return "is in no swarm" if machine.scaling_group else ""
        if self._held(machine, member):
            return ""
        if node_labels.REQUESTED in member.labels:
            return "was to go"
        if member.state != "ready" or member.availability != "active":
            return f"is {member.state} and {member.availability}"
        if member.role != machine.group.role or member.voter != (member.role == "manager"):
            return "has not its role"
        if member.labels.get(INSTANCE_LABEL) != machine.id:
            return "is not labelled"
        return ""

    def _held(self, machine: Machine, member: Member) -> bool:
        """Whether it was asked for, and stays: refused with a reason, or the only one that the record can lead to."""
        leader = self._world.swarm.leader
        agent = self._world.agents.get(leader.machine.id) if leader else None
        if node_labels.REQUESTED not in member.labels or agent is None or agent.last is None:
            return False
        return machine.id in agent.last.decision.held or set(self._world.serving()) == machine.addresses

    # Parts

    def _quorum(self, agent: Agent, told: Sequence[Node], node: str, verb: str) -> None:
        """What a pass takes out must leave a quorum of the voters that its agent was told of."""
        voters = [one for one in told if one.voter]
        subject = next((voter for voter in voters if voter.id == node), None)
        if subject is None or subject.role != "manager":
            return
        left = sum(voter.reachable and voter.role == "manager" for voter in voters if voter is not subject)
        machine = agent.swarm.members[node].machine
        # Of one that ends anyway, or that nobody wants another one for, only a quorum of the others has to be left.
        request = interruptions.read_request(subject.labels.get(node_labels.REQUESTED, ""), machine.id)
        ends = machine.leaving or machine.ends_at is not None or (request is not None and not request.replace)
        of = len(voters) - 1 if ends else len(voters)
        if left < of // 2 + 1:
            raise Broken(f"I7: {agent.machine.id} {verb} {node}, which leaves {left} of {len(voters)} voters")

    def _unknown_to_clients(self, agent: Agent, member: Member) -> None:
        machine, zone = member.machine, self._world.zone
        group = self._world.policy.groups.get(machine.group.name)
        if group is None or not group.dns:
            # Never published; one before it may have had its address.
            return
        for address in sorted(machine.addresses):
            if not zone.known(address, SLACK + 2 * self._world.weather.skew):
                zone.republished_late.discard(address)
                continue
            if address in zone.republished_late or not machine.engine_up or self._world.hurried(machine, member):
                continue
            raise Broken(f"I6: {agent.machine.id} drains {machine.id}, whose address {address} clients may know")

    def _unbalanced(self, agent: Agent, member: Member) -> None:
        machine, world = member.machine, self._world
        if not machine.engine_up or world.hurried(machine, member):
            return
        # What somebody registered since its pass began, or a moment before, this agent could not know.
        late = STALE_SECONDS if world.weather.stale else 0.0
        if world.balancing.sends_to(machine.id, agent.pass_began - late - SLACK):
            raise Broken(f"I6: {agent.machine.id} drains {machine.id}, to which the load balancer sends requests")

    def _waited_long(self, member: Member) -> bool:
        """Whether its tasks' replacements had all the time that the policy gives them, or nobody wants them."""
        paused = member.noted_at[node_labels.CORDONED] if node_labels.CORDONED in member.labels else None
        forced = "force" in member.labels.get(node_labels.REQUESTED, "")
        late = paused is not None and self._world.now >= paused + self._world.policy.surge_seconds - SLACK
        return forced or late

    def _was_fit(self, machine: Machine, since: float) -> bool:
        return machine in self._fit or self._ceased_at.get(machine, float("-inf")) >= since

    @staticmethod
    def _to_go(member: Member) -> bool:
        machine = member.machine
        return machine.leaving or machine.scaling_group is None or node_labels.REQUESTED in member.labels
