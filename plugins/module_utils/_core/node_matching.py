"""Which node is which instance. A node's own word is believed only where its address bears it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Tuple

from .cluster import Cluster, Instance, Node

INSTANCE_LABEL = "swarm.aws.instance"


@dataclass(frozen=True)
class NodeMatching:
    """Instances and nodes, joined."""

    instances: Mapping[str, Instance]
    # The node of each living instance that has one.
    node_of: Mapping[str, Node]
    # Nodes of instances that are gone, with the instance's ID.
    orphans: Tuple[Tuple[Node, str], ...]
    # Nodes that are down and whose instance has joined anew as another node, with the instance's ID.
    superseded: Tuple[Tuple[Node, str], ...]
    # Nodes that no instance of the cluster answers for.
    strangers: Tuple[Node, ...]


def join(cluster: Cluster) -> NodeMatching:
    """Join what EC2 says with what Raft says. Both must have been observed."""
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
            # Only a node in service shows that another one is a leftover.
            if other is not present and other.state == "down" and present.ready:
                superseded.append((other, identifier))
            elif other is not present:
                strangers.append(other)
    for node in unproven:
        claimed = node.engine_labels.get(INSTANCE_LABEL)
        # It may have died before a manager labelled it. Nobody living must be found at its address.
        if claimed and _gone(claimed, instances) and _vacant(node, at_address, node_of):
            orphans.append((node, claimed))
        else:
            strangers.append(node)
    return NodeMatching(instances, node_of, tuple(orphans), tuple(superseded), tuple(strangers))


def _proven(node: Node, at_address: Mapping[str, Instance]) -> Optional[str]:
    """The instance whose ID the node's engine gives and at whose address it is."""
    claimed = node.engine_labels.get(INSTANCE_LABEL)
    instance = at_address.get(node.address or "")
    return claimed if instance is not None and instance.id == claimed else None


def _consistent(node: Node, instance: Instance) -> bool:
    """Whether the node's address does not speak against its being the instance."""
    return not node.address or not instance.private_address or node.address == instance.private_address


def _gone(identifier: str, instances: Mapping[str, Instance]) -> bool:
    instance = instances.get(identifier)
    return instance is None or instance.gone


def _vacant(node: Node, at_address: Mapping[str, Instance], node_of: Mapping[str, Node]) -> bool:
    instance = at_address.get(node.address or "")
    return instance is None or (instance.id in node_of and node_of[instance.id].id != node.id)


def _precedence(node: Node) -> Tuple[bool, bool, bool, str]:
    """Of two nodes at one instance, the one that lives is the instance's."""
    return node.ready, node.state != "down", node.voter, node.id
