"""Amazon-provided IPv6 ranges of VPCs, from the documentation range (RFC 3849)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from moto.ec2.models import vpcs
from moto.ec2.models.subnets import Subnet

from lab.aws import world
from lab.aws.errors import AwsError
from lab.aws.grafts import Grafts

DOCUMENTATION = "2001:db8::/32"
VPC_PREFIX = 56


def install(grafts: Grafts, pool: str = DOCUMENTATION) -> None:
    """Make moto give each VPC the next free part of the pool, and show the state of a subnet's range."""
    parts = ipaddress.IPv6Network(pool)

    def next_range() -> str:
        used = {
            association["cidr_block"]
            for vpc in world.ec2().vpcs.values()
            for association in vpc.get_cidr_block_association_set(True)
        }
        for part in parts.subnets(new_prefix=VPC_PREFIX):
            if str(part) not in used:
                return str(part)
        raise AwsError("InsufficientCidrBlocks", f"All of {pool} is in use.")

    grafts.attribute(vpcs, "random_ipv6_cidr", next_range)
    grafts.attribute(Subnet, "ipv6_cidr_block_association_set", property(_associations))
    grafts.around(Subnet, "get_filter_value", _get_filter_value)


def _get_filter_value(value_of: Callable[..., Any], self: Any, name: str, method: str | None = None) -> Any:
    """Find subnets by their IPv6 ranges and the ranges' states."""
    if name == "ipv6-cidr-block-association.ipv6-cidr-block":
        return [association["ipv6CidrBlock"] for association in _associations(self)]
    if name == "ipv6-cidr-block-association.state":
        return [association["ipv6CidrBlockState"]["state"] for association in _associations(self)]
    return value_of(self, name, method)


def _associations(subnet: Any) -> list[dict[str, Any]]:
    return [
        {
            "ipv6CidrBlock": association["ipv6CidrBlock"],
            "associationId": association["associationId"],
            # moto wraps it twice.
            "ipv6CidrBlockState": {"state": association["ipv6CidrBlockState"]["State"]},
        }
        for association in subnet.ipv6_cidr_block_associations.values()
        if association["ipv6CidrBlockState"]["State"] == "associated"
    ]
