"""The heart: what to do next, from what is observed and what is wanted, and from nothing else.

It is level-triggered: what was planned before does not count, so an action that was lost is planned again, and a
cluster that is as it should be gets an empty plan.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple

from . import actions as act
from . import dns, identity, labels
from .actions import Action
from .cluster import MANAGER, Cluster, Instance, Interruption, Node, Record
from .policy import Policy
from .quorum import Interlock

LAUNCH_WAIT = "Pending:Wait"
TERMINATION_WAIT = "Terminating:Wait"


@dataclass
class Decision:
    """What to do now, what is waited for, what is refused and what an operator should look at, as sentences."""

    actions: List[Action] = field(default_factory=list)
    awaited: List[str] = field(default_factory=list)
    refused: List[str] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)

    @property
    def in_flight(self) -> bool:
        """Whether something is about to change, so that it is worth while to look again soon."""
        return bool(self.actions or self.awaited)


def plan(observed: Cluster, policy: Policy, now: float) -> List[Action]:
    """The actions that are right now, in their order; ``now`` is in epoch seconds."""
    return decide(observed, policy, now).actions


def decide(observed: Cluster, policy: Policy, now: float) -> Decision:
    """The same with the reasons for what is not done."""
    decision = Decision()
    reason = _unfit(observed)
    if reason:
        decision.refused.append(reason)
        return decision
    if observed.stale_tokens:
        decision.actions.append(act.PublishTokens(observed.stale_tokens))
    if observed.nodes is None or observed.instances is None:
        decision.awaited.append("an answer from EC2, Auto Scaling and the engine")
    elif all(instance.gone for instance in observed.instances):
        # At least the instance that runs this should be there, so the answer cannot be believed.
        decision.refused.append("EC2 shows no instance of this cluster, so nothing is concluded from what it shows.")
    else:
        _Planner(observed, policy, now, decision).run()
    return decision


def _unfit(observed: Cluster) -> str:
    """Why this engine must not act for the cluster; empty if it may."""
    if observed.published_id is None:
        return "Which swarm is the published one is not known yet, so nothing is done."
    if observed.swarm_id is None:
        return "The engine does not say which swarm it is in, so nothing is done."
    if observed.swarm_id != observed.published_id:
        return (
            f"This engine is in the swarm {observed.swarm_id}, but the published one is {observed.published_id}: "
            "nothing is done."
        )
    return ""


class _Planner:
    """One decision in the making."""

    def __init__(self, observed: Cluster, policy: Policy, now: float, decision: Decision) -> None:
        self._observed, self._policy, self._now, self._out = observed, policy, now, decision
        self._members = identity.join(observed)
        self._interlock = Interlock(observed.nodes or ())
        self._leaving = {one.instance: one for one in interruptions(observed)}
        # Whether a dead manager's vote is being taken, which comes before a new one's counts.
        self._repairing = False

    def run(self) -> None:
        self._dead()
        for identifier, node in sorted(self._members.node_of.items()):
            self._label(self._members.instances[identifier], node)
        for identifier, instance in sorted(self._members.instances.items()):
            if instance.lifecycle == LAUNCH_WAIT:
                self._launch(instance, self._members.node_of.get(identifier))
        self._record()
        # Those whose removal has begun come first, so that it ends before another begins.
        for identifier in sorted(self._leaving, key=self._begun):
            self._leave(self._members.instances[identifier], self._leaving[identifier])
        self._notes()

    # Nodes without an instance

    def _dead(self) -> None:
        superseded = [(node, identifier, act.SUPERSEDED) for node, identifier in self._members.superseded]
        for node, identifier, reason in [
            *((node, identifier, act.GONE) for node, identifier in self._members.orphans),
            *superseded,
        ]:
            if node.state != "down":
                self._out.awaited.append(f"the node of {identifier} to be down, since {reason}")
            elif self._retire(node, identifier, reason):
                self._repairing = True

    def _retire(self, node: Node, identifier: str, reason: str) -> bool:
        """Plan the next step by which a node goes, and return whether a vote is on its way out."""
        if node.voter and node.role != MANAGER:
            self._out.awaited.append(f"the node of {identifier} to lose its vote")
            return True
        if not node.voter and node.role != MANAGER:
            self._out.actions.append(act.Remove(node.id, identifier, reason))
            return False
        refusal = self._interlock.refusal(node)
        if refusal:
            self._out.refused.append(f"The manager of {identifier} is not removed: {refusal}.")
            return False
        self._out.actions.append(act.Demote(node.id, identifier, reason))
        return True

    # Nodes with an instance

    def _wanted(self, instance: Instance, node: Node) -> Dict[str, str]:
        return labels.wanted(node, instance, self._policy, leaving=instance.id in self._leaving)

    def _label(self, instance: Instance, node: Node) -> None:
        wanted = self._wanted(instance, node)
        if wanted != dict(node.labels):
            self._out.actions.append(act.SetLabels(node.id, instance.id, dict(node.labels), wanted))

    def _launch(self, instance: Instance, node: Optional[Node]) -> None:
        if instance.gone:
            self._complete(instance, "ABANDON")
        elif node is None:
            self._out.awaited.append(f"{instance.id} to join the swarm")
        elif node.role != self._role(instance):
            self._out.refused.append(
                f"The launch of {instance.id} is not completed: it joined as {node.role}, but is to be "
                f"{self._role(instance)}."
            )
        elif not node.ready:
            self._out.awaited.append(f"the node of {instance.id} to be ready")
        elif self._wanted(instance, node) != dict(node.labels):
            self._out.awaited.append(f"the node of {instance.id} to carry its labels")
        elif node.role == MANAGER and self._repairing:
            self._out.awaited.append(f"the end of a dead manager's vote, before {instance.id} counts")
        else:
            self._complete(instance, "CONTINUE", node.id)

    def _role(self, instance: Instance) -> str:
        group = self._policy.groups.get(instance.group)
        return group.role if group else instance.role

    def _complete(self, instance: Instance, result: str, node: Optional[str] = None) -> None:
        hook = self._policy.launching_hook if instance.lifecycle == LAUNCH_WAIT else self._policy.terminating_hook
        self._out.actions.append(
            act.CompleteLifecycle(
                instance.id, instance.scaling_group or "", hook, result, instance.lifecycle or "", node
            )
        )

    # The record

    def _record(self) -> None:
        wanted, record = self._policy.dns, self._observed.record
        if wanted is None:
            return
        if record is None:
            self._out.awaited.append("an answer from Route 53")
            return
        foreign = dns.foreign(record, wanted, self._policy.owner)
        if foreign:
            self._out.refused.append(foreign)
            return
        values = dns.addresses(self._members, self._policy, set(self._leaving))
        if not values:
            if not record.absent:
                self._out.notes.append(
                    f"No node can serve {wanted.record}, so it is left as it is rather than emptied."
                )
            return
        action = act.SyncRecord(wanted.zone_id, wanted.record, self._policy.owner, record, values, wanted.ttl)
        if action.after != record:
            self._out.actions.append(action)

    # Instances on their way out

    def _begun(self, identifier: str) -> Tuple[float, str]:
        node = self._members.node_of.get(identifier)
        since = labels.fact(node.labels, labels.LEAVING, self._now) if node else None
        return (float("inf") if since is None else since), identifier

    def _leave(self, instance: Instance, interruption: Interruption) -> None:
        """Plan the next step of a removal: the first one of which it is not observed that it is done."""
        node = self._members.node_of.get(instance.id)
        if node is None or instance.gone:
            # It never joined, or its node is out of the swarm, or there is nothing left to hold on to.
            if instance.lifecycle == TERMINATION_WAIT:
                self._complete(instance, "CONTINUE")
            return
        since = labels.fact(node.labels, labels.LEAVING, self._now)
        held_too_long = since is not None and self._now - since >= self._policy.hold_seconds
        if not held_too_long:
            self._keep_waiting(instance)
        if since is None:
            self._out.actions.append(act.NoteFact(node.id, instance.id, labels.LEAVING, self._now))
            return
        refusal = self._interlock.refusal(node)
        if refusal:
            self._out.refused.append(f"The manager {instance.id} is not taken out: {refusal}.")
            if held_too_long:
                self._out.notes.append(f"{instance.id} was held for {self._policy.hold_seconds:.0f} s and is let go.")
            return
        if self._withdrawn(instance, node) and self._drained(instance, node):
            self._retire(node, instance.id, act.LEAVING)

    def _keep_waiting(self, instance: Instance) -> None:
        last = self._observed.heartbeats.get(instance.id)
        if instance.lifecycle == TERMINATION_WAIT and (
            last is None or self._now - last >= self._policy.heartbeat_seconds
        ):
            self._out.actions.append(
                act.Heartbeat(instance.id, instance.scaling_group or "", self._policy.terminating_hook)
            )

    def _withdrawn(self, instance: Instance, node: Node) -> bool:
        """Whether nobody can still know its address from the record."""
        wanted, record = self._policy.dns, self._observed.record
        group = self._policy.groups.get(instance.group)
        if wanted is None or group is None or not group.dns:
            return True
        if record is None:
            self._out.awaited.append(f"an answer from Route 53, to withdraw {instance.id}")
            return False
        if dns.published(record, instance, node, wanted, self._policy.owner):
            self._out.awaited.append(f"{wanted.record} to lead elsewhere than to {instance.id}")
            return False
        at = labels.fact(node.labels, labels.WITHDRAWN, self._now)
        if at is None:
            self._out.actions.append(act.NoteFact(node.id, instance.id, labels.WITHDRAWN, self._now))
            return False
        left = at + self._longest_ttl(record) - self._now
        if left > 0:
            self._out.awaited.append(f"{left:.0f} s until no resolver knows {instance.id}")
            return False
        return True

    def _longest_ttl(self, record: Record) -> float:
        return max(self._policy.dns.ttl if self._policy.dns else 0, record.ttl or 0)

    def _drained(self, instance: Instance, node: Node) -> bool:
        """Whether it has no tasks, or has had its time to end them."""
        at = labels.fact(node.labels, labels.DRAINED, self._now)
        if at is None or node.availability != "drain":
            self._out.actions.append(act.Drain(node.id, instance.id, node.availability, self._now))
            return False
        if not node.tasks or node.state == "down":
            return True
        left = at + self._policy.drain_seconds - self._now
        if left > 0:
            self._out.awaited.append(f"{node.tasks} tasks to end on {instance.id}, for {left:.0f} s at most")
            return False
        self._out.notes.append(f"{node.tasks} tasks on {instance.id} did not end in time.")
        return True

    def _notes(self) -> None:
        for node in self._members.strangers:
            self._out.notes.append(f"No instance of the cluster answers for the node {node.id}: it is left alone.")
        for identifier, instance in sorted(self._members.instances.items()):
            if instance.in_service and identifier not in self._members.node_of:
                self._out.notes.append(f"{identifier} is in service, but not in the swarm.")


def interruptions(observed: Cluster) -> List[Interruption]:
    """Every instance that is to go: by what waits at a hook, and by what was announced otherwise."""
    found = {}
    for instance in observed.instances or ():
        if instance.lifecycle == TERMINATION_WAIT:
            found[instance.id] = Interruption(instance.id, "terminating")
    known = {instance.id for instance in observed.instances or ()}
    for one in observed.interruptions:
        if one.instance in known:
            found.setdefault(one.instance, one)
    return list(found.values())
