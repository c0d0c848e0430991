"""Where a new member goes, and which member leaves: pure decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lab.aws.autoscaling.group import Member


def subnet_for_next(subnets: Sequence[str], zone_of: Mapping[str, str], members: Sequence[Member]) -> str:
    """The subnet of the zone that has the fewest members; the first of several."""
    present = Counter(member.instance.placement.zone for member in members if member.counts)
    return min(subnets, key=lambda subnet: (present[zone_of[subnet]], subnets.index(subnet)))


def victim(members: Sequence[Member], policies: Sequence[str]) -> Member | None:
    """The member to scale in: of the zone with the most, then by the termination policies; None if all are protected.

    Zones come before policies, as in AWS, unless nothing there may be taken.
    """
    present = Counter(member.instance.placement.zone for member in members if member.counts)
    free = [member for member in members if member.counts and not member.protected]
    if not free:
        return None
    most = max(present[member.instance.placement.zone] for member in free)
    candidates = [member for member in free if present[member.instance.placement.zone] == most]
    for policy in policies:
        candidates = _narrowed(candidates, policy)
    return candidates[0]


def _narrowed(candidates: list[Member], policy: str) -> list[Member]:
    def age(member: Member) -> Any:
        return member.instance.launch_time

    def version(member: Member) -> int:
        return int(member.template["Version"]) if member.template else 0

    if policy == "Default":
        return _narrowed(_narrowed(candidates, "OldestLaunchTemplate"), "OldestInstance")
    if policy == "OldestInstance":
        return [min(candidates, key=age)]
    if policy == "NewestInstance":
        return [max(candidates, key=age)]
    if policy == "OldestLaunchTemplate":
        oldest = min(version(member) for member in candidates)
        return [member for member in candidates if version(member) == oldest]
    return candidates
