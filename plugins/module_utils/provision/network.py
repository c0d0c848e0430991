"""The VPC, its subnets, its way to the internet and its way to S3."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Mapping, Sequence

from . import subnets, tags
from .changes import Changes
from .errors import ProvisionError
from .shell import Aws, awaited, not_found, once_visible

ANYWHERE = "0.0.0.0/0"
ANYWHERE_IPV6 = "::/0"
_THERE = ("associating", "associated")
# In a plan, for what only AWS can choose.
TO_COME = "a range that AWS chooses"


@dataclass(frozen=True)
class Network:
    """What to build."""

    cluster: str
    cidr: str
    zones: Sequence[str]
    tags: Mapping[str, str]
    # Whether it has an IPv6 range beside that. One that it has once stays, for instances may have addresses of it.
    ipv6: bool = False

    @property
    def destinations(self) -> Sequence[str]:
        """What is reached through the internet gateway."""
        return (ANYWHERE, ANYWHERE_IPV6) if self.ipv6 else (ANYWHERE,)


class Builder:
    """Brings a cluster's network to what it should be. What stands is found by its tags."""

    def __init__(self, aws: Aws, wanted: Network, changes: Changes) -> None:
        self._aws, self._ec2, self._wanted, self._changes = aws, aws.ec2, wanted, changes

    def build(self) -> dict[str, Any]:
        """Build what is missing. IDs of what does not exist yet are None in check mode."""
        vpc = self._vpc()
        by_zone = self._subnets(vpc, self._ipv6_range(vpc))
        gateway = self._gateway(vpc)
        table = self._route_table(vpc, gateway, by_zone)
        endpoint = self._endpoint(vpc, table)
        return {
            "vpc_id": vpc,
            "subnets": by_zone,
            "internet_gateway_id": gateway,
            "route_table_id": table,
            "s3_endpoint_id": endpoint,
        }

    def _tags(self, name: str) -> dict[str, str]:
        return tags.of_cluster(self._wanted.cluster, self._wanted.tags, Name=name)

    def _only(self, kind: str, found: Sequence[Mapping[str, Any]], key: str) -> Mapping[str, Any] | None:
        if len(found) > 1:
            names = ", ".join(sorted(one[key] for one in found))
            raise ProvisionError(
                f"The cluster '{self._wanted.cluster}' has more than one {kind} ({names}): "
                f"remove the tag {tags.CLUSTER} from those that are not in use."
            )
        return found[0] if found else None

    def _keep_tags(self, resource: str, identifier: str, present: Sequence[Mapping[str, str]], name: str) -> None:
        before = tags.from_list(present)
        missing = tags.missing(before, self._tags(name))
        if missing:
            self._changes.apply(
                f"{resource} {identifier}",
                {"tags": before},
                {"tags": {**before, **missing}},
                lambda: self._ec2.create_tags(Resources=[identifier], Tags=tags.to_list(missing)),
            )

    def _vpc(self) -> str | None:
        name, cidr = self._wanted.cluster, self._wanted.cidr
        found = self._ec2.describe_vpcs(Filters=tags.of_cluster_filter(name))["Vpcs"]
        vpc = self._only("VPC", found, "VpcId")
        if vpc is None:
            identifier = self._changes.apply(
                f"VPC {name}",
                None,
                {
                    "cidr": cidr,
                    **({"ipv6_cidr": TO_COME} if self._wanted.ipv6 else {}),
                    "dns_support": True,
                    "dns_hostnames": True,
                    "tags": self._tags(name),
                },
                lambda: self._create_vpc(name, cidr),
            )
            if identifier is None:
                return None
        else:
            identifier = vpc["VpcId"]
            if vpc["CidrBlock"] != cidr:
                raise ProvisionError(
                    f"vpc_cidr is {cidr}, but the cluster's VPC {identifier} has {vpc['CidrBlock']}, "
                    "which cannot be changed: put that back, or build another cluster."
                )
            self._keep_tags("VPC", identifier, vpc.get("Tags", []), name)
        self._dns_attributes(identifier, fresh=vpc is None)
        return identifier

    def _create_vpc(self, name: str, cidr: str) -> str:
        specification = tags.specification("vpc", self._tags(name))
        return self._ec2.create_vpc(
            CidrBlock=cidr, AmazonProvidedIpv6CidrBlock=self._wanted.ipv6, TagSpecifications=specification
        )["Vpc"]["VpcId"]

    def _ipv6_range(self, vpc: str | None) -> IPv6Network | None:
        """The VPC's IPv6 range, which AWS chooses; None if none is wanted, or it is to come."""
        if vpc is None or not self._wanted.ipv6:
            return None
        if not self._ipv6_ranges(vpc, *_THERE):
            associated = self._changes.apply(
                f"VPC {vpc}",
                {"ipv6_cidr": None},
                {"ipv6_cidr": TO_COME},
                lambda: self._ec2.associate_vpc_cidr_block(VpcId=vpc, AmazonProvidedIpv6CidrBlock=True),
            )
            if associated is None:
                return None
        return awaited(
            lambda: next(iter(self._ipv6_ranges(vpc, "associated")), None), f"the IPv6 range of the VPC {vpc}"
        )

    def _ipv6_ranges(self, vpc: str, *states: str) -> Sequence[IPv6Network]:
        found = once_visible(lambda: self._ec2.describe_vpcs(VpcIds=[vpc]), not_found)["Vpcs"][0]
        associations = found.get("Ipv6CidrBlockAssociationSet", [])
        return [
            IPv6Network(one["Ipv6CidrBlock"]) for one in associations if one["Ipv6CidrBlockState"]["State"] in states
        ]

    def _dns_attributes(self, vpc: str, *, fresh: bool) -> None:
        for name, label in (("EnableDnsSupport", "dns_support"), ("EnableDnsHostnames", "dns_hostnames")):
            attribute = name[0].lower() + name[1:]

            def look(attribute: str = attribute) -> bool:
                answer = once_visible(
                    lambda: self._ec2.describe_vpc_attribute(VpcId=vpc, Attribute=attribute), not_found
                )
                return answer[attribute[0].upper() + attribute[1:]]["Value"]

            def switch_on(name: str = name) -> None:
                self._ec2.modify_vpc_attribute(VpcId=vpc, **{name: {"Value": True}})

            if look():
                continue
            if fresh:
                # Part of the creation that has just been noted.
                switch_on()
            else:
                self._changes.apply(f"VPC {vpc}", {label: False}, {label: True}, switch_on)

    def _subnets(self, vpc: str | None, ipv6_range: IPv6Network | None) -> dict[str, str | None]:
        cluster = self._wanted.cluster
        found = {}
        if vpc:
            filters = [*tags.of_cluster_filter(cluster), {"Name": "vpc-id", "Values": [vpc]}]
            found = {one["AvailabilityZone"]: one for one in self._ec2.describe_subnets(Filters=filters)["Subnets"]}
        taken = {zone: IPv4Network(one["CidrBlock"]) for zone, one in found.items()}
        ipv6 = _ipv6_parts(found, self._wanted.zones, ipv6_range)
        result: dict[str, str | None] = {}
        for zone, cidr in subnets.carve(IPv4Network(self._wanted.cidr), self._wanted.zones, taken).items():
            name = f"{cluster}-{zone}"
            if zone in found:
                result[zone] = found[zone]["SubnetId"]
                self._keep_tags("subnet", found[zone]["SubnetId"], found[zone].get("Tags", []), name)
                public = found[zone]["MapPublicIpOnLaunch"]
            else:
                result[zone] = self._changes.apply(
                    f"subnet {name}",
                    None,
                    {
                        "zone": zone,
                        "cidr": str(cidr),
                        **({"ipv6_cidr": ipv6.get(zone, TO_COME)} if self._wanted.ipv6 else {}),
                        "public_addresses": True,
                        "tags": self._tags(name),
                    },
                    lambda zone=zone, cidr=cidr, name=name: self._create_subnet(  # type: ignore[misc]
                        vpc, zone, cidr, ipv6.get(zone), name
                    ),
                )
                continue
            if self._wanted.ipv6 and not _ipv6_part(found[zone]):
                self._changes.apply(
                    f"subnet {result[zone]}",
                    {"ipv6_cidr": None},
                    {"ipv6_cidr": ipv6.get(zone, TO_COME)},
                    lambda zone=zone, subnet=result[zone]: self._ec2.associate_subnet_cidr_block(  # type: ignore[misc]
                        SubnetId=subnet, Ipv6CidrBlock=ipv6[zone]
                    ),
                )
            if not public:
                self._changes.apply(
                    f"subnet {result[zone]}",
                    {"public_addresses": False},
                    {"public_addresses": True},
                    lambda subnet=result[zone]: self._publish(subnet),  # type: ignore[misc]
                )
        return result

    def _create_subnet(self, vpc: str, zone: str, cidr: IPv4Network, ipv6: str | None, name: str) -> str:
        subnet = self._ec2.create_subnet(
            VpcId=vpc,
            AvailabilityZone=zone,
            CidrBlock=str(cidr),
            **({"Ipv6CidrBlock": ipv6} if ipv6 else {}),
            TagSpecifications=tags.specification("subnet", self._tags(name)),
        )["Subnet"]["SubnetId"]
        self._publish(subnet)
        return subnet

    def _publish(self, subnet: str) -> None:
        once_visible(
            lambda: self._ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True}), not_found
        )

    def _gateway(self, vpc: str | None) -> str | None:
        cluster = self._wanted.cluster
        found = self._ec2.describe_internet_gateways(Filters=tags.of_cluster_filter(cluster))["InternetGateways"]
        gateway = self._only("internet gateway", found, "InternetGatewayId")
        if gateway is None:
            return self._changes.apply(
                f"internet gateway {cluster}",
                None,
                {"vpc": vpc or cluster, "tags": self._tags(cluster)},
                lambda: self._create_gateway(vpc, cluster),
            )
        identifier = gateway["InternetGatewayId"]
        self._keep_tags("internet gateway", identifier, gateway.get("Tags", []), cluster)
        attached = [attachment["VpcId"] for attachment in gateway.get("Attachments", [])]
        if vpc not in attached:
            if attached:
                raise ProvisionError(
                    f"The internet gateway {identifier} of the cluster '{cluster}' is attached to {attached[0]} "
                    f"and not to the cluster's VPC {vpc or ''}: detach it."
                )
            self._changes.apply(
                f"internet gateway {identifier}",
                {"vpc": None},
                {"vpc": vpc or cluster},
                lambda: self._ec2.attach_internet_gateway(InternetGatewayId=identifier, VpcId=vpc),
            )
        return identifier

    def _create_gateway(self, vpc: str | None, name: str) -> str:
        identifier = self._ec2.create_internet_gateway(
            TagSpecifications=tags.specification("internet-gateway", self._tags(name))
        )["InternetGateway"]["InternetGatewayId"]
        once_visible(lambda: self._ec2.attach_internet_gateway(InternetGatewayId=identifier, VpcId=vpc), not_found)
        return identifier

    def _route_table(self, vpc: str | None, gateway: str | None, by_zone: Mapping[str, str | None]) -> str | None:
        cluster = self._wanted.cluster
        name = f"{cluster}-public"
        table: Mapping[str, Any] | None = None
        if vpc:
            filters = [*tags.of_cluster_filter(cluster), {"Name": "vpc-id", "Values": [vpc]}]
            found = self._ec2.describe_route_tables(Filters=filters)["RouteTables"]
            table = self._only("route table", found, "RouteTableId")
        if table is None:
            identifier = self._changes.apply(
                f"route table {name}",
                None,
                {
                    "routes": dict.fromkeys(self._wanted.destinations, gateway or "the internet gateway"),
                    "tags": self._tags(name),
                },
                lambda: self._create_route_table(vpc, gateway, name),
            )
        else:
            identifier = table["RouteTableId"]
            self._keep_tags("route table", identifier, table.get("Tags", []), name)
            for destination in self._wanted.destinations:
                self._keep_route(table, destination, gateway)
        associated = {one.get("SubnetId") for one in (table or {}).get("Associations", [])}
        for zone, subnet in by_zone.items():
            if subnet is None or subnet not in associated:
                self._changes.apply(
                    f"route table {name}'s association with the subnet {cluster}-{zone}",
                    None,
                    {"route_table": identifier or name, "subnet": subnet or f"{cluster}-{zone}"},
                    lambda subnet=subnet: self._associate(identifier, subnet),  # type: ignore[misc]
                )
        return identifier

    def _create_route_table(self, vpc: str | None, gateway: str | None, name: str) -> str:
        identifier = self._ec2.create_route_table(
            VpcId=vpc, TagSpecifications=tags.specification("route-table", self._tags(name))
        )["RouteTable"]["RouteTableId"]
        for destination in self._wanted.destinations:
            self._create_route(identifier, destination, gateway)
        return identifier

    def _create_route(self, table: str, destination: str, gateway: str | None) -> None:
        once_visible(
            lambda: self._ec2.create_route(RouteTableId=table, GatewayId=gateway, **_to(destination)), not_found
        )

    def _keep_route(self, table: Mapping[str, Any], destination: str, gateway: str | None) -> None:
        identifier = table["RouteTableId"]
        route = next((one for one in table["Routes"] if _to(destination).items() <= one.items()), None)
        if route is None:
            self._changes.apply(
                f"route table {identifier}",
                {"routes": {}},
                {"routes": {destination: gateway or "the internet gateway"}},
                lambda: self._create_route(identifier, destination, gateway),
            )
        elif route.get("GatewayId") != gateway or route.get("State") == "blackhole":
            self._changes.apply(
                f"route table {identifier}",
                {"routes": {destination: route.get("GatewayId"), "state": route.get("State")}},
                {"routes": {destination: gateway or "the internet gateway"}},
                lambda: self._ec2.replace_route(RouteTableId=identifier, GatewayId=gateway, **_to(destination)),
            )

    def _associate(self, table: str | None, subnet: str | None) -> None:
        once_visible(lambda: self._ec2.associate_route_table(RouteTableId=table, SubnetId=subnet), not_found)

    def _endpoint(self, vpc: str | None, table: str | None) -> str | None:
        cluster = self._wanted.cluster
        name, service = f"{cluster}-s3", f"com.amazonaws.{self._aws.region}.s3"
        endpoint: Mapping[str, Any] | None = None
        if vpc:
            filters = [
                *tags.of_cluster_filter(cluster),
                {"Name": "vpc-id", "Values": [vpc]},
                {"Name": "service-name", "Values": [service]},
            ]
            found = self._ec2.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
            living = [one for one in found if one["State"].lower() not in ("deleting", "deleted", "failed")]
            endpoint = self._only("gateway endpoint for S3", living, "VpcEndpointId")
        if endpoint is None:
            return self._changes.apply(
                f"gateway endpoint {name}",
                None,
                {"service": service, "route_table": table or f"{cluster}-public", "tags": self._tags(name)},
                lambda: self._create_endpoint(vpc, table, service, name),
            )
        identifier = endpoint["VpcEndpointId"]
        self._keep_tags("gateway endpoint", identifier, endpoint.get("Tags", []), name)
        if table not in endpoint.get("RouteTableIds", []):
            self._changes.apply(
                f"gateway endpoint {identifier}",
                {"route_tables": list(endpoint.get("RouteTableIds", []))},
                {"route_tables": [*endpoint.get("RouteTableIds", []), table or f"{cluster}-public"]},
                lambda: self._ec2.modify_vpc_endpoint(VpcEndpointId=identifier, AddRouteTableIds=[table]),
            )
        return identifier

    def _create_endpoint(self, vpc: str | None, table: str | None, service: str, name: str) -> str:
        return once_visible(
            lambda: self._ec2.create_vpc_endpoint(
                VpcId=vpc,
                ServiceName=service,
                VpcEndpointType="Gateway",
                RouteTableIds=[table],
                TagSpecifications=tags.specification("vpc-endpoint", self._tags(name)),
            ),
            not_found,
        )["VpcEndpoint"]["VpcEndpointId"]


def _to(destination: str) -> dict[str, str]:
    """A route's destination as EC2 names it."""
    return {"DestinationIpv6CidrBlock" if ":" in destination else "DestinationCidrBlock": destination}


def _ipv6_part(subnet: Mapping[str, Any]) -> str | None:
    associations = subnet.get("Ipv6CidrBlockAssociationSet", [])
    return next((one["Ipv6CidrBlock"] for one in associations if one["Ipv6CidrBlockState"]["State"] in _THERE), None)


def _ipv6_parts(
    found: Mapping[str, Mapping[str, Any]], zones: Sequence[str], ipv6_range: IPv6Network | None
) -> dict[str, str]:
    """Each zone's part of the VPC's IPv6 range, if that is known."""
    if ipv6_range is None:
        return {}
    parts = {zone: _ipv6_part(subnet) for zone, subnet in found.items()}
    taken = {zone: IPv6Network(part) for zone, part in parts.items() if part}
    return {zone: str(part) for zone, part in subnets.carve_ipv6(ipv6_range, zones, taken).items()}
