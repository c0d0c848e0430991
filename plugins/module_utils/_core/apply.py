"""Applies actions: each is checked again, done, and reported as a change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, FrozenSet, Mapping, Optional, Protocol, Sequence, Tuple, Type, Union

from . import actions as act
from . import dns, node_labels, registry_credentials, target_groups
from .actions import Action
from .change import Change
from .cluster import Instance, Node, Record, Service
from .errors import SwarmError
from .join.cluster_record import ClusterRecord, Memory, Published
from .policy import Dns, Policy
from .quorum import Interlock
from .registry_credentials import Grant, Registry


class Refused(SwarmError):
    """The action is not right any more, so it is not done. The next pass plans again."""


class Swarm(Protocol):
    """The swarm, through its leader's engine. A write fails if the node has changed since it was read."""

    def memory(self) -> Memory:
        """The swarm that the engine is in, and the cluster's record as that swarm remembers it."""

    def remember(self, record: ClusterRecord) -> None:
        """Make the swarm remember the cluster's record."""

    def nodes(self) -> Tuple[Node, ...]:
        """All nodes as they are now."""

    def update(
        self,
        node: str,
        *,
        role: Optional[str] = None,
        availability: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
    ) -> None:
        """Change a node's specification. ``labels`` replace all labels. None leaves a field as it is."""

    def remove(self, node: str) -> None:
        """Delete a node from the swarm, even if it is up. No error if there is none."""

    def services(self) -> Tuple[Service, ...]:
        """All services as they are now, with the places of their tasks."""

    def scale(self, service: str, replicas: int, labels: Mapping[str, str]) -> None:
        """Change a replicated service's replicas, replace all its labels, and leave its tasks as they are."""

    def authorize(self, service: str, grant: Grant, labels: Mapping[str, str]) -> None:
        """Change a service's registry credentials, replace all its labels, and leave its tasks as they are."""


class Peers(Protocol):
    """The cluster's other managers, asked without the swarm."""

    def listens(self, address: str) -> bool:
        """Whether something listens on the swarm's port at that address."""


class AutoScaling(Protocol):
    """Auto Scaling and EC2."""

    @property
    def heartbeats(self) -> Mapping[str, float]:
        """When this process sent the last heartbeat for each instance, in epoch seconds."""

    @property
    def desired(self) -> Mapping[str, int]:
        """The desired capacity of each node group, as of the last answer of ``instances``."""

    @property
    def upgrading(self) -> FrozenSet[str]:
        """The node groups that are being upgraded, as of the same answer."""

    def instances(self) -> Tuple[Instance, ...]:
        """The cluster's instances, and those that were terminated as long as EC2 lists them."""

    def gone(self, instance: str) -> bool:
        """Whether EC2, asked about this instance alone, says that it is terminated or does not exist."""

    def terminate(self, instance: str, *, replace: bool) -> bool:
        """Terminate an instance of a group, with or without a replacement. False if there is none to terminate."""

    def complete(self, scaling_group: str, hook: str, instance: str, result: str) -> bool:
        """Complete a lifecycle action. False if none waits any more."""

    def heartbeat(self, scaling_group: str, hook: str, instance: str) -> bool:
        """Send a heartbeat for a lifecycle action. False if none waits any more."""


class Tokens(Protocol):
    """The published objects in the bucket: the cluster's record and the join tokens."""

    def published(self) -> Published:
        """The cluster's record in the bucket."""

    def republish(self, record: ClusterRecord, version: Optional[str]) -> bool:
        """Write the record if the object still has that version (None: if there is none). False if it does not."""

    def stale(self) -> Tuple[str, ...]:
        """The roles whose published token is not the engine's."""

    def publish(self, roles: Sequence[str]) -> None:
        """Publish the engine's tokens of these roles."""


class Lock(Protocol):
    """The lock of the managers' state, and the store of its key."""

    def locked(self) -> bool:
        """Whether managers lock their state."""

    def lock(self, wanted: bool) -> None:
        """Turn the lock on or off."""

    def kept(self) -> bool:
        """Whether the engine's key is stored; true if there is none."""

    def keep(self) -> None:
        """Store it beside the earlier keys."""


