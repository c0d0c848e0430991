"""Replacing the instances of groups, and resizing groups: which come, which go, and in which order.

State is what AWS and the swarm say: an instance is behind if it is of another version of the launch template than new
instances get, and a group that has more than usual for a while says so by a tag. So a run that was stopped anywhere is
taken up by the next.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Sequence, Set, Tuple

from . import dns, interruptions, node_matching, placement, surge, target_groups
from .cluster import MANAGER, Cluster, Instance, Node, ScalingGroup
from .node_matching import NodeMatching
from .policy import Policy
from .removal_check import RequestRefused

MOST_MANAGERS = 7


@dataclass(frozen=True)
class Member:
    """An instance of a group that has not ended."""

    id: str
    group: str
    role: str
    zone: str
    outdated: bool
    # ID of its node; None while it has not joined.
    node: Optional[str] = None
    # What is to come before it serves; empty if it does.
    awaited: Tuple[str, ...] = ()
    # Whether it is on its way out, and so far that its group counts it no more.
    removing: bool = False
    terminating: bool = False
    # Whether it is a manager that is heard in Raft, and the one that leads.
    reachable: bool = False
    leader: bool = False
    tasks: int = 0

    @property
    def joined(self) -> bool:
        """Whether it is in the swarm."""
        return self.node is not None

    @property
    def serves(self) -> bool:
        """Whether it does its work and is to go on with it."""
        return not self.awaited and not self.removing


@dataclass(frozen=True)
class Round:
    """Some instances of a group that are replaced together."""

    group: str
    instances: int
    # Whether it is the first of the group, by which the new template is tried.
    canary: bool = False


@dataclass(frozen=True)
class Resize:
    """How a group gets to another size."""

    add: int = 0
    remove: Tuple[str, ...] = ()
    warnings: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Fleet:
    """The groups and their instances at one moment."""

    groups: Tuple[ScalingGroup, ...]
    members: Tuple[Member, ...]
    # Services that have fewer tasks than they declare: what is waited for, by name.
    short: Dict[str, str]
    # Groups and IDs of instances that are behind in their groups' warm pools, where no swarm knows them.
    warm: Tuple[Tuple[str, str], ...] = ()

    @classmethod
    def of(cls, observed: Cluster, policy: Policy, groups: Sequence[ScalingGroup], now: float) -> Fleet:
        """What is observed, seen from the groups. Instances and nodes must have been observed."""
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
        """The group of a name. Raises RequestRefused if there is none."""
        for group in self.groups:
            if group.group == name:
                return group
        known = ", ".join(sorted(group.group for group in self.groups))
        raise RequestRefused(f"There is no node group '{name}'; known are {known}.")

    def of_group(self, name: str) -> List[Member]:
        """The group's instances that it counts."""
        return [member for member in self.members if member.group == name and not member.terminating]

    # An upgrade

    def outdated_in_pool(self, name: str) -> List[str]:
        """Those in the group's warm pool that are behind. They go first, or a new instance would be one of them."""
        return [identifier for group, identifier in self.warm if group == name]

    def rounds(self, batch: int) -> List[Round]:
        """All that is to be replaced: workers by ``batch``, managers one at a time, the leader's group last.

        The first round of a group replaces one, unless an instance of the new template serves already.
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
        # What an earlier run added is used up first.
        size = group.surplus or (batch if tried else 1)
        if not left and group.original_size is not None:
            yield Round(group.group, group.surplus)
        while left > 0:
            yield Round(group.group, min(size, left), canary=not tried)
            left, size, tried = left - size, batch, True

    def to_remove(self, name: str, count: int) -> List[str]:
        """Who is to go if the group is to have that many less, best first; those that go already come before."""
        left = self.of_group(name)
        chosen: List[str] = []
        while left and len(chosen) < count:
            zones = Counter(member.zone for member in left)
            # The leader goes last, since each change of it is a moment in which nobody decides; then zones stay even.
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
        """Those whose end the group has begun, and which are not out yet."""
        return [member.id for member in self.members if member.group == name and member.terminating and member.joined]

    def managers(self, going: Sequence[str], here: Optional[str]) -> List[str]:
        """Managers from which something can be done while others go; that of the node ``here`` first, if it stays."""
        staying = [
            member for member in self.members if member.reachable and not member.removing and member.id not in going
        ]
        return [
            member.id
            for member in sorted(staying, key=lambda member: (member.node != here, member.outdated, member.id))
        ]

    # Waiting

    def awaited(self, name: str, ignored: Set[str], *, joined: bool = False) -> List[str]:
        """What keeps the group from having as many as it desires, all of which serve (or only ``joined``).

        ``ignored`` are services whose missing tasks nobody waits for.
        """
        group, mine = self.group(name), self.of_group(name)
        lacking = group.desired - len(mine)
        result = [f"{lacking} more instances of the group {name}"] if lacking > 0 else []
        if joined:
            return [*result, *(f"{new.id} to join the swarm" for new in mine if not new.joined and not new.removing)]
        for member in self.members:
            if member.group == name and not member.removing:
                result.extend(member.awaited)
            elif group.role == MANAGER and member.role == MANAGER and member.group != name:
                # Never two managers at a time, whatever their groups.
                result.extend([f"the removal of {member.id} to end"] if member.removing else member.awaited)
        result.extend(sentence for service, sentence in sorted(self.short.items()) if service not in ignored)
        return result

    # Another size

    def resize(self, name: str, desired: int) -> Resize:
        """How to get there. Raises RequestRefused, in one sentence, if it cannot or must not be."""
        group = self.group(name)
        if group.original_size is not None:
            raise RequestRefused(
                f"An upgrade of the group {name} is under way: finish it with playbooks/upgrade.yml, or call it off "
                "there with -e cancel=true, and then scale."
            )
        if not group.smallest <= desired <= group.largest:
            key = "min" if desired < group.smallest else "max"
            raise RequestRefused(
                f"The group {name} may have {group.smallest} to {group.largest} instances, and {desired} are asked "
                f"for: change its {key} in node_groups and run site.yml first."
            )
        warnings = self._check_managers(group, desired) if group.role == MANAGER else []
        if desired >= group.desired:
            return Resize(desired - group.desired, tuple(self.ending(name)), tuple(warnings))
        going = [*self.ending(name), *self.to_remove(name, group.desired - desired)]
        return Resize(0, tuple(going), tuple(warnings))

    def _check_managers(self, group: ScalingGroup, desired: int) -> List[str]:
        total = desired + sum(other.desired for other in self.groups if other.role == MANAGER and other is not group)
        if total == 0:
            raise RequestRefused("That would leave the cluster without a manager, and so without its state: keep one.")
        if total > MOST_MANAGERS:
            raise RequestRefused(
                f"That would be {total} managers, but more than {MOST_MANAGERS} make a swarm slower and not safer: add "
                "workers instead."
            )
        if total % 2 == 0:
            return [
                f"{total} managers survive the loss of {total - total // 2 - 1}, which {total - 1} would too: use "
                f"{total - 1} or {total + 1}."
            ]
        if total == 1:
            return ["A single manager has no quorum to lose but itself: use 3 for a cluster that must last."]
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
    # A record of somebody else's is reported elsewhere, and no reason to wait for ever.
    kept = not dns.foreign(observed.record, wanted, policy.owner) and dns.of(instance, wanted, observed.record)
    if kept and not dns.published(observed.record, instance, node, wanted, policy.owner):
        yield f"{wanted.record} to lead to {instance.id}"


def _short(observed: Cluster) -> Iterator[Tuple[str, str]]:
    for service in observed.services or ():
        if service.updating:
            yield service.name, f"the update of {service.name} to end"
        elif service.mode == surge.REPLICATED and service.running_or_done < surge.declared(service):
            yield (
                service.name,
                f"{surge.declared(service) - service.done} tasks of {service.name} to run ({service.running} do)",
            )
