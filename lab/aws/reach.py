"""Whether an instance reaches an AWS service: through a VPC endpoint or through the internet."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from lab.aws import routing, view, world
from lab.aws.endpoints import INTERFACE, LabEndpoint
from lab.aws.instances import LabInstance
from lab.state import REGION

_ENDPOINTS = {
    "cloudwatch": f"com.amazonaws.{REGION}.monitoring",
    "elbv2": f"com.amazonaws.{REGION}.elasticloadbalancing",
    "ecr": f"com.amazonaws.{REGION}.ecr.api",
    "route53": "com.amazonaws.route53",
    "iam": "com.amazonaws.iam",
}
"""Endpoint names that differ from botocore's service names."""
HTTPS = 443


def reaches(address: str, service: str | None) -> bool:
    """Whether the instance with this address reaches a service; other addresses reach every service.

    :param service: botocore's name, or the endpoint's name in EC2, such as ``ecr.dkr``; None is no particular service.
    """
    with world.LOCK:
        instance = view.by_address(address)
        if instance is None:
            return True
        endpoints = [
            end_point for end_point in world.ec2().vpc_end_points.values() if end_point.vpc_id == instance.vpc_id
        ]
        available = [endpoint for endpoint in endpoints if endpoint.state == "available"]
        table = routing.table_of(instance)
        if service == "s3" and any(table in endpoint.route_table_ids for endpoint in available):
            return True
        name = _ENDPOINTS.get(service or "", f"com.amazonaws.{REGION}.{service}")
        # The private DNS name points all instances of the VPC to the endpoint, even if its security group refuses them.
        named = [
            endpoint
            for endpoint in available
            if endpoint.vpc_endpoint_type == INTERFACE
            and endpoint.private_dns_enabled
            and endpoint.service_name == name
        ]
        if named:
            return any(_lets_in(endpoint, instance) for endpoint in named)
        return routing.seen_as(instance) is not None


def _lets_in(endpoint: LabEndpoint, instance: LabInstance) -> bool:
    """Whether a security group of the endpoint allows HTTPS from the instance."""
    if not endpoint.network_interface_ids:
        return False
    mine = {group.id for interface in instance.nics.values() for group in interface.group_set}
    address = ip_address(str(instance.private_ip))
    return any(
        rule.group_id in endpoint.security_group_ids
        and rule.protocol in ("tcp", "-1")
        and rule.from_port <= HTTPS <= rule.to_port
        and (
            mine & set(rule.source_group_ids)
            or any(address in ip_network(cidr) for cidr in rule.cidrs if ":" not in cidr)
        )
        for rule in view.firewall().rules
    )