class RecordSets(Protocol):
    """The cluster's DNS record: in its zone, or as a Cloud Map service."""

    def read(self, wanted: Dns) -> Record:
        """The record as it is now, including writes that have not reached all name servers yet."""

    def write(self, wanted: Dns, before: Record, after: Record) -> None:
        """Write the record.

        In a zone, record and ownership record are written in a single request, which fails if ``before`` had no record
        and there is one now. A service's instances change one by one: a new address is registered before an old one is
        deregistered.
        """


class Balancing(Protocol):
    """Elastic Load Balancing."""

    def health(self, target_group: str) -> Mapping[str, str]:
        """The state of each instance that is a target, or is draining."""

    def register(self, target_group: str, instances: Sequence[str]) -> None:
        """Register instances as targets."""

    def deregister(self, target_group: str, instances: Sequence[str]) -> None:
        """Deregister targets. No error for instances that are none."""


class Registries(Protocol):
    """ECR."""

    def grant(self, registry: Registry) -> Grant:
        """Credentials to pull images from a registry."""


@dataclass(frozen=True)
class World:
    """Everything that actions change."""

    swarm: Swarm
    scaling: AutoScaling
    tokens: Tokens
    records: RecordSets
    registries: Registries
    # None if it is not needed.
    lock: Optional[Lock] = None
    # None without load balancers.
    balancing: Optional[Balancing] = None
    # None if they are not needed.
    peers: Optional[Peers] = None


def apply(action: Action, world: World, policy: Policy) -> Optional[Change]:
    """Do the action if it is still right, and return the change; None if there was nothing to change.

    Raises Refused if it is not right any more, and SwarmError if a service fails.
    """
    return HANDLERS[type(action)](action, world, policy)


def _find(world: World, identifier: str) -> Tuple[Tuple[Node, ...], Optional[Node]]:
    nodes = world.swarm.nodes()
    return nodes, next((node for node in nodes if node.id == identifier), None)


def _present(world: World, identifier: str) -> Node:
    node = _find(world, identifier)[1]
    if node is None:
        raise Refused(f"The node {identifier} is not in the swarm any more.")
    return node


def _service(world: World, action: Union[act.SetReplicas, act.RefreshRegistryAuth]) -> Service:
    for service in world.swarm.services():
        if service.id == action.service_id:
            return service
    raise Refused(f"There is no service {action.name} any more.")


def _set_labels(action: act.SetLabels, world: World, policy: Policy) -> Optional[Change]:
    node = _present(world, action.node)
    if dict(node.labels) == dict(action.after):
        return None
    if dict(node.labels) != dict(action.before):
        raise Refused(f"The labels of the node of {action.instance} have changed in the meantime.")
    world.swarm.update(node.id, labels=action.after)
    return action.change


def _note(action: act.NoteFact, world: World, policy: Policy) -> Optional[Change]:
    node = _present(world, action.node)
    if node_labels.fact(node.labels, action.label, action.at) is not None:
        return None
    world.swarm.update(node.id, labels=_noted(node, action.label, action.at))
    return action.change


def _resume(action: act.Resume, world: World, policy: Policy) -> Optional[Change]:
    node = _present(world, action.node)
    if node_labels.REQUESTED in node.labels or node_labels.INTERRUPTION in node.labels:
        raise Refused(f"The node of {action.instance} is being removed after all.")
    kept = {key: value for key, value in node.labels.items() if key not in node_labels.FACTS}
    if node.availability == "active" and kept == dict(node.labels):
        return None
    world.swarm.update(node.id, availability="active", labels=kept)
    return action.change


def _set_replicas(action: act.SetReplicas, world: World, policy: Policy) -> Optional[Change]:
    service = _service(world, action)
    if service.replicas == action.wanted and dict(service.labels) == dict(action.after):
        return None
    if service.replicas != action.replicas or dict(service.labels) != dict(action.before):
        raise Refused(f"The service {action.name} was changed in the meantime.")
    world.swarm.scale(service.id, action.wanted, action.after)
    return action.change


