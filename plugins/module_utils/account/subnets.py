"""The subnets of a cluster and their CIDR blocks."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Iterator, Mapping, Sequence

from .._core.counting import counted
from ..aws import tags
from ..aws.provision_error import ProvisionError

# The range of the cluster's own VPC.
DEFAULT_RANGE = "10.20.0.0/16"
# AWS's minimum size, and the addresses that it reserves in each subnet.
SMALLEST_PREFIX = 28
RESERVED_ADDRESSES = 5
# Space for sixteen subnets, if the VPC is large enough.
SPARE_BITS = 4
# Suffix of the names of private subnets and their route tables.
PRIVATE = "-private"


def cidr_problems(name: str, text: str, *, ipv6: bool = False) -> Iterator[str]:
    """A sentence if ``text``, a value of the key ``name``, is not a CIDR block."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        yield f"{name} has '{text}', which is not a CIDR block such as 10.20.0.0/16."
        return
    if "/" not in text or str(network) != text:
        yield f"{name} has '{text}', which is not the start of a CIDR block; did you mean '{network}'?"
    elif network.version == 6 and not ipv6:
        yield f"{name} has '{text}', but only IPv4 blocks are supported."


@dataclass(frozen=True)
class Plot:
    """A declared subnet."""

    zone: str
    private: bool

    @property
    def key(self) -> str:
        """Its name without the cluster's name."""
        return f"{self.zone}{PRIVATE}" if self.private else self.zone


def plots(zones: Sequence[str], *, private: bool) -> list[Plot]:
    """A public subnet in each zone and, if nodes are private, a private subnet too."""
    return [Plot(zone, kind) for kind in ((False, True) if private else (False,)) for zone in zones]


def prefix_of(vpc: IPv4Network) -> int:
    """The prefix length of a VPC's subnets."""
    return max(vpc.prefixlen, min(vpc.prefixlen + SPARE_BITS, SMALLEST_PREFIX))


def usable(subnet: IPv4Network) -> int:
    """The number of instances that a subnet has addresses for."""
    return subnet.num_addresses - RESERVED_ADDRESSES


def carve(vpc: IPv4Network, keys: Sequence[str], taken: Mapping[str, IPv4Network]) -> dict[str, IPv4Network]:
    """The CIDR block of each plot by its key: its block in ``taken``, or the next free block.

    A plot keeps its block when zones are added or removed. Raises ProvisionError if the VPC is too small.
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
                f"vpc_cidr {vpc} is too small: it has space for "
                f"{counted(2 ** (prefix_of(vpc) - vpc.prefixlen), 'subnet')}, but "
                f"the zones need {len(keys)}: use a larger range, such as /16."
            )
        subnets[key] = subnet
    return subnets


def carve_ipv6(vpc: IPv6Network, zones: Sequence[str], taken: Mapping[str, IPv6Network]) -> dict[str, IPv6Network]:
    """Each zone's part of the VPC's IPv6 block: its present block, or the next free /64, AWS's only size."""
    free = (subnet for subnet in vpc.subnets(new_prefix=64) if subnet not in taken.values())
    return {zone: taken.get(zone) or next(free) for zone in zones}


def planned(cluster: Mapping[str, Any], found: Sequence[Mapping[str, Any]], ipv6_range: str) -> list[dict[str, Any]]:
    """The subnets of a configuration, as the filter `subnets` documents them.

    Raises ProvisionError if the VPC is too small.
    """
    private = cluster["private_nodes"] is not None
    wanted = plots(cluster["zones"], private=private)
    present = {Plot(subnet["availability_zone"], tags.PRIVATE in subnet["tags"]).key: subnet for subnet in found}
    taken = {key: IPv4Network(subnet["cidr_block"]) for key, subnet in present.items()}
    parts = carve(IPv4Network(cluster["vpc_cidr"]), [plot.key for plot in wanted], taken)
    has = {key: _ipv6_cidr(subnet) for key, subnet in present.items()}
    ipv6: dict[str, Any] = dict(has)
    if ipv6_range and cluster["dns"] is not None and cluster["dns"]["ipv6"]:
        public = {key: IPv6Network(cidr) for key, cidr in has.items() if cidr}
        ipv6 = {**has, **carve_ipv6(IPv6Network(ipv6_range), cluster["zones"], public)}
    result = []
    for plot in wanted:
        name = f"{cluster['cluster_name']}-{plot.key}"
        own_tags = {"Name": name, **({tags.PRIVATE: plot.zone} if plot.private else {})}
        result.append(
            {
                "name": name,
                "zone": plot.zone,
                "private": plot.private,
                "cidr": str(parts[plot.key]),
                "ipv6_cidr": str(ipv6.get(plot.key) or ""),
                "tags": own_tags,
            }
        )
    return result


def _ipv6_cidr(subnet: Mapping[str, Any]) -> str:
    """A subnet's IPv6 block; empty if it has none."""
    states = ("associating", "associated")
    return next(
        (
            block["ipv6_cidr_block"]
            for block in subnet["ipv6_cidr_block_association_set"]
            if block["ipv6_cidr_block_state"]["state"] in states
        ),
        "",
    )
