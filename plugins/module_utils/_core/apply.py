"""Applies actions: each is checked again, done, and reported as a change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Dict, Optional, Tuple, Type, Union

from . import actions as act
from . import dns, node_labels, registry_credentials, target_groups
from .actions import Action
from .change import Change
from .cluster import Node, Service
from .cluster_ports import ClusterPorts
from .errors import SwarmError
from .policy import Policy
from .quorum import Interlock
from .registry_credentials import Registry


class Refused(SwarmError):
    """The action is not right any more, so it is not done. The next pass plans again."""


def apply(action: Action, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    """Do the action if it is still right, and return the change; None if there was nothing to change.

    Raises Refused if it is not right any more, and SwarmError if a service fails.
    """
    return HANDLERS[type(action)](action, ports, policy)


def _find(ports: ClusterPorts, identifier: str) -> Tuple[Tuple[Node, ...], Optional[Node]]:
    nodes = ports.swarm.nodes()
    return nodes, next((node for node in nodes if node.id == identifier), None)


def _present(ports: ClusterPorts, identifier: str) -> Node:
    node = _find(ports, identifier)[1]
    if node is None:
        raise Refused(f"The node {identifier} is not in the swarm any more.")
    return node


def _service(ports: ClusterPorts, action: Union[act.SetReplicas, act.RefreshRegistryAuth]) -> Service:
    for service in ports.swarm.services():
        if service.id == action.service_id:
            return service
    raise Refused(f"There is no service {action.name} any more.")


def _set_labels(action: act.SetLabels, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    node = _present(ports, action.node)
    if dict(node.labels) == dict(action.after):
        return None
    if dict(node.labels) != dict(action.before):
        raise Refused(f"The labels of the node of {action.instance} have changed in the meantime.")
    ports.swarm.update(node.id, labels=action.after)
    return action.change


def _note(action: act.NoteFact, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    node = _present(ports, action.node)
    if node_labels.fact(node.labels, action.label, action.at) is not None:
        return None
    ports.swarm.update(node.id, labels=_noted(node, action.label, action.at))
    return action.change


def _resume(action: act.Resume, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    node = _present(ports, action.node)
    if node_labels.REQUESTED in node.labels or node_labels.INTERRUPTION in node.labels:
        raise Refused(f"The node of {action.instance} is being removed after all.")
    kept = {key: value for key, value in node.labels.items() if key not in node_labels.FACTS}
    if node.availability == "active" and kept == dict(node.labels):
        return None
    ports.swarm.update(node.id, availability="active", labels=kept)
    return action.change


def _set_replicas(action: act.SetReplicas, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    service = _service(ports, action)
    if service.replicas == action.wanted and dict(service.labels) == dict(action.after):
        return None
    if service.replicas != action.replicas or dict(service.labels) != dict(action.before):
        raise Refused(f"The service {action.name} was changed in the meantime.")
    ports.swarm.scale(service.id, action.wanted, action.after)
    return action.change


def _cordon_or_drain(action: Union[act.Cordon, act.Drain], ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    node = _present(ports, action.node)
    if isinstance(action, act.Cordon) and node.availability == "drain":
        raise Refused(f"The node of {action.instance} is drained already.")
    noted = node_labels.fact(node.labels, action.label, action.at) is not None
    if noted and node.availability == action.wanted:
        return None
    ports.swarm.update(node.id, availability=action.wanted, labels=_noted(node, action.label, action.at))
    return action.change


def _noted(node: Node, label: str, at: float) -> Dict[str, str]:
    return {**node.labels, label: node_labels.noted(at)}


def _promote(action: act.Promote, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    node = _present(ports, action.node)
    if node.role == "manager":
        return None
    if node_labels.REMOVING in node.labels or node_labels.REQUESTED in node.labels:
        raise Refused(f"The node of {action.instance} is being removed.")
    if not node.ready:
        raise Refused(f"The node of {action.instance} is not ready any more.")
    ports.swarm.update(node.id, role="manager")
    return action.change


def _demote(action: act.Demote, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    nodes, node = _find(ports, action.node)
    if node is None or node.role != "manager":
        return None
    _still_dead(node, action.reason, action.instance, ports)
    refusal = Interlock(nodes).refusal(node, lost_anyway=action.reason == act.TERMINATING)
    if refusal:
        raise Refused(f"The manager of {action.instance} is not demoted: {refusal}.")
    ports.swarm.update(node.id, role="worker")
    return action.change


def _delete(action: act.Delete, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    node = _find(ports, action.node)[1]
    if node is None:
        return None
    if node.holds_vote:
        raise Refused(f"The node of {action.instance} is a manager now, which must be demoted first.")
    _still_dead(node, action.reason, action.instance, ports)
    ports.swarm.remove(node.id)
    return action.change


def _still_dead(node: Node, reason: str, instance: str, ports: ClusterPorts) -> None:
    if reason in (act.REMOVING, act.TERMINATING):
        return
    if node.state != "down":
        raise Refused(f"The node of {instance} is back.")
    if reason == act.GONE and not ports.scaling.gone(instance):
        raise Refused(f"EC2 does not confirm that {instance} is terminated.")


def _terminate(action: act.Terminate, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    node = _present(ports, action.node)
    if node.availability == "active" and node.state != "down":
        raise Refused(f"The node of {action.instance} takes tasks again.")
    if node.holds_vote:
        raise Refused(f"The node of {action.instance} is a manager now, which must be demoted first.")
    return action.change if ports.scaling.terminate(action.instance, replace=action.replace) else None


def _complete(action: act.CompleteLifecycle, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    if action.result == "CONTINUE" and action.node is not None and not _present(ports, action.node).ready:
        raise Refused(f"The node of {action.instance} is not ready any more.")
    done = ports.scaling.complete(action.scaling_group, action.hook, action.instance, action.result)
    return action.change if done else None


def _heartbeat(action: act.Heartbeat, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    done = ports.scaling.heartbeat(action.scaling_group, action.hook, action.instance)
    return action.change if done else None


def _publish_record(action: act.PublishRecord, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    memory = ports.swarm.memory()
    if memory.swarm_id != action.after.cluster_id or memory.remembered is None:
        raise Refused("The engine is in another swarm now.")
    if not ports.tokens.republish(action.after, action.before.version):
        raise Refused("The cluster's record in the bucket has changed in the meantime.")
    return action.change


def _remember_record(action: act.RememberRecord, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    memory = ports.swarm.memory()
    if memory.remembered == action.after:
        return None
    if memory.swarm_id != action.after.cluster_id or memory.remembered != action.before:
        raise Refused("The swarm remembers another record now.")
    ports.swarm.remember(action.after)
    return action.change


def _publish_tokens(action: act.PublishTokens, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    roles = tuple(role for role in action.roles if role in ports.tokens.stale())
    if not roles:
        return None
    ports.tokens.publish(roles)
    return act.PublishTokens(roles).change


def _refresh_registry_auth(action: act.RefreshRegistryAuth, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    # First, since this may take a while and the service may change meanwhile.
    grant = ports.registries.grant(action.registry)
    service = _service(ports, action)
    if not registry_credentials.due(service.labels, action.at):
        return None
    if not service.renewable or Registry.of_image(service.image) != action.registry:
        raise Refused(f"The service {action.name} was changed in the meantime.")
    ports.swarm.authorize(service.id, grant, {**service.labels, registry_credentials.LABEL: grant.noted})
    return action.change


def _set_lock(action: act.SetLock, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    if ports.lock is None or policy.autolock != action.wanted or ports.lock.locked() == action.wanted:
        return None
    ports.lock.lock(action.wanted)
    return action.change


def _keep_key(action: act.KeepKey, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    if ports.lock is None or ports.lock.kept():
        return None
    ports.lock.keep()
    return action.change


def _sync_targets(action: act.SyncTargets, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    if ports.balancing is None:
        return None
    health = ports.balancing.health(action.target_group)
    there = set(target_groups.registered(health))
    new = tuple(instance for instance in action.register if instance not in there)
    old = tuple(instance for instance in action.deregister if instance in there)
    if old and not any(target_groups.fit(health, instance) for instance in there - set(old)):
        raise Refused(f"No other target of {target_groups.name(action.target_group)} gets requests any more.")
    if new:
        # Another agent may have drained a node since. It would get requests until an agent noticed.
        being_removed = target_groups.being_removed(ports.swarm.nodes()).intersection(new)
        if being_removed:
            name = target_groups.name(action.target_group)
            raise Refused(f"The node of {min(being_removed)} is being removed, so it is not registered in {name}.")
        ports.balancing.register(action.target_group, new)
    if old:
        ports.balancing.deregister(action.target_group, old)
    return act.SyncTargets(action.target_group, new, old).change if new or old else None


def _sync_record(action: act.SyncRecord, ports: ClusterPorts, policy: Policy) -> Optional[Change]:
    if policy.dns is None or not action.addresses:
        raise Refused("No record is wanted any more, and a record is never emptied.")
    present = ports.records.read(policy.dns)
    if present == action.after:
        return None
    foreign = dns.foreign(present, policy.dns, policy.owner)
    if foreign:
        raise Refused(foreign)
    if present != action.before:
        # Another agent may have withdrawn a node since, which an older plan must not undo.
        raise Refused("The record has changed in the meantime.")
    ports.records.write(policy.dns, present, action.after)
    return replace(action, before=present).change


HANDLERS: Dict[Type[Action], Callable[[Any, ClusterPorts, Policy], Optional[Change]]] = {
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
