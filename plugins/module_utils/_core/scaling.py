"""How many nodes a group needs for the swarm's tasks, by which its Auto Scaling group follows them.

As ECS measures its capacity providers (`CapacityProviderReservation`): nodes that are needed in percent of those that
the group is to have, which a target tracking policy holds at its target. Needed is what has tasks of other than global
services, and so many new nodes as take what the scheduler has no node for.
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

# Thousandths of a percent are cut off: a third that is rounded up would be one node more.
_PRECISION = 1000


@dataclass(frozen=True)
class Capacity:
    """What a group needs, and what it is to have now."""

    needed: int
    desired: int

    @property
    def reservation(self) -> float:
        """The one in percent of the other."""
        return math.floor(100 * self.needed / self.desired * _PRECISION) / _PRECISION


def capacities(observed: Cluster, policy: Policy) -> Mapping[str, Capacity]:
    """By its name each group that scales, as far as enough is known of it.

    Not those that are being upgraded, whose size is the upgrade's, nor those without any node that is ready, of which
    nobody can tell what a new one would have.
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
    """A node, there or to come, and the tasks that take up what it has."""

    node: Node
    load: List[Tuple[Service, int]] = field(default_factory=list)
    # Whether it was found without a task but those of global services, and got one here.
    used: bool = False

    @property
    def busy(self) -> bool:
        """Whether it has tasks of other than global services."""
        return any(service.mode != placement.GLOBAL for service, _count in self.load)

    def takes(self, service: Service, count: int = 1) -> bool:
        """Whether it has room for so many more of the service's tasks."""
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
    """A group's nodes."""

    scaling: Scaling
    # Nodes that take tasks, nodes that do not and yet are counted by Auto Scaling, and what a new one would be.
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
            # What is there and did not do is kept meanwhile: one thing at a time.
            return max(self.scaling.minimum, self.joined + len(self.opened))
        spare = sum(self._is_spare(node) for node in self.idle if not node.used)
        return max(self.scaling.minimum, self.joined - spare)

    def open(self, service: Service) -> bool:
        """Have one more new node with a task of the service, if it would take it and the group may have it."""
        new = _Bin(self.model.node, list(self.model.load))
        if self.joined + len(self.opened) >= self.scaling.maximum or not new.takes(service):
            return False
        new.put(service)
        self.opened.append(new)
        return True

    def _is_spare(self, idle: _Bin) -> bool:
        """Whether the group does as well without it. Auto Scaling may take any, and its tasks go there."""
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
    """Whether Auto Scaling counts it among those that the group is to have."""
    return not instance.gone and (instance.lifecycle or "").startswith(("Pending", "InService"))


def _model(name: str, group: Group, nodes: Sequence[Node], services: Iterable[Service]) -> _Bin:
    """What a new node of the group would be: like the smallest of its nodes, with its tasks of global services."""
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
    """Those of which the scheduler says that no node suits some of their tasks, those that ask most first."""
    found = [
        service for service in services if service.pending and service.why_pending and service.mode != placement.GLOBAL
    ]
    return sorted(found, key=lambda service: (-service.needs.cpus, -service.needs.memory, service.name))


def _place(service: Service, pools: Sequence[_Pool]) -> bool:
    """Find a task a node: one that has just come, one that is to be asked for, or one more. Tell if there is any."""
    for idle in (node for pool in pools for node in pool.idle if node.takes(service)):
        idle.put(service)
        idle.used = True
        return True
    # Which zone a new node will be in is Auto Scaling's choice.
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
    """Whether all tasks of the one could be on the other instead."""
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
