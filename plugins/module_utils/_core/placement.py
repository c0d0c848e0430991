"""Whether a service's tasks fit on other nodes, by the scheduler's rules."""

from __future__ import annotations

from typing import Iterable, List, Optional, Sequence

from .cluster import Needs, Node, Service
from .counting import counted

GLOBAL = "global"


def room(service: Service, nodes: Sequence[Node], services: Iterable[Service], most: int) -> int:
    """Number of additional tasks that ``nodes``, which are ready and active, can take, at most ``most``."""
    others = tuple(services)
    return min(most, sum(_room_on(service, node, others, most) for node in nodes if meets(service.needs, node)))


def obstacle(service: Service, nodes: Sequence[Node]) -> str:
    """The likely reason why there is no room, as a clause."""
    needs = service.needs
    fit = [node for node in nodes if meets(needs, node)]
    if not nodes:
        return "there is no other node that takes tasks"
    if not fit and needs.constraints:
        return f"none of {counted(len(nodes), 'other node')} meets {' and '.join(needs.constraints)}"
    others = counted(len(fit), "other node")
    if needs.most_per_node:
        return f"the {others} may have {needs.most_per_node} of them each"
    if needs.host_ports:
        return f"port {needs.host_ports[0]} is taken on the {others}"
    return f"there is not enough free memory or CPU on the {others}"


def arriving(node: Node, services: Iterable[Service]) -> List[str]:
    """The names of global services that do not run on this node yet.

    The engine creates their tasks a moment after it knows the node and its labels, so a missing task counts as well.
    """
    return [
        service.name
        for service in services
        if service.mode == GLOBAL and not service.healthy.get(node.id) and _should_run(service, node)
    ]


def _should_run(service: Service, node: Node) -> bool:
    if service.starting.get(node.id):
        return True
    takes_tasks = node.availability == "active" and node.id not in service.over
    return takes_tasks and all(_holds(constraint, node, unreadable=False) for constraint in service.needs.constraints)


def meets(needs: Needs, node: Node) -> bool:
    """Whether the node meets the constraints. A constraint that cannot be read excludes nothing."""
    return all(_holds(constraint, node, unreadable=True) for constraint in needs.constraints)


def _room_on(service: Service, node: Node, services: Iterable[Service], most: int) -> int:
    needs, here = service.needs, service.wanted_on(node.id)
    left: List[int] = [most]
    if needs.most_per_node:
        left.append(needs.most_per_node - here)
    if needs.host_ports:
        taken = any(
            set(other.needs.host_ports) & set(needs.host_ports) and other.left_on(node.id) for other in services
        )
        left.append(0 if taken else 1)
    if needs.memory and node.memory is not None:
        used = sum(other.needs.memory * other.left_on(node.id) for other in services)
        left.append((node.memory - used) // needs.memory)
    if needs.cpus and node.cpus is not None:
        used = sum(other.needs.cpus * other.left_on(node.id) for other in services)
        left.append((node.cpus - used) // needs.cpus)
    return max(0, min(left))


def _holds(constraint: str, node: Node, *, unreadable: bool) -> bool:
    for operator in ("==", "!="):
        key, found, wanted = constraint.partition(operator)
        if found:
            present = value(key.strip(), node)
            if present is None:
                return unreadable
            # The scheduler ignores case.
            return (present.lower() == wanted.strip().lower()) is (operator == "==")
    return unreadable


def value(key: str, node: Node) -> Optional[str]:
    """The node's value for a constraint's key; None for an unknown key."""
    for prefix, labels in (("node.labels.", node.labels), ("engine.labels.", node.engine_labels)):
        if key.startswith(prefix):
            return labels.get(key[len(prefix) :], "")
    system, _dummy, architecture = node.platform.partition("/")
    return {
        "node.id": node.id,
        "node.hostname": node.hostname,
        "node.role": node.role,
        "node.platform.os": system,
        "node.platform.arch": architecture,
    }.get(key)
