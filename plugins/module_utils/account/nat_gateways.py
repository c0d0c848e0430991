"""The NAT gateways that private subnets need."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ..aws import tags

ONE, PER_ZONE = "one", "per_zone"
# Interface endpoints instead.
NONE = "none"


def name(cluster: str, zone: str) -> str:
    """The name of a zone's NAT gateway and of its elastic IP address."""
    return f"{cluster}-{zone}-nat"


def planned(cluster: Mapping[str, Any], found: Sequence[str]) -> dict[str, Any]:
    """The declared NAT gateways, as the filter `nat_gateways` documents; ``found`` are names."""
    kind, zones = cluster["private_nodes"]["nat"], cluster["zones"]
    names = {zone: name(cluster["cluster_name"], zone) for zone in zones}
    # An existing gateway stays, even if its zone is no longer the first.
    first = next((zone for zone in zones if names[zone] in found), zones[0])
    homes = {ONE: [first], PER_ZONE: zones, NONE: []}[kind]
    wanted = [{"name": names[zone], "zone": zone, "tags": {"Name": names[zone], tags.PRIVATE: zone}} for zone in homes]
    needed = {gateway["name"] for gateway in wanted}
    candidates = found if kind == NONE else names.values()
    return {
        "wanted": wanted,
        "by_zone": {zone: names[first if kind == ONE else zone] for zone in zones} if wanted else {},
        "unwanted": sorted(set(candidates) - needed),
    }
