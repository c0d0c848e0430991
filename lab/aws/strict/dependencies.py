"""Refuses the deletion of resources in use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lab.aws import world
from lab.aws.errors import AwsError


def check_vpc(parameters: Mapping[str, Any]) -> None:
    """Raises AwsError while the VPC has gateways, endpoints or non-default groups; moto checks the rest."""
    vpc_id, ec2 = parameters["VpcId"], world.ec2()
    groups = [group for group in ec2.groups.get(vpc_id, {}).values() if group.name != "default"]
    gateways = [gateway for gateway in ec2.internet_gateways.values() if gateway.vpc and gateway.vpc.id == vpc_id]
    endpoints = [
        end_point
        for end_point in ec2.vpc_end_points.values()
        if end_point.vpc_id == vpc_id and end_point.state != "deleted"
    ]
    if groups or gateways or endpoints:
        raise _in_use(f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")


def check_subnet(parameters: Mapping[str, Any]) -> None:
    """Raises AwsError while an interface is in the subnet."""
    subnet_id = parameters["SubnetId"]
    if any(eni.subnet.id == subnet_id for eni in world.ec2().enis.values()):
        raise _in_use(f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")


def check_security_group(parameters: Mapping[str, Any]) -> None:
    """Raises AwsError while an interface is in the group, or another group's rule names it."""
    group_id = parameters.get("GroupId")
    if group_id is None:
        return
    in_use = any(group_id in {group.id for group in eni.group_set} for eni in world.ec2().enis.values())
    if in_use or any(group_id in sources for sources in _sources_of_others(group_id)):
        raise _in_use(f"resource {group_id} has a dependent object")


def check_gateway_detached(parameters: Mapping[str, Any]) -> None:
    """Raises AwsError while an instance in the VPC has a public address."""
    vpc_id = parameters["VpcId"]
    if any(eni.public_ip and eni.subnet.vpc_id == vpc_id for eni in world.ec2().enis.values()):
        raise _in_use(f"Network {vpc_id} has some mapped public address(es). Please unmap those first.")


def check_address(parameters: Mapping[str, Any]) -> None:
    """Raises AwsError while the address is associated."""
    allocation = parameters.get("AllocationId")
    address = next((candidate for candidate in world.ec2().addresses if candidate.allocation_id == allocation), None)
    if address is not None and address.association_id:
        raise AwsError("InvalidIPAddress.InUse", f"The address {address.public_ip} is in use.")


def _sources_of_others(group_id: str) -> Iterator[set[str]]:
    for groups in world.ec2().groups.values():
        for group in groups.values():
            if group.id != group_id:
                yield {rule.source_group.get("GroupId", "") for rule in (*group.ingress_rules, *group.egress_rules)}


def _in_use(message: str) -> AwsError:
    return AwsError("DependencyViolation", message)
