"""What is observed and decided, for people and as JSON."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from . import identity
from .actions import Action
from .change import Change
from .cluster import Cluster, Instance, Node, Record
from .decision import Decision
from .quorum import Quorum


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
    joined = identity.join(observed)
    published = observed.record.addresses if observed.record else ()
    rows = [
        _row(instance, joined.node_of.get(identifier), instance.address(addresses) in published)
        for identifier, instance in sorted(joined.instances.items())
        if not instance.gone or instance.lifecycle
    ]
    for node, instance_id in (*joined.orphans, *joined.superseded):
        rows.append({**_row(None, node, False), "instance": instance_id})
    rows.extend(_row(None, node, False) for node in joined.strangers)
    return rows


def record(found: Optional[Record]) -> Optional[Dict[str, Any]]:
    """The record; None if there is none, or it is not known."""
    if found is None or found.absent:
        return None
    return {"values": list(found.addresses), "ttl": found.ttl, "owner": found.owner}


def outlook(decision: Decision) -> Dict[str, List[str]]:
    """What is to be done, waited for and looked at."""
    return {
        "planned": [sentence(action, action.change) for action in decision.actions],
        "awaited": list(decision.awaited),
        "refused": list(decision.refused),
        "notes": list(decision.notes),
    }


def sentence(action: Action, change: Change) -> str:
    """An action and what it is done to."""
    return f"{type(action).__name__}: {change.sentence}"


def _row(instance: Optional[Instance], node: Optional[Node], published: bool) -> Dict[str, Any]:
    row: Dict[str, Any] = dict.fromkeys(
        ("instance", "group", "zone", "state", "lifecycle", "private_address", "public_address", "node", "role")
    )
    if instance:
        row.update(
            instance=instance.id,
            group=instance.group,
            zone=instance.zone,
            state=instance.state,
            lifecycle=instance.lifecycle,
            private_address=instance.private_address,
            public_address=instance.public_address,
            role=instance.role,
        )
    row["published"] = published
    if node:
        row.update(node=node.id, role=node.role)
    row.update(_of_node(node))
    return row


def _of_node(node: Optional[Node]) -> Mapping[str, Any]:
    return {
        "node_state": node.state if node else None,
        "availability": node.availability if node else None,
        "leader": bool(node and node.leader),
        "voter": bool(node and node.voter),
        "reachable": bool(node and node.reachable),
        "tasks": node.tasks if node else 0,
    }
