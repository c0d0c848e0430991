"""Matches nodes with instances. A node's claim counts only if its address confirms it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Tuple

from .cluster import Cluster, Instance, Node

INSTANCE_LABEL = "swarm.aws.instance"


@dataclass(frozen=True)
class NodeMatching:
    """The join of instances and nodes."""

    instances: Mapping[str, Instance]
    # The node of each living instance that has one.
    node_of: Mapping[str, Node]
    # Nodes of instances that do not exist any more, with the instance's ID.
    orphans: Tuple[Tuple[Node, str], ...]
    # Nodes that are down and whose instance has joined again as another node, with the instance's ID.
    superseded: Tuple[Tuple[Node, str], ...]
    # Nodes without an instance of the cluster.
    strangers: Tuple[Node, ...]


def join(cluster: Cluster) -> NodeMatching:
    """Join EC2's instances with Raft's nodes. Both must have been observed."""
    instances = {instance.id: instance for instance in cluster.instances or ()}
    at_address = {
        instance.private_address: instance
        for instance in instances.values()
        if instance.private_address and not instance.gone
    }
    claims: Dict[str, List[Node]] = {}
    orphans: List[Tuple[Node, str]] = []
    superseded: List[Tuple[Node, str]] = []
    strangers: List[Node] = []
    unproven: List[Node] = []
    for node in cluster.nodes or ():
        proven = _proven(node, at_address)
        if proven:
            claims.setdefault(proven, []).append(node)
            continue
        labelled = node.labels.get(INSTANCE_LABEL)
        if labelled and _gone(labelled, instances):
            orphans.append((node, labelled))
        elif labelled and _consistent(node, instances[labelled]):
            claims.setdefault(labelled, []).append(node)
        else:
            unproven.append(node)
    node_of = {}
    for identifier, nodes in claims.items():
        present = max(nodes, key=_precedence)
        node_of[identifier] = present
        for other in nodes:
            # Only a ready node shows that another node is a leftover.
            if other is not present and other.state == "down" and present.ready:
                superseded.append((other, identifier))
            elif other is not present:
                strangers.append(other)
    for node in unproven:
        claimed = node.engine_labels.get(INSTANCE_LABEL)
        # It may have died before a manager labelled it. No living instance may have its address.
        if claimed and _gone(claimed, instances) and _vacant(node, at_address, node_of):
            orphans.append((node, claimed))
        else:
            strangers.append(node)
    return NodeMatching(instances, node_of, tuple(orphans), tuple(superseded), tuple(strangers))


def _proven(node: Node, at_address: Mapping[str, Instance]) -> Optional[str]:
    """The instance whose ID the node's engine claims and whose address it has."""
    claimed = node.engine_labels.get(INSTANCE_LABEL)
    instance = at_address.get(node.address or "")
    return claimed if instance is not None and instance.id == claimed else None


def _consistent(node: Node, instance: Instance) -> bool:
    """Whether the addresses of node and instance do not contradict each other."""
    return not node.address or not instance.private_address or node.address == instance.private_address


def _gone(identifier: str, instances: Mapping[str, Instance]) -> bool:
    instance = instances.get(identifier)
    return instance is None or instance.gone


def _vacant(node: Node, at_address: Mapping[str, Instance], node_of: Mapping[str, Node]) -> bool:
    instance = at_address.get(node.address or "")
    return instance is None or (instance.id in node_of and node_of[instance.id].id != node.id)


def _precedence(node: Node) -> Tuple[bool, bool, bool, str]:
    """Of two nodes of the same instance, prefer the living node."""
    return node.ready, node.state != "down", node.voter, node.id
