"""The handler of all interruptions: it removes an instance without a request failing.

Withdraw it from DNS and cordon it → wait until its tasks have replacements and its DNS record has expired → drain it →
terminate the instance → wait until its tasks have ended → delete the node → complete the lifecycle hook. A manager is
demoted and terminated as soon as the replacements run: a new leader is elected and a new instance starts while
resolvers still forget this one. From then on there is no way back. The observation and the facts on the node show which
steps are done, so each pass plans the first step that is not, no matter which agent did the others.
"""

from __future__ import annotations

from typing import AbstractSet, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from . import actions as act
from . import dns, interruptions, node_labels, target_groups
from .cluster import MANAGER, WARMED, Cluster, Instance, Interruption, Node, Service
from .counting import counted
from .decision import Decision
from .events import SPOT
from .node_deletion import delete, demote
from .node_matching import NodeMatching
from .policy import Policy
from .quorum import Interlock
from .removal_deadlines import Limits, passed
from .surge import Need, Surge

TERMINATION_WAIT = "Terminating:Wait"
# An instance that terminates in a warm pool waits there too, and nothing must be done for it.
TERMINATION_WAITS = (TERMINATION_WAIT, f"{WARMED}{TERMINATION_WAIT}")


class NodeRemoval:
    """The instances of an observation that must be removed."""

    def __init__(
        self,
        observed: Cluster,
        members: NodeMatching,
        policy: Policy,
        now: float,
        interlock: Interlock,
        decision: Decision,
    ) -> None:
        self._observed, self._members, self._policy, self._now = observed, members, policy, now
        self._interlock, self._out = interlock, decision
        self.interruptions: Dict[str, Interruption] = {}
        # It is unknown whether they must be removed, so their nodes stay as they are.
        self.unclear: Set[str] = set(members.instances)
        for identifier, instance in members.instances.items():
            with decision.alone(f"The removal of {identifier}"):
                found = interruptions.of_instance(instance, observed, members, policy, now)
                if found:
                    self.interruptions[identifier] = found
                self.unclear.remove(identifier)
        # The record's addresses after this plan.
        self.published_next: Tuple[str, ...] = ()
        self._surge = Surge(observed.services or (), observed.nodes or (), self._cordoned(), now)

    def run(self) -> None:
        """Plan the next step of each removal. Those that have begun come first and end before another begins."""
        for identifier in sorted(self.interruptions, key=self._begun):
            with self._out.alone(f"The removal of {identifier}"):
                self._remove(self._members.instances[identifier], self.interruptions[identifier])
        for service in self._observed.services or ():
            with self._out.alone(f"The service {service.name}"):
                self._out.actions.extend(self._surge.actions(service))
                self._out.awaited.extend(self._surge.unsettled(service))

    def _cordoned(self) -> frozenset[str]:
        nodes = ((identifier, self._members.node_of.get(identifier)) for identifier in self.interruptions)
        return frozenset(node.id for _dummy, node in nodes if node is not None and node.availability != "active")

    def _begun(self, identifier: str) -> Tuple[float, str]:
        node = self._members.node_of.get(identifier)
        return (node_labels.removal_began(node, self._now) if node else float("inf")), identifier

    def _remove(self, instance: Instance, interruption: Interruption) -> None:
        """Plan the next step of a removal: the first step that is not observed as done."""
        node = self._members.node_of.get(instance.id)
        if node is None or instance.gone:
            # It never joined, its node is deleted, or the instance is gone.
            if instance.lifecycle in TERMINATION_WAITS:
                self._out.actions.append(act.CompleteLifecycle.of(instance, self._policy.terminating_hook, "CONTINUE"))
            return
        since = node_labels.fact(node.labels, node_labels.REMOVING, self._now)
        held_too_long = since is not None and self._now - since >= self._policy.hold_seconds
        if not held_too_long:
            self._keep_waiting(instance)
        if since is None:
            self._out.actions.append(act.NoteFact(node.id, instance.id, node_labels.REMOVING, self._now))
            return
        limits = Limits.of(interruption.deadline, self._stop_seconds(node))
        reason = act.REMOVING
        refusal = self._interlock.refusal(node)
        if refusal and self._lost_anyway(instance, interruption, limits):
            reason = act.TERMINATING
            refusal = self._interlock.refusal(node, lost_anyway=True)
        if refusal:
            self._out.hold(instance.id, f"The manager {instance.id} is not removed: {refusal}.")
            if held_too_long:
                self._out.notes.append(f"{instance.id} was held for {self._policy.hold_seconds:.0f} s and now ends.")
            return
        ready = self._ready_to_drain(instance, node, interruption, limits, reason)
        if not ready or not self._draining(instance, node):
            return
        # While its tasks stop, Auto Scaling starts another instance.
        terminated = self._terminated(instance, node, interruption, reason)
        if self._stopped(instance, node, limits) and terminated:
            delete(node, instance.id, reason, self._interlock, self._out)

    def _lost_anyway(self, instance: Instance, interruption: Interruption, limits: Limits) -> bool:
        """Whether its vote is lost if it is not taken now, since it terminates whatever is decided here.

        So does an instance that the operator does not want replaced. It keeps its vote while other managers are awaited
        and there is time: they may get theirs first.
        """
        if not instance.terminating and interruption.kind != SPOT and interruption.replace:
            return False
        groups = {name for name, group in self._policy.groups.items() if group.role == MANAGER}
        wanted = sum(self._observed.desired.get(name, 0) for name in groups) - self._not_replaced(groups)
        staying = [
            node
            for identifier, node in self._members.node_of.items()
            if node.voter
            and identifier not in self.interruptions
            and self._members.instances[identifier].group in groups
        ]
        settled = groups <= set(self._observed.desired) and len(staying) >= wanted
        return settled or passed(limits.drain_by, self._now)

    def _not_replaced(self, groups: AbstractSet[str]) -> int:
        """Number of the groups' instances that are removed without a replacement, and still count."""
        removals = (
            (self._members.instances[identifier], interruption)
            for identifier, interruption in self.interruptions.items()
        )
        return sum(
            instance.group in groups and not instance.terminating and not why.replace for instance, why in removals
        )

    def _keep_waiting(self, instance: Instance) -> None:
        last = self._observed.heartbeats.get(instance.id)
        if instance.lifecycle == TERMINATION_WAIT and (
            last is None or self._now - last >= self._policy.heartbeat_seconds
        ):
            self._out.actions.append(
                act.Heartbeat(instance.id, instance.scaling_group or "", self._policy.terminating_hook)
            )

    # Before the drain

    def _ready_to_drain(
        self, instance: Instance, node: Node, interruption: Interruption, limits: Limits, reason: str
    ) -> bool:
        """Whether it is out of use and replaced, or the time for that is over. Both are waited for at the same time."""
        if node_labels.fact(node.labels, node_labels.DRAINED, self._now) is not None:
            return True
        remembered = self._in_use(instance, node, interruption)
        replaced = self._replaced(instance, node, interruption, limits)
        if remembered is not None and replaced:
            if not remembered:
                return True
            if self._policy.role_of(instance) == MANAGER:
                # It only waits for the TTL now, which is long enough to elect another leader.
                self._terminated(instance, node, interruption, reason)
        if not passed(limits.drain_by, self._now):
            return False
        self._out.notes.append(f"{instance.id} is drained before it is ready, since its deadline is near.")
        return True

    def _in_use(self, instance: Instance, node: Node, interruption: Interruption) -> Optional[float]:
        """For how many seconds users may still be sent to it, as far as known; None while new users are."""
        ways = [self._remembered(instance, node, interruption), *self._balanced(instance)]
        known = [way for way in ways if way is not None]
        return max(known) if len(known) == len(ways) else None

    def _balanced(self, instance: Instance) -> Iterator[Optional[float]]:
        """The same for each target group; infinite while it drains the instance, which takes as long as it takes."""
        for target_group in target_groups.of(instance, self._policy):
            name, health = target_groups.name(target_group), self._observed.targets.get(target_group)
            if health is None:
                self._out.wait(instance.id, f"an answer from the target group {name}, to deregister {instance.id}")
                yield None
            elif health.get(instance.id) == target_groups.DRAINING:
                self._out.wait(instance.id, f"the target group {name} to finish the requests to {instance.id}")
                yield float("inf")
            elif instance.id in health:
                self._out.wait(instance.id, f"the target group {name} to stop sending requests to {instance.id}")
                yield None
            else:
                yield 0.0

    def _remembered(self, instance: Instance, node: Node, interruption: Interruption) -> Optional[float]:
        """For how many seconds a resolver may still know its address; None while the record itself has it."""
        wanted, record = self._policy.dns, self._observed.record
        group = self._policy.groups.get(instance.group)
        if wanted is None or group is None or not group.dns:
            return 0.0
        if record is None:
            self._out.wait(instance.id, f"an answer from {wanted.control_plane}, to withdraw {instance.id}")
            return None
        unchangeable = dns.unchangeable(record, instance, wanted, self._policy.owner)
        if unchangeable:
            sentence = f"{instance.id} cannot be withdrawn: {unchangeable}"
            if interruption.kind == interruptions.REQUESTED and not interruption.force:
                self._out.hold(instance.id, sentence)
            else:
                self._out.wait(instance.id, sentence.rstrip("."))
            return None
        published = dns.published(record, instance, node, wanted, self._policy.owner)
        own = instance.addresses(wanted.addresses, ipv6=True)
        if published or not set(own).isdisjoint(self.published_next):
            self._out.wait(instance.id, f"{wanted.record} to stop pointing to {instance.id}")
            return None
        at = node_labels.fact(node.labels, node_labels.WITHDRAWN, self._now)
        if at is None and not record.in_sync:
            self._out.wait(instance.id, f"all name servers to stop pointing {wanted.record} to {instance.id}")
            return None
        if at is None:
            self._out.actions.append(act.NoteFact(node.id, instance.id, node_labels.WITHDRAWN, self._now))
            return None
        left = at + max(wanted.ttl, record.known_for or 0) - self._now
        if left <= 0:
            return 0.0
        self._out.wait(instance.id, f"{left:.0f} s until no resolver knows {instance.id}", self._now + left)
        return left

    def _replaced(self, instance: Instance, node: Node, interruption: Interruption, limits: Limits) -> bool:
        """Whether its tasks have replacements elsewhere, as far as possible, or need none."""
        if node.state == "down" or node.availability == "drain":
            # Its tasks run elsewhere. Those of a node in state unknown still run on it.
            return True
        cordoned = node_labels.fact(node.labels, node_labels.CORDONED, self._now)
        if cordoned is None or node.availability == "active":
            self._out.actions.append(act.Cordon(node.id, instance.id, node.availability, self._now))
            return False
        if self._observed.services is None:
            self._out.wait(instance.id, "an answer from the engine about its services")
            return False
        needs = self._needs(node, self._observed.services)
        if not needs:
            return True
        # If all agents stood still in between, replacements may have been requested long after the cordon.
        since = max([cordoned, *(need.since for need in needs if need.since is not None)])
        left = since + self._policy.surge_seconds - self._now
        hopeless = [need for need in needs if need.obstacle]
        if interruption.kind == interruptions.REQUESTED and (hopeless or left <= 0):
            if not interruption.force:
                self._out.hold(instance.id, _no_place(instance, hopeless or needs))
                return False
            self._out.notes.append(f"{_no_place(instance, hopeless or needs)} It was forced.")
            return True
        if left > 0:
            left = left if limits.drain_by is None else min(left, limits.drain_by - self._now)
            # Otherwise it is drained without them.
            for need in needs if left > 0 else ():
                why = f", but {need.obstacle}" if need.obstacle else ""
                tasks = f"{counted(need.missing, 'task')} of {need.service}"
                self._out.wait(instance.id, f"{tasks} to run elsewhere, for {left:.0f} s at most{why}")
            return False
        self._out.notes.append(_no_place(instance, needs))
        return True

    def _needs(self, node: Node, services: Sequence[Service]) -> List[Need]:
        needs: List[Need] = []
        for service in services:
            moving = service.wanted_on(node.id)
            found = [Need(service.name, moving, "their requirements cannot be read")] if moving else []
            with self._out.alone(f"The service {service.name}"):
                found = list(self._surge.needs(service, node.id))
            needs += found
        return needs

    # The drain

    def _draining(self, instance: Instance, node: Node) -> bool:
        """Whether it is drained: its tasks were told to stop."""
        if node_labels.fact(node.labels, node_labels.DRAINED, self._now) is None or node.availability != "drain":
            self._out.actions.append(act.Drain(node.id, instance.id, node.availability, self._now))
            return False
        return True

    def _terminated(self, instance: Instance, node: Node, interruption: Interruption, reason: str) -> bool:
        """Whether it has no vote and its Auto Scaling group, if it has one, terminates it."""
        if node.holds_vote:
            demote(node, instance.id, reason, self._interlock, self._out)
            return False
        if instance.scaling_group and not instance.terminating:
            self._out.actions.append(act.Terminate(instance.id, instance.scaling_group, node.id, interruption.replace))
            return False
        return True

    def _stopped(self, instance: Instance, node: Node, limits: Limits) -> bool:
        """Whether its tasks have stopped, or the time for that is over."""
        at = node_labels.fact(node.labels, node_labels.DRAINED, self._now)
        left = self._left_on(node)
        if not (node.tasks or left) or node.state == "down":
            return True
        end = (self._now if at is None else at) + self._policy.drain_seconds
        until = end if limits.stop_by is None else min(end, limits.stop_by)
        what = _listed(left) if left else counted(node.tasks, "task")
        if until > self._now:
            self._out.wait(instance.id, f"{what} to end on {instance.id}, for {until - self._now:.0f} s at most")
            return False
        self._out.notes.append(f"{what} on {instance.id} did not end in time.")
        return True

    def _left_on(self, node: Node) -> Dict[str, int]:
        return {
            service.name: service.left_on(node.id)
            for service in self._observed.services or ()
            if service.left_on(node.id)
        }

    def _stop_seconds(self, node: Node) -> float:
        """The longest time that its tasks may take to stop, in seconds."""
        services: Optional[Tuple[Service, ...]] = self._observed.services
        if services is None:
            return self._policy.drain_seconds
        longest = max((service.stop_seconds for service in services if service.left_on(node.id)), default=0)
        return min(longest, self._policy.drain_seconds)


def _no_place(instance: Instance, needs: List[Need]) -> str:
    tasks = [f"{counted(need.missing, 'task')} of {need.service} ({need.obstacle or 'not healthy'})" for need in needs]
    return f"{instance.id} is not drained, since there is no room elsewhere for {' and '.join(tasks)}."


def _listed(left: Mapping[str, int]) -> str:
    return " and ".join(f"{counted(count, 'task')} of {name}" for name, count in sorted(left.items()))
