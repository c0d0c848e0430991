"""Which subnets there are, and which part of the VPC's address range each gets."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Mapping, Sequence

from .errors import ProvisionError

# AWS allows nothing smaller, and keeps five addresses of each subnet to itself.
SMALLEST_PREFIX = 28
RESERVED_ADDRESSES = 5
# Room for sixteen subnets, where the VPC is large enough for that.
SPARE_BITS = 4
# How the names of private subnets end, and those of their route tables.
PRIVATE = "-private"


@dataclass(frozen=True)
class Plot:
    """A subnet to be."""

    zone: str
    private: bool

    @property
    def key(self) -> str:
        """Its name without the cluster's."""
        return f"{self.zone}{PRIVATE}" if self.private else self.zone


def plots(zones: Sequence[str], *, private: bool) -> list[Plot]:
    """A public subnet in each zone and, if nodes are private, one for them beside it."""
    return [Plot(zone, kind) for kind in ((False, True) if private else (False,)) for zone in zones]


def prefix_of(vpc: IPv4Network) -> int:
    """The prefix length of the subnets of a VPC."""
    return max(vpc.prefixlen, min(vpc.prefixlen + SPARE_BITS, SMALLEST_PREFIX))


def usable(subnet: IPv4Network) -> int:
    """How many instances a subnet has addresses for."""
    return subnet.num_addresses - RESERVED_ADDRESSES


def carve(vpc: IPv4Network, keys: Sequence[str], taken: Mapping[str, IPv4Network]) -> dict[str, IPv4Network]:
    """The range of each plot by its key: what it has in ``taken``, or else the first that is free, in their order.

    What a plot has once got stays its own, whatever zones come and go.
    Raises ProvisionError when the VPC is too small for them.
    """
    free = (
        subnet
        for subnet in vpc.subnets(new_prefix=prefix_of(vpc))
        if not any(subnet.overlaps(other) for other in taken.values())
    )
    subnets = {}
    for key in keys:
        subnet = taken.get(key) or next(free, None)
        if subnet is None:
            raise ProvisionError(
                f"vpc_cidr {vpc} has room for {2 ** (prefix_of(vpc) - vpc.prefixlen)} subnets, which is too small for "
                f"the {len(keys)} that its zones need: give a larger range, such as /16."
            )
        subnets[key] = subnet
    return subnets


def carve_ipv6(vpc: IPv6Network, zones: Sequence[str], taken: Mapping[str, IPv6Network]) -> dict[str, IPv6Network]:
    """Each zone's part of the VPC's IPv6 range: what it has already, or the first free /64, the only size AWS takes."""
    free = (subnet for subnet in vpc.subnets(new_prefix=64) if subnet not in taken.values())
    return {zone: taken.get(zone) or next(free) for zone in zones}