def _cordon_or_drain(action: Union[act.Cordon, act.Drain], world: World, policy: Policy) -> Optional[Change]:
    node = _present(world, action.node)
    if isinstance(action, act.Cordon) and node.availability == "drain":
        raise Refused(f"The node of {action.instance} is drained already.")
    noted = node_labels.fact(node.labels, action.label, action.at) is not None
    if noted and node.availability == action.wanted:
        return None
    world.swarm.update(node.id, availability=action.wanted, labels=_noted(node, action.label, action.at))
    return action.change


def _noted(node: Node, label: str, at: float) -> Dict[str, str]:
    return {**node.labels, label: node_labels.noted(at)}


def _promote(action: act.Promote, world: World, policy: Policy) -> Optional[Change]:
    node = _present(world, action.node)
    if node.role == "manager":
        return None
    if node_labels.REMOVING in node.labels or node_labels.REQUESTED in node.labels:
        raise Refused(f"The node of {action.instance} is being removed.")
    if not node.ready:
        raise Refused(f"The node of {action.instance} is not ready any more.")
    world.swarm.update(node.id, role="manager")
    return action.change


def _demote(action: act.Demote, world: World, policy: Policy) -> Optional[Change]:
    nodes, node = _find(world, action.node)
    if node is None or node.role != "manager":
        return None
    _still_dead(node, action.reason, action.instance, world)
    refusal = Interlock(nodes).refusal(node, lost_anyway=action.reason == act.TERMINATING)
    if refusal:
        raise Refused(f"The manager of {action.instance} is not demoted: {refusal}.")
    world.swarm.update(node.id, role="worker")
    return action.change


def _delete(action: act.Delete, world: World, policy: Policy) -> Optional[Change]:
    node = _find(world, action.node)[1]
    if node is None:
        return None
    if node.holds_vote:
        raise Refused(f"The node of {action.instance} is a manager now, which must be demoted first.")
    _still_dead(node, action.reason, action.instance, world)
    world.swarm.remove(node.id)
    return action.change


def _still_dead(node: Node, reason: str, instance: str, world: World) -> None:
    if reason in (act.REMOVING, act.TERMINATING):
        return
    if node.state != "down":
        raise Refused(f"The node of {instance} is back.")
    if reason == act.GONE and not world.scaling.gone(instance):
        raise Refused(f"EC2 does not confirm that {instance} is terminated.")


def _terminate(action: act.Terminate, world: World, policy: Policy) -> Optional[Change]:
    node = _present(world, action.node)
    if node.availability == "active" and node.state != "down":
        raise Refused(f"The node of {action.instance} takes tasks again.")
    if node.holds_vote:
        raise Refused(f"The node of {action.instance} is a manager now, which must be demoted first.")
    return action.change if world.scaling.terminate(action.instance, replace=action.replace) else None


def _complete(action: act.CompleteLifecycle, world: World, policy: Policy) -> Optional[Change]:
    if action.result == "CONTINUE" and action.node is not None and not _present(world, action.node).ready:
        raise Refused(f"The node of {action.instance} is not ready any more.")
    done = world.scaling.complete(action.scaling_group, action.hook, action.instance, action.result)
    return action.change if done else None


def _heartbeat(action: act.Heartbeat, world: World, policy: Policy) -> Optional[Change]:
    done = world.scaling.heartbeat(action.scaling_group, action.hook, action.instance)
    return action.change if done else None


def _publish_record(action: act.PublishRecord, world: World, policy: Policy) -> Optional[Change]:
    memory = world.swarm.memory()
    if memory.swarm_id != action.after.cluster_id or memory.remembered is None:
        raise Refused("The engine is in another swarm now.")
    if not world.tokens.republish(action.after, action.before.version):
        raise Refused("The cluster's record in the bucket has changed in the meantime.")
    return action.change


def _remember_record(action: act.RememberRecord, world: World, policy: Policy) -> Optional[Change]:
    memory = world.swarm.memory()
    if memory.remembered == action.after:
        return None
    if memory.swarm_id != action.after.cluster_id or memory.remembered != action.before:
        raise Refused("The swarm remembers another record now.")
    world.swarm.remember(action.after)
    return action.change


