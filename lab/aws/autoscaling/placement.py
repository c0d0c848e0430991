"""Pure decisions: the subnets to try for a new member, and which member is terminated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from lab.aws.autoscaling.group import Member


def subnets_for_next(subnets: Sequence[str], zone_of: Mapping[str, str], members: Sequence[Member]) -> list[str]:
    """The subnets to try, those in the zones with the fewest members first."""
    present = Counter(member.instance.placement.zone for member in members if member.counts)
    return sorted(subnets, key=lambda subnet: (present[zone_of[subnet]], subnets.index(subnet)))


def victim(members: Sequence[Member], policies: Sequence[str]) -> Member:
    """The member to scale in: from the zone with the most members, then by the termination policies, as in AWS."""
    counting = [member for member in members if member.counts]
    present = Counter(member.instance.placement.zone for member in counting)
    candidates = [member for member in counting if present[member.instance.placement.zone] == max(present.values())]
    for policy in policies:
        candidates = _narrowed(candidates, policy)
    return candidates[0]


def _narrowed(candidates: list[Member], policy: str) -> list[Member]:
    def version(member: Member) -> int:
        return int(member.template["Version"]) if member.template else 0

    if policy == "Default":
        return _narrowed(_narrowed(candidates, "OldestLaunchTemplate"), "OldestInstance")
    if policy == "OldestInstance":
        return [min(candidates, key=lambda member: member.instance.launch_time)]
    if policy == "OldestLaunchTemplate":
        oldest = min(version(member) for member in candidates)
        return [member for member in candidates if version(member) == oldest]
    return candidates
