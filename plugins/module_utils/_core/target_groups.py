"""Which instances load balancers send requests to: those that serve, whatever a target group says of others.

An instance of a node group is a target of all of the group's target groups while it serves. One that is to go is
deregistered first, and its target group then ends what it had sent there, for as long as its deregistration delay. The
states are Elastic Load Balancing's
(https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html).
"""

from __future__ import annotations

from typing import AbstractSet, FrozenSet, Iterable, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from . import actions as act
from . import node_labels, placement
from .cluster import Instance, Node, Service
from .node_matching import INSTANCE_LABEL, NodeMatching
from .policy import Policy

Health = Mapping[str, str]
"""What a target group says of its targets: a state by instance ID. One that it does not name is no target of it."""

DRAINING = "draining"
# Of a target that gets requests, or would if anything asked for them: "unused" is one of a target group without a load
# balancer, "unavailable" one whose health nobody checks.
_FIT = ("healthy", "unused", "unavailable")


def name(target_group: str) -> str:
    """A target group's name, from its ARN."""
    parts = target_group.split("/")
    return parts[1] if len(parts) > 1 else target_group


def of(instance: Instance, policy: Policy) -> Tuple[str, ...]:
    """The target groups in which the instance belongs while it serves, by their ARNs."""
    group = policy.groups.get(instance.group)
    return group.target_groups if group else ()


def fit(health: Health, instance: str) -> bool:
    """Whether the instance gets its share of the requests."""
    return health.get(instance) in _FIT


def registered(health: Health) -> List[str]:
    """Those that new requests may be sent to, healthy or not."""
    return [instance for instance, state in health.items() if state != DRAINING]


def being_removed(nodes: Iterable[Node]) -> FrozenSet[str]:
    """The instances whose nodes are drained or on their way out, as the nodes themselves say."""
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
    """What makes each target group name those that serve. Targets that are no instances of the cluster stay."""
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
        coming = tuple(target for target in serving if target not in there)
        # Until one gets requests that is to have them, some go on doing so, and without any nobody is deregistered.
        covered = any(fit(health, target) for target in serving)
        kept = set() if covered else _kept(others, members, health)
        going = tuple(target for target in others if target in there and target not in kept) if covered or kept else ()
        if coming or going:
            yield act.SyncTargets(target_group, coming, going)


def _kept(others: Sequence[str], members: NodeMatching, health: Health) -> Set[str]:
    """Which of those that are not to get requests go on getting them, rather than nobody.

    Best those whose turn to go has not come, and then the one whose came last, so that the others get on: one that is
    to be replaced is only replaced then.
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
    # A new leader knows of nobody until it hears from them, which is no reason to send all requests to one node.
    if not node.ready and not (node.unconfirmed and there):
        return False
    # One that comes in comes in once what answers there does.
    return there or not placement.arriving(node, (service for service in services if service.needs.host_ports))
