"""The number of nodes that a group needs for the swarm's tasks, so that its Auto Scaling group follows them.

The metric is like that of ECS's capacity providers (`CapacityProviderReservation`): needed nodes in percent of the
desired capacity, which a target tracking policy holds at its target. Needed are the nodes with tasks of services that
are not global, and enough new nodes for the pending tasks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from . import placement
from .cluster import Cluster, Instance, Needs, Node, Service
from .node_labels import GROUP_LABEL, VOLUME_PREFIX, ZONE_LABEL
from .node_matching import INSTANCE_LABEL, NodeMatching, join
from .policy import Group, Policy, Scaling

# Rounded down to thousandths of a percent: a third that is rounded up would be a node too many.
_PRECISION = 1000


@dataclass(frozen=True)
class Capacity:
    """The number of nodes that a group needs, and its desired capacity."""

    needed: int
    desired: int

    @property
    def reservation(self) -> float:
        """The needed nodes in percent of the desired capacity."""
        return math.floor(100 * self.needed / self.desired * _PRECISION) / _PRECISION


def capacities(observed: Cluster, policy: Policy) -> Mapping[str, Capacity]:
    """The capacity of each group that scales, by its name, as far as known.

    Not of groups that are being upgraded, whose size the upgrade sets, nor of groups without a ready node, since the
    size of a new node is not known there.
    """
    if observed.nodes is None or observed.instances is None or observed.services is None:
        return {}
    members, services = join(observed), observed.services
    pools: Dict[str, _Pool] = {}
    for name, group in policy.groups.items():
        desired = observed.desired.get(name, 0)
        if group.scaling is None or desired < 1 or name in observed.upgrading:
            continue
        pool = _pool(name, group, group.scaling, members, services)
        if pool is not None:
            pools[name] = pool
    for service in _homeless(services):
        for _task in range(service.pending):
            if not _place(service, list(pools.values())):
                break
    return {name: Capacity(pool.needed, observed.desired[name]) for name, pool in pools.items()}


@dataclass
class _Bin:
    """A present or a new node, and the tasks that use it."""

    node: Node
    load: List[Tuple[Service, int]] = field(default_factory=list)
    # Whether it had only tasks of global services, and got a task here.
    used: bool = False

    @property
    def busy(self) -> bool:
        """Whether it has tasks of services that are not global."""
        return any(service.mode != placement.GLOBAL for service, _count in self.load)

    def takes(self, service: Service, count: int = 1) -> bool:
        """Whether it has room for ``count`` more tasks of the service."""
        needs, node = service.needs, self.node
        here = sum(number for other, number in self.load if other.id == service.id)
        taken = {port for other, number in self.load if number for port in other.needs.host_ports}
        return (
            placement.meets(needs, node)
            and not (needs.most_per_node and here + count > needs.most_per_node)
            and not (needs.host_ports and (count > 1 or taken & set(needs.host_ports)))
            and _fits(
                needs.memory * count, node.memory, sum(other.needs.memory * number for other, number in self.load)
            )
            and _fits(needs.cpus * count, node.cpus, sum(other.needs.cpus * number for other, number in self.load))
        )

    def put(self, service: Service, count: int = 1) -> None:
        self.load.append((service, count))


@dataclass
class _Pool:
    """The nodes of a group."""

    scaling: Scaling
    # Nodes that take tasks; the number of others that Auto Scaling counts; and a model of a new node.
    usable: List[_Bin]
    held: int
    model: _Bin
    opened: List[_Bin] = field(default_factory=list)

    @property
    def joined(self) -> int:
        return len(self.usable) + self.held

    @property
    def idle(self) -> List[_Bin]:
        return [node for node in self.usable if node.used or not node.busy]

    @property
    def needed(self) -> int:
        if self.opened:
            # Do not scale in while scaling out.
            return max(self.scaling.minimum, self.joined + len(self.opened))
        spare = sum(self._is_spare(node) for node in self.idle if not node.used)
        return max(self.scaling.minimum, self.joined - spare)

    def open(self, service: Service) -> bool:
        """Add a new node with a task of the service, if it has room for it and the group may grow."""
        new = _Bin(self.model.node, list(self.model.load))
        if self.joined + len(self.opened) >= self.scaling.maximum or not new.takes(service):
            return False
        new.put(service)
        self.opened.append(new)
        return True

    def _is_spare(self, idle: _Bin) -> bool:
        """Whether it is not needed: Auto Scaling may terminate any node, and its tasks must fit on this node."""
        return all(_moves(busy, idle) for busy in self.usable if busy.busy)


def _pool(
    name: str, group: Group, scaling: Scaling, members: NodeMatching, services: Sequence[Service]
) -> Optional[_Pool]:
    nodes = [
        members.node_of[instance.id]
        for instance in members.instances.values()
        if instance.group == name and _counted(instance) and instance.id in members.node_of
    ]
    usable = [node for node in nodes if node.ready and node.availability == "active"]
    if not usable:
        return None
    bins = [
        _Bin(node, [(service, service.left_on(node.id)) for service in services if service.left_on(node.id)])
        for node in usable
    ]
    return _Pool(scaling, bins, len(nodes) - len(usable), _model(name, group, usable, services))


def _counted(instance: Instance) -> bool:
    """Whether it counts towards the group's desired capacity."""
    return not instance.gone and (instance.lifecycle or "").startswith(("Pending", "InService"))


