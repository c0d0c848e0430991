"""VPC endpoints: the services that have them, what AWS refuses, and the time that changes take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import vpcs
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend
from moto.ec2.models.vpcs import AWS_ENDPOINT_SERVICES, VPCBackend, VPCEndPoint
from moto.ec2.responses.vpcs import VPCs
from moto.ec2.utils import convert_tag_spec, generate_route_id

from lab.aws.errors import AwsError
from lab.aws.grafts import Grafts
from lab.aws.lagging import Lagging

PENDING_SECONDS = 2.0
"""AWS takes a minute or two."""
GLOBAL_HOME = "us-east-1"
_GLOBAL = ("route53", "iam")
"""Services with a single endpoint service for all regions; other regions use it too."""
_MORE = ("ecr.api", "ecr.dkr")
"""Not in moto's list."""
INTERFACE, GATEWAY = "Interface", "Gateway"


def install(grafts: Grafts, seconds: float = 0) -> None:
    """Make the creation and deletion of interface endpoints take ``seconds``."""
    grafts.new(LabEndpoint, "seconds", seconds)
    grafts.attribute(vpcs, "VPCEndPoint", LabEndpoint)
    grafts.attribute(VPCs, "create_vpc_endpoint", _create)
    grafts.around(VPCs, "modify_vpc_endpoint", _modify)
    grafts.attribute(VPCs, "describe_vpc_endpoint_services", _describe_services)
    grafts.around(VPCBackend, "describe_vpc_endpoints", _describe)
    grafts.around(VPCBackend, "delete_vpc_endpoints", _delete)


class LabEndpoint(Lagging, VPCEndPoint):
    """A VPC endpoint; an Interface endpoint has a network interface in each of its subnets."""

    @property
    def lag(self) -> float:
        return self.seconds if self.vpc_endpoint_type == INTERFACE else 0.0

    def keep_interfaces(self) -> None:
        """Create and delete network interfaces: exactly one in each subnet, in the endpoint's security groups."""
        enis = self.ec2_backend.enis
        present = {
            enis[identifier].subnet.id: identifier for identifier in self.network_interface_ids if identifier in enis
        }
        for subnet in set(present) - set(self.subnet_ids or []):
            self.ec2_backend.delete_network_interface(present.pop(subnet))
        for subnet in self.subnet_ids or []:
            if subnet not in present:
                made = self.ec2_backend.create_network_interface(
                    subnet, [], description=f"VPC Endpoint Interface {self.id}"
                )
                made.interface_type, made.requester_managed, made.status = "vpc_endpoint", True, "in-use"
                present[subnet] = made.id
        self.network_interface_ids = [present[subnet] for subnet in self.subnet_ids or []]
        for identifier in self.network_interface_ids:
            groups = [self.ec2_backend.get_security_group_from_id(group) for group in self.security_group_ids]
            enis[identifier]._group_set = groups

    def keep_routes(self) -> None:
        """Create and delete routes of a Gateway endpoint: in its route tables and nowhere else."""
        prefix_list = self.destination_prefix_list_id
        for table in self.ec2_backend.route_tables.values():
            route = generate_route_id(table.id, prefix_list)
            wanted = table.id in self.route_table_ids
            if wanted and route not in table._routes:
                self.ec2_backend.create_route(
                    table.id, None, gateway_id=self.id, destination_prefix_list_id=prefix_list
                )
            elif not wanted and route in table._routes and table._routes[route].gateway is self:
                del table._routes[route]


def _offered(region: str, home: str) -> list[dict[str, Any]]:
    """The endpoint services of region ``home`` that are available in ``region``."""
    zones = [zone.name for zone in RegionsAndZonesBackend.zones[home]]
    kinds = [(f"com.amazonaws.{name}", INTERFACE) for name in _GLOBAL if home == GLOBAL_HOME]
    if region == home:
        names = [f"com.amazonaws.{home}.{service}" for service in (*AWS_ENDPOINT_SERVICES, *_MORE, "s3")]
        kinds += [*((name, INTERFACE) for name in names), (f"com.amazonaws.{home}.s3", GATEWAY)]
    return [
        {
            "ServiceName": name,
            "ServiceType": [{"ServiceType": kind}],
            "ServiceRegion": home,
            "AvailabilityZones": zones,
            "Owner": "amazon",
            "VpcEndpointPolicySupported": True,
            "AcceptanceRequired": False,
        }
        for name, kind in kinds
    ]


def _describe_services(self: Any) -> ActionResult:
    homes = self._get_param("ServiceRegions", []) or [self.region]
    found = [service for home in homes for service in _offered(self.region, home)]
    names = self._get_param("ServiceNames", [])
    unknown = [name for name in names if name not in {service["ServiceName"] for service in found}]
    if unknown:
        raise _no_service(unknown[0])
    filters = {
        filter_["Name"]: filter_.get("Values") or filter_.get("Value") for filter_ in self._get_param("Filters", [])
    }
    wanted = [*names, *(filters.pop("service-name", None) or [])]
    if filters:
        raise NotImplementedError(f"filters {sorted(filters)} of endpoint services")
    if wanted:
        found = [service for service in found if service["ServiceName"] in wanted]
    return ActionResult(
        {
            "ServiceNames": sorted({service["ServiceName"] for service in found}),
            "ServiceDetails": found,
            "NextToken": None,
        }
    )