def _publish_tokens(action: act.PublishTokens, world: World, policy: Policy) -> Optional[Change]:
    roles = tuple(role for role in action.roles if role in world.tokens.stale())
    if not roles:
        return None
    world.tokens.publish(roles)
    return act.PublishTokens(roles).change


def _refresh_registry_auth(action: act.RefreshRegistryAuth, world: World, policy: Policy) -> Optional[Change]:
    # First, since this may take a while and the service may change meanwhile.
    grant = world.registries.grant(action.registry)
    service = _service(world, action)
    if not registry_credentials.due(service.labels, action.at):
        return None
    if not service.renewable or Registry.of_image(service.image) != action.registry:
        raise Refused(f"The service {action.name} was changed in the meantime.")
    world.swarm.authorize(service.id, grant, {**service.labels, registry_credentials.LABEL: grant.noted})
    return action.change


def _set_lock(action: act.SetLock, world: World, policy: Policy) -> Optional[Change]:
    if world.lock is None or policy.autolock != action.wanted or world.lock.locked() == action.wanted:
        return None
    world.lock.lock(action.wanted)
    return action.change


def _keep_key(action: act.KeepKey, world: World, policy: Policy) -> Optional[Change]:
    if world.lock is None or world.lock.kept():
        return None
    world.lock.keep()
    return action.change


def _sync_targets(action: act.SyncTargets, world: World, policy: Policy) -> Optional[Change]:
    if world.balancing is None:
        return None
    health = world.balancing.health(action.target_group)
    there = set(target_groups.registered(health))
    new = tuple(instance for instance in action.register if instance not in there)
    old = tuple(instance for instance in action.deregister if instance in there)
    if old and not any(target_groups.fit(health, instance) for instance in there - set(old)):
        raise Refused(f"No other target of {target_groups.name(action.target_group)} gets requests any more.")
    if new:
        # Another agent may have drained a node since. It would get requests until an agent noticed.
        being_removed = target_groups.being_removed(world.swarm.nodes()).intersection(new)
        if being_removed:
            name = target_groups.name(action.target_group)
            raise Refused(f"The node of {min(being_removed)} is being removed, so it is not registered in {name}.")
        world.balancing.register(action.target_group, new)
    if old:
        world.balancing.deregister(action.target_group, old)
    return act.SyncTargets(action.target_group, new, old).change if new or old else None


def _sync_record(action: act.SyncRecord, world: World, policy: Policy) -> Optional[Change]:
    if policy.dns is None or not action.addresses:
        raise Refused("No record is wanted any more, and a record is never emptied.")
    present = world.records.read(policy.dns)
    if present == action.after:
        return None
    foreign = dns.foreign(present, policy.dns, policy.owner)
    if foreign:
        raise Refused(foreign)
    if present != action.before:
        # Another agent may have withdrawn a node since, which an older plan must not undo.
        raise Refused("The record has changed in the meantime.")
    world.records.write(policy.dns, present, action.after)
    return replace(action, before=present).change


HANDLERS: Dict[Type[Action], Callable[[Any, World, Policy], Optional[Change]]] = {
    act.SetLabels: _set_labels,
    act.NoteFact: _note,
    act.Cordon: _cordon_or_drain,
    act.Drain: _cordon_or_drain,
    act.Resume: _resume,
    act.SetReplicas: _set_replicas,
    act.Promote: _promote,
    act.Demote: _demote,
    act.Delete: _delete,
    act.Terminate: _terminate,
    act.CompleteLifecycle: _complete,
    act.Heartbeat: _heartbeat,
    act.PublishRecord: _publish_record,
    act.RememberRecord: _remember_record,
    act.PublishTokens: _publish_tokens,
    act.RefreshRegistryAuth: _refresh_registry_auth,
    act.SetLock: _set_lock,
    act.KeepKey: _keep_key,
    act.SyncRecord: _sync_record,
    act.SyncTargets: _sync_targets,
}