def _model(name: str, group: Group, nodes: Sequence[Node], services: Iterable[Service]) -> _Bin:
    """A model of a new node: like the smallest of the group's nodes, with the tasks of global services."""
    first = nodes[0]
    labels = {**group.labels, **{f"{VOLUME_PREFIX}{volume}": "true" for volume in group.volumes}, GROUP_LABEL: name}
    node = Node(
        id="",
        role=first.role,
        state="ready",
        labels=labels,
        engine_labels={key: value for key, value in first.engine_labels.items() if key != INSTANCE_LABEL},
        platform=first.platform,
        memory=min((present.memory for present in nodes if present.memory is not None), default=None),
        cpus=min((present.cpus for present in nodes if present.cpus is not None), default=None),
    )
    every = [
        service
        for service in services
        if service.mode == placement.GLOBAL and placement.meets(_anywhere(service.needs), node)
    ]
    return _Bin(node, [(service, 1) for service in every])


def _homeless(services: Iterable[Service]) -> Sequence[Service]:
    """Services with tasks that the scheduler cannot place, the largest reservations first."""
    found = [
        service for service in services if service.pending and service.why_pending and service.mode != placement.GLOBAL
    ]
    return sorted(found, key=lambda service: (-service.needs.cpus, -service.needs.memory, service.name))


def _place(service: Service, pools: Sequence[_Pool]) -> bool:
    """Find a node for a task: an idle node, a new node already needed, or another new node. False if there is none."""
    for idle in (node for pool in pools for node in pool.idle if node.takes(service)):
        idle.put(service)
        idle.used = True
        return True
    # Auto Scaling chooses the zone of a new node.
    wanted = replace(service, needs=_anywhere(service.needs))
    for new in (node for pool in pools for node in pool.opened if node.takes(wanted)):
        new.put(wanted)
        return True
    return any(pool.open(wanted) for pool in pools)


def _anywhere(needs: Needs) -> Needs:
    return replace(
        needs, constraints=tuple(constraint for constraint in needs.constraints if ZONE_LABEL not in constraint)
    )


def _moves(busy: _Bin, idle: _Bin) -> bool:
    """Whether all tasks of the busy node fit on the idle node."""
    there = _Bin(idle.node, list(idle.load))
    for service, count in busy.load:
        if service.mode == placement.GLOBAL:
            continue
        if not there.takes(service, count):
            return False
        there.put(service, count)
    return True


def _fits(wanted: int, whole: Optional[int], used: int) -> bool:
    return not wanted or whole is None or used + wanted <= whole