def _create(self: Any) -> ActionResult:
    kind, name = self._get_param("VpcEndpointType") or GATEWAY, self._get_param("ServiceName")
    home = self._get_param("ServiceRegion") or self.region
    if (name, kind) not in {
        (service["ServiceName"], service["ServiceType"][0]["ServiceType"]) for service in _offered(self.region, home)
    }:
        raise _no_service(name)
    backend, vpc_id = self.ec2_backend, self._get_param("VpcId")
    private_dns = kind == INTERFACE and self._get_bool_param("PrivateDnsEnabled", if_none=True)
    vpc = backend.get_vpc(vpc_id)
    if private_dns:
        _check_dns(backend, vpc, name)
    subnets: list[str] = self._get_param("SubnetIds", [])
    _check_subnets(backend, subnets)
    endpoint: LabEndpoint = backend.create_vpc_endpoint(
        vpc_id=vpc_id,
        service_name=name,
        endpoint_type=kind,
        policy_document=self._get_param("PolicyDocument"),
        route_table_ids=self._get_param("RouteTableIds", []),
        client_token=self._get_param("ClientToken"),
        security_group_ids=self._get_param("SecurityGroupIds", []),
        tags=convert_tag_spec(self._get_param("TagSpecifications", [])).get("vpc-endpoint"),
        private_dns_enabled=private_dns,
    )
    if kind == INTERFACE:
        default = backend.get_default_security_group(vpc_id)
        endpoint.subnet_ids, endpoint.security_group_ids = subnets, endpoint.security_group_ids or [default.id]
        endpoint.keep_interfaces()
    return ActionResult({"VpcEndpoint": endpoint})


def _modify(modify: Callable[[Any], ActionResult], self: Any) -> ActionResult:
    (endpoint,) = self.ec2_backend.describe_vpc_endpoints([self._get_param("VpcEndpointId")])
    private_dns = self._get_bool_param("PrivateDnsEnabled")
    if private_dns and not endpoint.private_dns_enabled:
        _check_dns(self.ec2_backend, self.ec2_backend.get_vpc(endpoint.vpc_id), endpoint.service_name)
    _check_subnets(self.ec2_backend, [*(endpoint.subnet_ids or []), *self._get_param("AddSubnetIds", [])])
    answer = modify(self)
    if private_dns is not None:
        endpoint.private_dns_enabled = private_dns
    if endpoint.vpc_endpoint_type == INTERFACE:
        endpoint.keep_interfaces()
    elif endpoint.destination_prefix_list_id:
        endpoint.keep_routes()
    return answer


def _describe(
    describe: Callable[..., list[VPCEndPoint]], self: Any, *arguments: Any, **named: Any
) -> list[VPCEndPoint]:
    for identifier in [end_point.id for end_point in self.vpc_end_points.values() if end_point.state == "deleted"]:
        del self.vpc_end_points[identifier]
    return describe(self, *arguments, **named)


def _delete(delete: Callable[..., None], self: Any, vpce_ids: list[str] | None = None) -> None:
    """Delete gateway endpoints at once, so that they do not prevent the deletion of their VPC."""
    delete(self, vpce_ids)
    for identifier in vpce_ids or []:
        endpoint = self.vpc_end_points.get(identifier)
        if endpoint is not None and endpoint.vpc_endpoint_type != INTERFACE:
            del self.vpc_end_points[identifier]


def _check_dns(backend: Any, vpc: Any, service: str) -> None:
    """Raises AwsError if the VPC does not support private DNS, or another endpoint has the name."""
    if not (vpc.enable_dns_support and vpc.enable_dns_hostnames):
        raise AwsError(
            "InvalidParameter",
            "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true "
            f"for {vpc.id}",
        )
    others = [
        end_point
        for end_point in backend.vpc_end_points.values()
        if end_point.vpc_id == vpc.id and end_point.state != "deleted"
    ]
    if any(other.service_name == service and other.private_dns_enabled for other in others):
        raise AwsError(
            "InvalidParameter",
            f"private-dns-enabled cannot be set because there is already a conflicting DNS domain for {service} in "
            f"the VPC {vpc.id}",
        )


def _check_subnets(backend: Any, subnets: Sequence[str]) -> None:
    zones = [backend.get_subnet(subnet).availability_zone for subnet in dict.fromkeys(subnets)]
    if len(zones) != len(set(zones)):
        raise AwsError("DuplicateSubnetsInSameZone", "Found another VPC endpoint subnet in the availability zone")


def _no_service(name: str) -> AwsError:
    return AwsError("InvalidServiceName", f"The Vpc Endpoint Service '{name}' does not exist")
