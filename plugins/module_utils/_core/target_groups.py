"""The instances that are registered in the load balancers' target groups: those that serve.

An instance of a node group is a target of all of the group's target groups while it serves. A removal deregisters it
first, and the target group then finishes its requests, for at most its deregistration delay. The states are Elastic
Load Balancing's (https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html).
"""

from __future__ import annotations

from typing import AbstractSet, FrozenSet, Iterable, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from . import actions as act
from . import node_labels, placement
from .cluster import Instance, Node, Service
from .node_matching import INSTANCE_LABEL, NodeMatching
from .policy import Policy

Health = Mapping[str, str]
"""The states of a target group's targets, by instance ID."""

DRAINING = "draining"
# States of a target that gets requests, or could: a target is "unused" if its target group has no load balancer, and
# "unavailable" if its health is not checked.
_FIT = ("healthy", "unused", "unavailable")


def name(target_group: str) -> str:
    """A target group's name, from its ARN."""
    parts = target_group.split("/")
    return parts[1] if len(parts) > 1 else target_group


def of(instance: Instance, policy: Policy) -> Tuple[str, ...]:
    """The ARNs of the instance's target groups."""
    group = policy.groups.get(instance.group)
    return group.target_groups if group else ()


def fit(health: Health, instance: str) -> bool:
    """Whether the instance gets requests."""
    return health.get(instance) in _FIT


def registered(health: Health) -> List[str]:
    """Targets that may get new requests, healthy or not."""
    return [instance for instance, state in health.items() if state != DRAINING]


def being_removed(nodes: Iterable[Node]) -> FrozenSet[str]:
    """The instances whose nodes are drained or being removed, by the nodes' own labels."""
    return frozenset(
        node.labels[INSTANCE_LABEL]
        for node in nodes
        if INSTANCE_LABEL in node.labels
        and node.state != "down"
        and (node.availability == "drain" or node_labels.REMOVING in node.labels)
    )


def sync(
    members: NodeMatching,
    policy: Policy,
    removing: AbstractSet[str],
    present: Mapping[str, Optional[Health]],
    services: Sequence[Service],
) -> Iterator[act.SyncTargets]:
    """The changes that register exactly the instances that serve. Targets of other clusters stay."""
    for target_group in policy.target_groups:
        health = present.get(target_group)
        if health is None:
            continue
        serving: List[str] = []
        others: List[str] = []
        for identifier, instance in sorted(members.instances.items()):
            if target_group in of(instance, policy):
                node = members.node_of.get(identifier)
                serves = _serves(instance, node, health, services) and identifier not in removing
                (serving if serves else others).append(identifier)
        there = set(registered(health))
        new = tuple(target for target in serving if target not in there)
        # Until a serving instance gets requests, keep some of the others; if none is left to keep, deregister nobody.
        covered = any(fit(health, target) for target in serving)
        kept = set() if covered else _kept(others, members, health)
        old = tuple(target for target in others if target in there and target not in kept) if covered or kept else ()
        if new or old:
            yield act.SyncTargets(target_group, new, old)


def _kept(others: Sequence[str], members: NodeMatching, health: Health) -> Set[str]:
    """The instances that do not serve and yet stay registered, so that somebody gets requests.

    Prefer instances that wait for their removal, then the instance whose removal began last. So the other removals can
    finish, and only then are they replaced.
    """
    nodes = {instance: members.node_of[instance] for instance in others if instance in members.node_of}
    up = {instance: node for instance, node in nodes.items() if node.state != "down" and node.availability != "drain"}
    waiting = {instance for instance, node in up.items() if node.availability == "active"}
    if any(fit(health, instance) for instance in waiting):
        return waiting
    there = [instance for instance in up if fit(health, instance)]
    last = max(there, key=lambda instance: (node_labels.removal_began(up[instance]), instance), default=None)
    return set() if last is None else {last, *waiting}


def _serves(instance: Instance, node: Optional[Node], health: Health, services: Sequence[Service]) -> bool:
    there = health.get(instance.id, DRAINING) != DRAINING
    if node is None or instance.state != "running" or not instance.in_service or node.availability == "drain":
        return False
    # A new leader has no heartbeats yet. That must not move all requests to a single node.
    if not node.ready and not (node.unconfirmed and there):
        return False
    # A new instance is registered once its host-port services run.
    return there or not placement.arriving(node, (service for service in services if service.needs.host_ports))
