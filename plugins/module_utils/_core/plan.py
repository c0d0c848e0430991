"""The plan: the next actions, from the observed cluster and the policy alone.

It is level-triggered: earlier plans do not count. A lost action is planned again, and a converged cluster gets an empty
plan.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Set

from . import actions as act
from . import dns, interruptions, node_labels, node_matching, placement, registry_credentials, report, target_groups
from .actions import Action
from .cluster import LAUNCH_WAIT, MANAGER, Cluster, Instance, Node, Record, Service, is_ipv6
from .counting import counted
from .decision import Decision
from .node_deletion import delete
from .node_removal import NodeRemoval
from .parsing import number
from .policy import Dns, Policy
from .quorum import Interlock, Quorum
from .record_authority import judge
from .registry_credentials import Registry


def plan(observed: Cluster, policy: Policy, now: float) -> List[Action]:
    """The actions for now, in their order; ``now`` is in epoch seconds."""
    return decide(observed, policy, now).actions


def decide(observed: Cluster, policy: Policy, now: float) -> Decision:
    """The same, with the reasons for everything that is not done."""
    decision = Decision()
    authority = judge(observed)
    if authority.reason:
        decision.refused.append(authority.reason)
    decision.acts, decision.record_flawed = authority.acts, authority.flawed
    if not authority.acts:
        return decision
    if authority.action:
        decision.actions.append(authority.action)
    if observed.stale_tokens:
        decision.actions.append(act.PublishTokens(observed.stale_tokens))
    if observed.locked is not None and observed.locked != policy.autolock:
        decision.actions.append(act.SetLock(policy.autolock))
    elif observed.key_kept is False:
        decision.actions.append(act.KeepKey())
    if observed.nodes is None or observed.instances is None:
        decision.awaited.append("an answer from EC2, Auto Scaling and the engine")
    elif all(instance.gone for instance in observed.instances):
        # At least the instance that runs this must be listed, so the answer is wrong.
        decision.refused.append("EC2 lists no instance of this cluster, so its answer is ignored.")
    else:
        with decision.alone("The cluster"):
            _Planner(observed, policy, now, decision).run()
    return decision


class _Planner:
    """Makes a decision."""

    def __init__(self, observed: Cluster, policy: Policy, now: float, decision: Decision) -> None:
        self._observed, self._policy, self._now, self._out = observed, policy, now, decision
        self._members = node_matching.join(observed)
        self._interlock = Interlock(observed.nodes or ())
        self._removal = NodeRemoval(observed, self._members, policy, now, self._interlock, decision)
        # Whether a dead manager is being demoted, which comes before a new manager is taken into service.
        self._repairing = False

    def run(self) -> None:
        self._dead()
        for identifier, node in sorted(self._members.node_of.items()):
            if identifier in self._removal.unclear:
                continue
            with self._out.alone(f"The labelling of {identifier}'s node"):
                self._label(self._members.instances[identifier], node)
        for identifier, instance in sorted(self._members.instances.items()):
            if instance.lifecycle == LAUNCH_WAIT:
                with self._out.alone(f"The launch of {identifier}"):
                    self._launch(instance, self._members.node_of.get(identifier))
        with self._out.alone("The DNS record"):
            self._record()
        with self._out.alone("The registration of targets"):
            self._targets()
        self._removal.run()
        self._registries()
        self._notes()

    # Nodes without an instance

    def _dead(self) -> None:
        gone = [(node, identifier, act.GONE) for node, identifier in self._members.orphans]
        superseded = [(node, identifier, act.SUPERSEDED) for node, identifier in self._members.superseded]
        for node, identifier, reason in (*gone, *superseded):
            with self._out.alone(f"The node of {identifier}"):
                if node.state != "down":
                    self._out.awaited.append(f"the node of {identifier} to be down, since {reason}")
                    self._repairing = self._repairing or node.voter
                elif delete(node, identifier, reason, self._interlock, self._out):
                    self._repairing = True

    # Nodes with an instance

    def _wanted(self, instance: Instance, node: Node) -> Dict[str, str]:
        wanted = node_labels.wanted(
            node,
            instance,
            self._policy,
            removing=instance.id in self._removal.interruptions,
            interruption=interruptions.label(self._observed, node, instance.id),
            down_since=self._down_since(node),
        )
        if self._published_again(instance, node):
            wanted.pop(node_labels.WITHDRAWN, None)
        return wanted

    def _published_again(self, instance: Instance, node: Node) -> bool:
        """Whether the record has it again after it was withdrawn, so that resolvers know it again."""
        wanted, record = self._policy.dns, self._observed.record
        if wanted is None or record is None or node_labels.WITHDRAWN not in node.labels:
            return False
        return dns.published(record, instance, node, wanted, self._policy.owner)

    def _down_since(self, node: Node) -> Optional[str]:
        if node.state != "down" or self._policy.down_seconds is None:
            return None
        since = node.labels.get(node_labels.DOWN)
        return node_labels.noted(self._now) if since is None or number(since) is None else since

    def _label(self, instance: Instance, node: Node) -> None:
        cordoned = node_labels.CORDONED in node.labels or node_labels.DRAINED in node.labels
        if cordoned and instance.id not in self._removal.interruptions and node.availability != "active":
            # Its removal was cancelled.
            self._out.actions.append(act.Resume(node.id, instance.id, node.availability))
            return
        if self._demoted_by_hand(instance, node):
            self._out.actions.append(act.Promote(node.id, instance.id))
        wanted = self._wanted(instance, node)
        if wanted != dict(node.labels):
            self._out.actions.append(act.SetLabels(node.id, instance.id, dict(node.labels), wanted))

    def _demoted_by_hand(self, instance: Instance, node: Node) -> bool:
        """Whether a manager in service is a worker in the swarm although it is not being removed."""
        serves = instance.in_service and node.ready and node.role != MANAGER
        return serves and self._policy.role_of(instance) == MANAGER and instance.id not in self._removal.interruptions

    def _launch(self, instance: Instance, node: Optional[Node]) -> None:
        if instance.gone or (self._overdue(instance) and not self._joined(instance, node)):
            # Auto Scaling starts another instance.
            self._complete(instance, "ABANDON")
        elif node is None:
            self._out.awaited.append(f"{instance.id} to join the swarm")
        elif node.role != self._policy.role_of(instance):
            self._out.refused.append(
                f"The launch of {instance.id} is not completed: it joined as {node.role}, but should be "
                f"{self._policy.role_of(instance)}."
            )
        elif not node.ready:
            self._out.awaited.append(f"the node of {instance.id} to be ready")
        elif self._wanted(instance, node) != dict(node.labels):
            self._out.awaited.append(f"the node of {instance.id} to have its labels")
        elif node.role == MANAGER and self._repairing:
            self._out.awaited.append(f"the demotion of a dead manager, before {instance.id} is taken into service")
        elif self._arriving(node) and not self._overdue(instance):
            # Users may be sent to it as soon as it is in service.
            self._out.awaited.append(f"{' and '.join(self._arriving(node))} to run on {instance.id}")
        else:
            self._complete(instance, "CONTINUE", node.id)

    def _arriving(self, node: Node) -> List[str]:
        return placement.arriving(node, self._observed.services or ())

    def _overdue(self, instance: Instance) -> bool:
        return instance.launched is not None and self._now - instance.launched >= self._policy.launch_limit(instance)

    def _joined(self, instance: Instance, node: Optional[Node]) -> bool:
        return node is not None and node.ready and node.role == self._policy.role_of(instance)

    def _complete(self, instance: Instance, result: str, node: Optional[str] = None) -> None:
        self._out.actions.append(act.CompleteLifecycle.of(instance, self._policy.launching_hook, result, node))

    # The record

    def _record(self) -> None:
        wanted, record = self._policy.dns, self._observed.record
        if wanted is None:
            return
        if record is None:
            self._out.awaited.append(f"an answer from {wanted.control_plane}")
            return
        quorum = Quorum.of(self._observed.nodes or ())
        if quorum.margin < 0:
            # Without a quorum the leader will step down soon, and its view of the other managers is not reliable.
            self._out.refused.append(
                f"The quorum is lost: {quorum.reachable} of {counted(quorum.voters, 'manager')} reachable, "
                f"{quorum.needed} needed. {wanted.record} is left as it is. If the others are lost for good, restore "
                "the swarm: ansible-playbook playbooks/restore.yml."
            )
            return
        foreign = dns.foreign(record, wanted, self._policy.owner)
        if foreign:
            self._out.refused.append(foreign)
            return
        if wanted.ipv6 and record.ipv6_unowned:
            self._out.refused.append(dns.foreign_ipv6(wanted))
        services = self._observed.services or ()
        values = {*dns.addresses(self._members, self._policy, set(self._removal.interruptions), record, services)}
        values.update(self._known_anew(record, wanted))
        if record.ipv4 and all(map(is_ipv6, values)):
            self._out.notes.append(f"No node can serve {wanted.record}, so it is left as it is rather than emptied.")
            # The AAAA record is still updated.
            values.update(record.ipv4 if values else ())
        if not values:
            return
        room, left_out = dns.within_limits(values, record, wanted)
        if left_out:
            self._out.notes.append(dns.crowded(wanted, left_out))
        action = dns.sync(room, record, wanted, self._policy.owner)
        if action.after != record:
            self._out.actions.append(action)
            self._removal.published_next = action.addresses

    def _known_anew(self, record: Record, wanted: Dns) -> Set[str]:
        """The addresses that stay in the record until their withdrawn label is removed.

        Otherwise the wait for resolvers would count from the first withdrawal.
        """
        nodes = ((self._members.instances[identifier], node) for identifier, node in self._members.node_of.items())
        known = [instance for instance, node in nodes if node.ready and self._published_again(instance, node)]
        return {
            address for instance in known for address in dns.of(instance, wanted, record) if address in record.addresses
        }

    # The load balancers

    def _targets(self) -> None:
        present, removing = self._observed.targets, set(self._removal.interruptions)
        for target_group in self._policy.target_groups:
            if present.get(target_group) is None:
                self._out.awaited.append(f"an answer from the target group {target_groups.name(target_group)}")
        if Quorum.of(self._observed.nodes or ()).margin < 0:
            return  # As with the record, which reports it.
        services = self._observed.services or ()
        self._out.actions.extend(target_groups.sync(self._members, self._policy, removing, present, services))

    # The services' registries

    def _registries(self) -> None:
        """Renew credentials when half of their time is over, so that nodes that join later can pull."""
        for service in self._observed.services or ():
            with self._out.alone(f"The renewal of the credentials of the service {service.name}"):
                self._registry(service)

    def _registry(self, service: Service) -> None:
        registry = Registry.of_image(service.image)
        if registry is None or not registry_credentials.due(service.labels, self._now):
            return
        if not self._policy.ecr:
            self._out.notes.append(
                f"The service {service.name} pulls from {registry.host}, and its credentials are not renewed: add the "
                "repository to ecr_repositories."
            )
        elif service.renewable:
            self._out.actions.append(act.RefreshRegistryAuth(service.id, service.name, registry, self._now))

    def _notes(self) -> None:
        for name, reason in sorted(self._observed.launch_failures.items()):
            self._out.notes.append(report.failing(name, reason))
        for name in sorted(set(self._policy.groups) - set(self._observed.desired)) if self._observed.desired else ():
            self._out.notes.append(f"The node group {name} has no Auto Scaling group: run site.yml to create it again.")
        for node in self._members.strangers:
            self._out.notes.append(f"The node {node.id} has no instance in the cluster: it is left as it is.")
        for identifier, instance in sorted(self._members.instances.items()):
            if instance.in_service and identifier not in self._members.node_of:
                self._out.notes.append(
                    f"{identifier} is in service, but not in the swarm: playbooks/join.yml brings it back."
                )
            elif instance.state == "running" and identifier in self._members.node_of:
                with self._out.alone(f"A note on {identifier}"):
                    self._note_unpublished(instance)

    def _note_unpublished(self, instance: Instance) -> None:
        """Note why the record omits an instance that serves."""
        group, wanted = self._policy.groups.get(instance.group), self._policy.dns
        if instance.lifecycle is None:
            self._out.notes.append(
                f"{instance.id} is in no Auto Scaling group: it is neither replaced nor in the record."
            )
        elif wanted and group and group.dns and instance.in_service:
            if not instance.addresses(wanted.addresses, ipv6=False):
                self._out.notes.append(f"{instance.id} has no {wanted.addresses} address, so {wanted.record} omits it.")
            failing = dns.failing(self._members.node_of[instance.id], self._observed.services or ())
            if failing:
                self._out.notes.append(
                    f"{' and '.join(failing)} fails on {instance.id} repeatedly, so {wanted.record} omits it while "
                    "others serve: docker service ps shows why."
                )
            if wanted.ipv6 and not instance.ipv6_address:
                what = f"the AAAA record of {wanted.record}" if wanted.service_id is None else wanted.record
                self._out.notes.append(
                    f"{instance.id} has no IPv6 address, so {what} omits it: its replacement will have an address."
                )
