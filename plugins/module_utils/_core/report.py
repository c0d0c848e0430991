"""The observed cluster and the decision, for people and as JSON."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, Optional, Sequence

from . import dns, interruptions, node_matching, surge, target_groups
from .actions import SyncRecord
from .cluster import Cluster, Instance, Node, Record, ScalingGroup, Service
from .counting import counted
from .decision import Decision
from .policy import Policy
from .quorum import Quorum
from .removal_progress import REMOVED, RemovalProgress

# The version of the node's agent, from the launch template: an agent is never replaced in place.
AGENT_LABEL = "swarm.aws.agent"


def quorum(observed: Cluster) -> Optional[Dict[str, int]]:
    """Raft's numbers; None if they are not known."""
    if observed.nodes is None:
        return None
    found = Quorum.of(observed.nodes)
    return {
        "voters": found.voters,
        "reachable": found.reachable,
        "needed": found.needed,
        "margin": found.margin,
    }


def members(observed: Cluster, addresses: str) -> List[Dict[str, Any]]:
    """Instances, nodes and addresses, joined; ``addresses`` is ``public`` or ``private``."""
    if observed.instances is None:
        # Without instances, living and gone nodes cannot be told apart.
        return [
            {**_row(None, node, False), "instance": node.labels.get(node_matching.INSTANCE_LABEL), "state": "unknown"}
            for node in observed.nodes or ()
        ]
    joined = node_matching.join(observed)
    published = set(observed.record.addresses if observed.record else ())
    rows = [
        _row(instance, joined.node_of.get(identifier), bool(published & {*instance.addresses(addresses, ipv6=True)}))
        for identifier, instance in sorted(joined.instances.items())
        if not instance.gone or instance.lifecycle
    ]
    for node, instance_id in (*joined.orphans, *joined.superseded):
        gone = instance_id not in joined.instances or joined.instances[instance_id].gone
        rows.append({**_row(None, node, False), "instance": instance_id, "state": "gone" if gone else None})
    rows.extend(_row(None, node, False) for node in joined.strangers)
    return rows


def record(found: Optional[Record]) -> Optional[Mapping[str, Any]]:
    """The record; None if there is none or it is not known."""
    if found is None or found.absent:
        return None
    return found.shown


def standing(observed: Cluster, policy: Policy, decision: Decision) -> Optional[Dict[str, Any]]:
    """The record and its desired addresses; None if no record is configured.

    ``addresses`` are those of the A and the AAAA record, None if the record is not known. ``wanted`` are the desired
    addresses, None if they are not known.
    """
    if policy.dns is None:
        return None
    found = observed.record
    planned = [action.addresses for action in decision.actions if isinstance(action, SyncRecord)]
    known = found is not None and observed.nodes is not None and observed.instances is not None
    refused = found is not None and bool(dns.foreign(found, policy.dns, policy.owner))
    present = list(found.addresses) if found else None
    leads_to = _leads_to(observed, policy.dns.addresses)
    # Also if nothing is changed, such as without a quorum.
    right = [address for address in present or () if leads_to[address]]
    return {
        "name": policy.dns.record,
        **(found.shown if found else {"ipv4_values": None, "ttl": None, "owner": None}),
        "addresses": present,
        "wanted": None if refused or not known else list(planned[0]) if planned else right,
        "leads_to": leads_to,
    }


def balancing(observed: Cluster) -> List[Dict[str, Any]]:
    """A row for each target group; ``states`` counts the targets, and is None if not known."""
    return [
        {
            "name": target_groups.name(target_group),
            "states": None if health is None else dict(Counter(sorted(health.values()))),
            "targets": None if health is None else dict(sorted(health.items())),
        }
        for target_group, health in sorted(observed.targets.items())
    ]


def services(observed: Cluster) -> Optional[List[Dict[str, Any]]]:
    """A row for each service with the numbers of its tasks; None if they are not known."""
    if observed.services is None:
        return None
    return [
        {
            "name": service.name,
            "mode": service.mode,
            "running": service.running,
            "wanted": _wanted(service),
            "starting": sum(service.starting.values()),
            "stopping": sum(service.stopping.values()),
            "pending": service.pending,
            "why_pending": service.why_pending,
            "updating": service.updating,
        }
        for service in observed.services
    ]


def groups(found: Sequence[ScalingGroup]) -> List[Dict[str, Any]]:
    """A row for each Auto Scaling group."""
    return [
        {
            "group": group.group,
            "scaling_group": group.name,
            "in_service": group.in_service,
            "desired": group.desired,
            "min": group.smallest,
            "max": group.largest,
            "template": group.template,
            "launch_failure": group.launch_failure,
            "failing_seconds": group.failing_seconds,
        }
        for group in found
    ]


def launched(rows: Sequence[Mapping[str, Any]], found: Sequence[ScalingGroup]) -> str:
    """How many of the desired instances of each group run; ``rows`` are the members."""
    running = Counter(row["group"] for row in rows if row["state"] == "running")
    phrases = [f"{running[group.group]} of {counted(group.desired, 'instance')} of {group.group}" for group in found]
    return f"{', '.join(phrases) or 'no instances'} running"


def failing(group: str, reason: str) -> str:
    """Auto Scaling's reason why a group's launches fail, as a sentence."""
    return f"Auto Scaling cannot launch instances of the group {group}: {reason}"


