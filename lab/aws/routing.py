"""Whether and with which address an instance reaches the internet, from its subnet's route table."""

from __future__ import annotations

from typing import Any

from lab.aws import world
from lab.aws.instances import LabInstance

ANYWHERE = "0.0.0.0/0"


def seen_as(instance: LabInstance) -> str | None:
    """An instance's public address: its own or its NAT gateway's. None without a route to the internet."""
    own: str | None = instance.public_ip
    if instance.subnet_id is None or world.ec2().get_vpc(instance.vpc_id).is_default:
        return own
    route = _default_route(instance.subnet_id)
    if _through_internet_gateway(route):
        return own
    if route is None or route.nat_gateway is None:
        return None
    gateway = route.nat_gateway
    if gateway.state != "available" or not _through_internet_gateway(_default_route(gateway.subnet_id)):
        return None
    address: str = gateway.address_set[0]["publicIp"]
    return address


def table_of(instance: LabInstance) -> str | None:
    """The ID of the route table of an instance's subnet, or of its VPC's main route table."""
    table = _table(instance.subnet_id) if instance.subnet_id else None
    return str(table.id) if table else None


def _through_internet_gateway(route: Any) -> bool:
    return route is not None and route.gateway is not None and bool(getattr(route.gateway, "vpc", None))


def _default_route(subnet_id: str) -> Any:
    """The default route in a subnet's route table, or in its VPC's main route table; None if there is none."""
    table = _table(subnet_id)
    return table and next((route for route in table.routes if route.destination_cidr_block == ANYWHERE), None)


def _table(subnet_id: str) -> Any:
    ec2 = world.ec2()
    vpc_id = ec2.get_subnet(subnet_id).vpc_id
    tables = [table for table in ec2.route_tables.values() if table.vpc_id == vpc_id]
    own = [table for table in tables if subnet_id in table._associations.values()]
    main = [table for table in tables if table.main_association_id]
    return next(iter(own or main), None)
