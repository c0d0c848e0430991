"""The instances to remove, and the reasons: Auto Scaling, the operator, EC2, or a node that stays down.

Interruptions from messages are kept in labels of the instance's node, in Raft, so that they outlive the process.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, Optional, Tuple

from . import node_labels
from .cluster import MANAGER, WORKER, Cluster, Instance, Interruption, Node
from .events import REBALANCE
from .node_matching import NodeMatching
from .parsing import number
from .policy import Policy

TERMINATING = "terminating"
REQUESTED = "requested"
DOWN = "down"
# A manager that was demoted for its removal. There is no way back.
DEMOTED = "demoted"
_NOT_REPLACED, _FORCE = "no-replacement", "force"


def of(observed: Cluster, members: NodeMatching, policy: Policy, now: float) -> Dict[str, Interruption]:
    """By instance ID, a merged interruption with the earliest known deadline."""
    found = {
        instance.id: of_instance(instance, observed, members, policy, now) for instance in members.instances.values()
    }
    return {identifier: interruption for identifier, interruption in found.items() if interruption}


def of_instance(
    instance: Instance, observed: Cluster, members: NodeMatching, policy: Policy, now: float
) -> Optional[Interruption]:
    """The interruption of an instance; None if there is none."""
    several = list(_each(instance, members.node_of.get(instance.id), policy, now))
    several.extend(interruption for interruption in observed.interruptions if interruption.instance == instance.id)
    group = policy.groups.get(instance.group)
    if group and group.rebalance:
        # Auto Scaling terminates it once its replacement serves. An earlier removal would leave too few.
        several = [interruption for interruption in several if interruption.kind != REBALANCE]
    return merged(several) if several else None


def _each(instance: Instance, node: Optional[Node], policy: Policy, now: float) -> Iterable[Interruption]:
    since = node_labels.fact(node.labels, node_labels.REMOVING, now) if node else None
    if instance.terminating:
        # Auto Scaling would wait longer, but a termination must not be held for ever.
        yield Interruption(instance.id, TERMINATING, None if since is None else since + policy.hold_seconds)
    if node is None:
        return
    request = read_request(node.labels.get(node_labels.REQUESTED, ""), instance.id)
    if request:
        yield request
    if since is not None and node.role == WORKER and policy.role_of(instance) == MANAGER:
        yield Interruption(instance.id, DEMOTED)
    said = read_interruption(node.labels.get(node_labels.INTERRUPTION, ""), instance.id)
    if said:
        yield said
    down_since = node_labels.fact(node.labels, node_labels.DOWN, now)
    away = 0.0 if down_since is None or node.state != "down" else now - down_since
    if policy.down_seconds is not None and down_since is not None and away >= policy.down_seconds:
        yield Interruption(instance.id, DOWN)


def merged(several: List[Interruption]) -> Interruption:
    """Merge the interruptions of an instance. A termination comes first, an operator's request last."""
    order = [
        TERMINATING,
        *sorted({interruption.kind for interruption in several} - {TERMINATING, REQUESTED}),
        REQUESTED,
    ]
    deadlines = [interruption.deadline for interruption in several if interruption.deadline is not None]
    return Interruption(
        several[0].instance,
        min((interruption.kind for interruption in several), key=order.index),
        min(deadlines, default=None),
        replace=all(interruption.replace for interruption in several),
        force=any(interruption.force for interruption in several),
    )


def label(observed: Cluster, node: Node, instance: str) -> Optional[str]:
    """The value of the node's interruption label: the present label and the queue's interruptions, merged."""
    several = [interruption for interruption in observed.interruptions if interruption.instance == instance]
    said = read_interruption(node.labels.get(node_labels.INTERRUPTION, ""), instance)
    if said:
        several.append(said)
    return write_interruption(merged(several)) if several else None


def remembered(interruption: Interruption, observed: Cluster, members: NodeMatching) -> bool:
    """Whether the message can be deleted: the node has the label, or the instance needs none any more."""
    if observed.nodes is None or observed.instances is None:
        return False
    instance, node = members.instances.get(interruption.instance), members.node_of.get(interruption.instance)
    if instance is None or instance.gone or instance.terminating:
        return True
    return node is not None and node.labels.get(node_labels.INTERRUPTION) == label(observed, node, instance.id)


def write_interruption(interruption: Interruption) -> str:
    """The label's value, such as `spot interruption@1700000120`."""
    deadline = "" if interruption.deadline is None else f"@{interruption.deadline:.0f}"
    return f"{interruption.kind}{deadline}"


def read_interruption(value: str, instance: str) -> Optional[Interruption]:
    """The label's interruption; None if there is none, or it cannot be read."""
    kind, _dummy, deadline = value.partition("@")
    at = number(deadline)
    return Interruption(instance, kind, at) if kind and (at is not None or not deadline) else None


def write_request(at: float, *, replace: bool, force: bool) -> str:
    """The label's value, such as `1700000000 force`."""
    words = [f"{at:.0f}", *([] if replace else [_NOT_REPLACED]), *([_FORCE] if force else [])]
    return " ".join(words)


def read_request(value: str, instance: str) -> Optional[Interruption]:
    """The operator's request; None if there is none. The time is for people and is ignored."""
    words: Tuple[str, ...] = tuple(value.split())
    if not words:
        return None
    return Interruption(instance, REQUESTED, replace=_NOT_REPLACED not in words, force=_FORCE in words)