def outdated(observed: Cluster, found: Sequence[ScalingGroup]) -> List[str]:
    """IDs of living instances whose launch template version is not their group's present version."""
    current = {group.name: group.template for group in found if group.template}
    return [
        instance.id
        for instance in observed.instances or ()
        if not instance.gone
        and instance.template
        and current.get(instance.scaling_group or "", instance.template) != instance.template
    ]


def moment(observed: Cluster, policy: Policy, decision: Decision, now: float) -> Dict[str, Any]:
    """The whole view of a moment, with each node's tasks, capacity, place in the record and removal."""
    joined = node_matching.join(observed)
    removals = interruptions.of(observed, joined, policy, now) if observed.instances is not None else {}
    rows = members(observed, policy.dns.addresses if policy.dns else "public")
    nodes = {node.id: node for node in observed.nodes or ()}
    for row in rows:
        node, instance = nodes.get(row["node"]), row["instance"]
        row["runs"] = [] if node is None else _runs(observed.services or (), node.id)
        row["capacity"] = None if node is None else _capacity(node, observed.services or ())
        row["omitted"] = None
        if policy.dns and observed.record and instance in joined.instances and not row["published"]:
            row["omitted"] = dns.omission(
                joined.instances[instance], node, policy, set(removals), observed.record, observed.services or ()
            )
        why = removals.get(instance)
        row["going"] = None
        if why is not None:
            row["going"] = {
                "why": why.kind,
                "stage": REMOVED
                if node is None
                else RemovalProgress(node.id).look([node], observed.services or (), now),
                "deadline": why.deadline,
                "waits": list(decision.waits.get(instance, ())),
                "held": decision.held.get(instance),
            }
    return {
        "members": rows,
        "record": standing(observed, policy, decision),
        "balancing": balancing(observed),
        "services": services(observed),
        "quorum": quorum(observed),
        **outlook(decision),
    }


def _runs(found: Sequence[Service], node: str) -> List[Dict[str, Any]]:
    """A row for each service with tasks on the node."""
    return [
        {
            "service": service.name,
            "running": service.healthy.get(node, 0),
            "starting": service.starting.get(node, 0),
            "stopping": service.stopping.get(node, 0),
        }
        for service in found
        if service.left_on(node)
    ]


def _capacity(node: Node, found: Sequence[Service]) -> Dict[str, Optional[float]]:
    """The node's CPUs and bytes of memory, and what the tasks on it reserve; None if not known."""
    return {
        "cpus": None if node.cpus is None else node.cpus / 1e9,
        "cpus_reserved": sum(service.needs.cpus * service.wanted_on(node.id) for service in found) / 1e9,
        "memory": node.memory,
        "memory_reserved": sum(service.needs.memory * service.wanted_on(node.id) for service in found),
    }


def outlook(decision: Decision) -> Dict[str, List[str]]:
    """The planned actions, the waits, and the notes."""
    return {
        "planned": [action.change.sentence for action in decision.actions],
        "awaited": list(decision.awaited),
        "refused": list(decision.refused),
        "notes": list(decision.notes),
    }


def _leads_to(observed: Cluster, addresses: str) -> Dict[str, Optional[str]]:
    """The running instance at each of the record's addresses; None if there is none."""
    running = (instance for instance in observed.instances or () if instance.state == "running")
    at = {address: instance.id for instance in running for address in instance.addresses(addresses, ipv6=True)}
    return {address: at.get(address) for address in (observed.record.addresses if observed.record else ())}


def _wanted(service: Service) -> int:
    """Number of tasks that should run now, without complete tasks."""
    if service.mode == surge.REPLICATED:
        return max(0, surge.declared(service) - service.done)
    return service.running + sum(service.starting.values()) + service.pending


def _row(instance: Optional[Instance], node: Optional[Node], published: bool) -> Dict[str, Any]:
    row: Dict[str, Any] = dict.fromkeys((*_OF_INSTANCE, "instance", "launched", "node"))
    if instance:
        row.update({name: getattr(instance, name) for name in _OF_INSTANCE})
        row["instance"] = instance.id
        if instance.launched is not None:
            row["launched"] = datetime.fromtimestamp(instance.launched, timezone.utc).isoformat(timespec="seconds")
    row["published"] = published
    if node:
        row.update(node=node.id, role=node.role)
    row.update(_of_node(node))
    return row


# The fields of the instance in a row.
_OF_INSTANCE = (
    "group",
    "role",
    "zone",
    "state",
    "lifecycle",
    "healthy",
    "private_address",
    "public_address",
    "ipv6_address",
    "kind",
    "image",
    "template",
)


def _of_node(node: Optional[Node]) -> Mapping[str, Any]:
    raft = None
    if node and node.voter:
        raft = "leader" if node.leader else "reachable" if node.reachable else "unreachable"
    return {
        "node_state": node.state if node else None,
        "availability": node.availability if node else None,
        "raft": raft,
        "leader": bool(node and node.leader),
        "voter": bool(node and node.voter),
        "reachable": bool(node and node.reachable),
        "engine": node.engine or None if node else None,
        "agent": node.engine_labels.get(AGENT_LABEL) if node else None,
        "tasks": node.tasks if node else 0,
    }
