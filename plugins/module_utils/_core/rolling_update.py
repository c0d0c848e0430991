"""Replacing the instances of groups, and resizing groups: which instances are added and removed, in which order.

The state is in AWS and the swarm: an instance is outdated if its launch template version is not that of new instances,
and a tag of the group keeps its original size. So the next run continues a run that was stopped anywhere.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Sequence, Set, Tuple

from . import dns, interruptions, node_matching, placement, surge, target_groups
from .cluster import MANAGER, Cluster, Instance, Node, ScalingGroup
from .counting import counted
from .node_matching import NodeMatching
from .policy import Policy
from .removal_check import RequestRefused

MOST_MANAGERS = 7


@dataclass(frozen=True)
class Member:
    """A living instance of a group."""

    id: str
    group: str
    role: str
    zone: str
    outdated: bool
    # ID of its node; None while it has not joined.
    node: Optional[str] = None
    # The waits before it serves; empty if it serves.
    awaited: Tuple[str, ...] = ()
    # Whether it is being removed, and whether its group does not count it any more.
    removing: bool = False
    terminating: bool = False
    # Whether it is a reachable manager, and whether it is the leader.
    reachable: bool = False
    leader: bool = False
    tasks: int = 0

    @property
    def joined(self) -> bool:
        """Whether it is in the swarm."""
        return self.node is not None

    @property
    def serves(self) -> bool:
        """Whether it works and is not being removed."""
        return not self.awaited and not self.removing


@dataclass(frozen=True)
class Round:
    """Instances of a group that are replaced together."""

    group: str
    instances: int
    # Whether it is the group's first round, which tries the new template.
    canary: bool = False


@dataclass(frozen=True)
class Resize:
    """The steps to a group's new size: the number of instances to add, and the instances to remove."""

    add: int = 0
    remove: Tuple[str, ...] = ()
    warnings: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Fleet:
    """The groups and their instances at a time."""

    groups: Tuple[ScalingGroup, ...]
    members: Tuple[Member, ...]
    # Services with fewer tasks than declared, and what they wait for, by name.
    short: Dict[str, str]
    # Groups and IDs of outdated instances in the groups' warm pools, which are in no swarm.
    warm: Tuple[Tuple[str, str], ...] = ()

    @classmethod
    def of(cls, observed: Cluster, policy: Policy, groups: Sequence[ScalingGroup], now: float) -> Fleet:
        """From an observation, in which instances and nodes must be known."""
        joined = node_matching.join(observed)
        removing = interruptions.of(observed, joined, policy, now)
        by_name = {group.name: group for group in groups}
        living = [
            (instance, by_name[instance.scaling_group])
            for _dummy, instance in sorted(joined.instances.items())
            if instance.scaling_group in by_name and not instance.gone
        ]
        members = tuple(
            _member(instance, group, joined, observed, policy, instance.id in removing)
            for instance, group in living
            if not instance.warmed
        )
        warm = tuple(
            (group.group, instance.id)
            for instance, group in living
            if instance.warmed and not instance.terminating and instance.template != group.template
        )
        return cls(tuple(groups), members, dict(_short(observed)), warm)

    def group(self, name: str) -> ScalingGroup:
        """The group with that name. Raises RequestRefused if there is none."""
        for group in self.groups:
            if group.group == name:
                return group
        known = ", ".join(sorted(group.group for group in self.groups))
        raise RequestRefused(f"There is no node group '{name}': the groups are {known}.")

    def of_group(self, name: str) -> List[Member]:
        """The group's instances, without those that terminate."""
        return [member for member in self.members if member.group == name and not member.terminating]

    # An upgrade

    def outdated_in_pool(self, name: str) -> List[str]:
        """Outdated instances in the group's warm pool. They go first, or they would be used as new instances."""
        return [identifier for group, identifier in self.warm if group == name]

    def rounds(self, batch: int) -> List[Round]:
        """The rounds of the upgrade: workers in groups of ``batch``, managers one at a time, the leader's group last.

        The first round of a group replaces a single instance, unless an instance of the new template serves already.
        """
        result: List[Round] = []
        for group in sorted(self.groups, key=self._order):
            result.extend(self._rounds_of(group, 1 if group.role == MANAGER else batch))
        return result

    def _order(self, group: ScalingGroup) -> Tuple[bool, bool, str]:
        leads = any(member.leader for member in self.of_group(group.group))
        return group.role == MANAGER, leads, group.group

    def _rounds_of(self, group: ScalingGroup, batch: int) -> Iterator[Round]:
        mine = self.of_group(group.group)
        left = sum(member.outdated for member in mine)
        tried = any(member.serves and not member.outdated for member in mine)
        # Use the instances that an earlier run added first.
        size = group.surplus or (batch if tried else 1)
        if not left and group.original_size is not None:
            yield Round(group.group, group.surplus)
        while left > 0:
            yield Round(group.group, min(size, left), canary=not tried)
            left, size, tried = left - size, batch, True

    def to_remove(self, name: str, count: int) -> List[str]:
        """The instances to remove if the group gets smaller by ``count``, best first; those in removal come before."""
        left = self.of_group(name)
        chosen: List[str] = []
        while left and len(chosen) < count:
            zones = Counter(member.zone for member in left)
            # The leader comes last, since an election interrupts the managers; then keep the zones even.
            best = min(
                left,
                key=lambda member: (
                    not member.removing,
                    not member.outdated,
                    member.serves,
                    member.leader,
                    -zones[member.zone],
                    member.tasks,
                    member.id,
                ),
            )
            left.remove(best)
            chosen.append(best.id)
        return chosen

    def ending(self, name: str) -> List[str]:
        """Instances that terminate and whose nodes are not deleted yet."""
        return [member.id for member in self.members if member.group == name and member.terminating and member.joined]

    def managers(self, going: Sequence[str], here: Optional[str]) -> List[str]:
        """Managers that can run commands while ``going`` are removed; that of the node ``here`` first, if it stays."""
        staying = [
            member for member in self.members if member.reachable and not member.removing and member.id not in going
        ]
        return [
            member.id
            for member in sorted(staying, key=lambda member: (member.node != here, member.outdated, member.id))
        ]

    # Waiting

    def awaited(self, name: str, ignored: Set[str], *, joined: bool = False) -> List[str]:
        """What the group waits for until it has its desired capacity and all instances serve (or only ``joined``).

        ``ignored`` are services whose missing tasks do not count.
        """
        group, mine = self.group(name), self.of_group(name)
        lacking = group.desired - len(mine)
        result = [f"{counted(lacking, 'more instance')} of the group {name}"] if lacking > 0 else []
        if joined:
            return [*result, *(f"{new.id} to join the swarm" for new in mine if not new.joined and not new.removing)]
        for member in self.members:
            if member.group == name and not member.removing:
                result.extend(member.awaited)
            elif group.role == MANAGER and member.role == MANAGER and member.group != name:
                # Never two managers at a time, even of different groups.
                result.extend([f"the removal of {member.id} to end"] if member.removing else member.awaited)
        result.extend(sentence for service, sentence in sorted(self.short.items()) if service not in ignored)
        return result

    # Another size

    def resize(self, name: str, desired: int) -> Resize:
        """The steps to the size ``desired``. Raises RequestRefused if it is impossible or dangerous."""
        group = self.group(name)
        if group.original_size is not None:
            raise RequestRefused(
                f"An upgrade of the group {name} is under way: finish it with playbooks/upgrade.yml, or cancel it "
                "there with -e cancel=true, and then scale."
            )
        if not group.smallest <= desired <= group.largest:
            key = "min" if desired < group.smallest else "max"
            raise RequestRefused(
                f"The group {name} may have {group.smallest} to {counted(group.largest, 'instance')}, not "
                f"{desired}: change its {key} in node_groups and run site.yml first."
            )
        warnings = self._check_managers(group, desired) if group.role == MANAGER else []
        if desired >= group.desired:
            return Resize(desired - group.desired, tuple(self.ending(name)), tuple(warnings))
        remove = [*self.ending(name), *self.to_remove(name, group.desired - desired)]
        return Resize(0, tuple(remove), tuple(warnings))

    def _check_managers(self, group: ScalingGroup, desired: int) -> List[str]:
        total = desired + sum(other.desired for other in self.groups if other.role == MANAGER and other is not group)
        if total == 0:
            raise RequestRefused("That would leave the cluster without a manager and without state: keep a manager.")
        if total > MOST_MANAGERS:
            raise RequestRefused(
                f"That would be {total} managers, but more than {MOST_MANAGERS} make a swarm slower, not safer: add "
                "workers instead."
            )
        if total % 2 == 0:
            return [
                f"{total} managers survive the loss of {total - total // 2 - 1}, like "
                f"{counted(total - 1, 'manager')}: use {total - 1} or {total + 1}."
            ]
        if total == 1:
            return ["A single manager has no redundancy: use 3 managers for a cluster that should survive a failure."]
        return []


