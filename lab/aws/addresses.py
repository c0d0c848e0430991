"""Chooses the private and public addresses of instances."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from moto.ec2.models import elastic_ip_addresses, elastic_network_interfaces
from moto.ec2.models.subnets import Subnet

from lab.aws import world
from lab.aws.errors import AwsError
from lab.aws.grafts import Grafts

# AWS keeps a subnet's first four addresses and its last.
_RESERVED_FIRST, _RESERVED_LAST = 4, 1


class Rotation:
    """Assigns addresses in turn, so that a released address stays unused as long as possible.

    Otherwise a peer that remembers an address's old owner would take the new owner for it.
    """

    def __init__(self, addresses: Iterable[ipaddress.IPv4Address]) -> None:
        self._addresses = [str(address) for address in addresses]
        self._next = 0

    def take(self, used: Iterable[str]) -> str | None:
        """The next unused address, or None if all are in use."""
        taken = set(used)
        for step in range(len(self._addresses)):
            position = (self._next + step) % len(self._addresses)
            if self._addresses[position] not in taken:
                self._next = position + 1
                return self._addresses[position]
        return None


def install(grafts: Grafts, public_pool: str) -> None:
    """Make moto choose addresses from the subnets and from the public pool."""
    pool = Rotation(ipaddress.IPv4Network(public_pool).hosts())

    def public_address() -> str:
        address = pool.take(_public_in_use())
        if address is None:
            raise AwsError("InsufficientFreeAddressesInSubnet", f"All public addresses of {public_pool} are in use.")
        return address

    grafts.attribute(elastic_network_interfaces, "random_public_ip", public_address)
    grafts.attribute(elastic_ip_addresses, "random_ip", public_address)
    grafts.attribute(Subnet, "get_available_subnet_ip", _private_address)


def _public_in_use() -> Iterator[str]:
    for interface in world.ec2().enis.values():
        if interface.public_ip:
            yield interface.public_ip
    for address in world.ec2().addresses:
        yield address.public_ip
    for balancer in world.elbv2().load_balancers.values():
        if hasattr(balancer, "lab_address"):
            yield balancer.lab_address


def _private_address(subnet: Any, instance: Any) -> str:
    if not hasattr(subnet, "rotation"):
        last = subnet.cidr.num_addresses - _RESERVED_LAST
        subnet.rotation = Rotation(subnet.cidr[number] for number in range(_RESERVED_FIRST, last))
    address: str | None = subnet.rotation.take(subnet._subnet_ips)
    if address is None:
        raise AwsError(
            "InsufficientFreeAddressesInSubnet", f"There are not enough free addresses in subnet '{subnet.id}'."
        )
    subnet._unused_ips.discard(address)
    subnet._subnet_ips[address] = instance
    return address