def _member(
    instance: Instance, group: ScalingGroup, joined: NodeMatching, observed: Cluster, policy: Policy, removing: bool
) -> Member:
    node = joined.node_of.get(instance.id)
    return Member(
        id=instance.id,
        group=group.group,
        role=group.role,
        zone=instance.zone,
        outdated=instance.template != group.template,
        awaited=tuple(_awaited(instance, group, node, observed, policy)),
        removing=removing or instance.terminating,
        terminating=instance.terminating,
        node=node.id if node else None,
        reachable=bool(node and node.voter and node.ready),
        leader=bool(node and node.leader),
        tasks=node.tasks if node else 0,
    )


def _awaited(
    instance: Instance, group: ScalingGroup, node: Optional[Node], observed: Cluster, policy: Policy
) -> Iterator[str]:
    if node is None:
        yield f"{instance.id} to join the swarm"
        return
    if node.role != group.role or not node.ready:
        yield f"the node of {instance.id} to be ready"
    if node.availability != "active":
        yield f"the node of {instance.id} to take tasks"
    arriving = placement.arriving(node, observed.services or ())
    if arriving:
        yield f"{' and '.join(arriving)} to run on {instance.id}"
    if not instance.in_service:
        yield f"{instance.id} to be in service"
    for target_group in target_groups.of(instance, policy):
        if not target_groups.fit(observed.targets.get(target_group) or {}, instance.id):
            yield f"the target group {target_groups.name(target_group)} to send requests to {instance.id}"
    own, wanted = policy.groups.get(instance.group), policy.dns
    if own is None or not own.dns or wanted is None or observed.record is None or not instance.in_service:
        return
    # A foreign record is reported elsewhere, and is no reason to wait for ever.
    kept = not dns.foreign(observed.record, wanted, policy.owner) and dns.of(instance, wanted, observed.record)
    if kept and not dns.published(observed.record, instance, node, wanted, policy.owner):
        yield f"{wanted.record} to point to {instance.id}"


def _short(observed: Cluster) -> Iterator[Tuple[str, str]]:
    for service in observed.services or ():
        if service.updating:
            yield service.name, f"the update of {service.name} to end"
        elif service.mode == surge.REPLICATED and service.running_or_done < surge.declared(service):
            lacking = counted(surge.declared(service) - service.done, "task")
            yield service.name, f"{lacking} of {service.name} to run ({service.running} running)"
