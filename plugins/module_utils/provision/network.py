"""The VPC, its subnets, its way to the internet and its way to S3."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Mapping, Sequence

from . import subnets, tags
from .changes import Changes
from .errors import ProvisionError
from .nat import NONE, PER_ZONE, NatGateways
from .owned import Owned
from .routes import ANYWHERE, ANYWHERE_IPV6, RouteTables, Target
from .shell import Aws, awaited, not_found, once_visible
from .subnets import Plot

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
    # How many NAT gateways the private subnets have, ONE, PER_ZONE or NONE; None for public subnets alone. Private
    # subnets that it has once stay with all that they need, for instances may be in them. With NONE, those that there
    # are stay until there is another way out, which is for who makes that to see to.
    nat: str | None = None


class Builder:
    """Brings a cluster's network to what it should be. What stands is found by its tags."""

    def __init__(self, aws: Aws, wanted: Network, changes: Changes) -> None:
        self._aws, self._ec2, self._wanted, self._changes = aws, aws.ec2, wanted, changes
        self._owned = Owned(aws.ec2, wanted.cluster, wanted.tags, changes)
        self._tables = RouteTables(aws.ec2, self._owned, changes)

    def build(self) -> dict[str, Any]:
        """Build what is missing. IDs of what does not exist yet are None in check mode."""
        vpc = self._vpc()
        by_key = self._subnets(vpc, self._ipv6_range(vpc))
        public = {zone: by_key[Plot(zone, False).key] for zone in self._wanted.zones}
        gateway = self._gateway(vpc)
        tables = self._route_tables(vpc)
        through_gateway = Target("GatewayId", gateway, "the internet gateway")
        table = self._tables.keep(
            self._owned.only("public route table", tables.get("", []), "RouteTableId"),
            self._owned.tags(f"{self._wanted.cluster}-public"),
            vpc,
            dict.fromkeys((ANYWHERE, ANYWHERE_IPV6) if self._wanted.ipv6 else (ANYWHERE,), through_gateway),
            {f"{self._wanted.cluster}-{zone}": subnet for zone, subnet in public.items()},
        )
        private, nat, private_tables = self._private(vpc, by_key, public, tables)
        endpoint = self._endpoint(vpc, {f"{self._wanted.cluster}-public": table, **private_tables})
        return {
            "vpc_id": vpc,
            "subnets": public,
            "private_subnets": private,
            "node_subnets": private or public,
            "internet_gateway_id": gateway,
            "nat_gateway_ids": nat,
            "route_table_id": table,
            "s3_endpoint_id": endpoint,
        }

    def _private(
        self,
        vpc: str | None,
        by_key: Mapping[str, str | None],
        public: Mapping[str, str | None],
        tables: Mapping[str, Sequence[Mapping[str, Any]]],
    ) -> tuple[dict[str, str | None], dict[str, str | None], dict[str, str | None]]:
        """The private subnets by zone, their NAT gateways by zone, and their route tables by name."""
        if self._wanted.nat is None:
            return {}, {}, {}
        private = {zone: by_key[Plot(zone, True).key] for zone in self._wanted.zones}
        gateways = NatGateways(self._ec2, self._owned, self._changes, per_zone=self._wanted.nat == PER_ZONE)
        nat = {} if self._wanted.nat == NONE else gateways.keep(public)
        kept = {}
        for zone, subnet in private.items():
            name = f"{self._wanted.cluster}-{Plot(zone, True).key}"
            kept[name] = self._tables.keep(
                self._owned.only(f"private route table of the zone {zone}", tables.get(zone, []), "RouteTableId"),
                self._owned.tags(name, **{tags.PRIVATE: zone}),
                vpc,
                {ANYWHERE: Target("NatGatewayId", nat[zone], "the NAT gateway")} if zone in nat else {},
                {name: subnet},
            )
        gateways.remove_others()
        return private, nat, kept

    def _route_tables(self, vpc: str | None) -> dict[str, list[Mapping[str, Any]]]:
        """The route tables that stand: the private ones by their zone, public ones under no name."""
        tables: dict[str, list[Mapping[str, Any]]] = {}
        if vpc:
            filters = [*tags.of_cluster_filter(self._wanted.cluster), {"Name": "vpc-id", "Values": [vpc]}]
            for one in self._ec2.describe_route_tables(Filters=filters)["RouteTables"]:
                tables.setdefault(tags.from_list(one["Tags"]).get(tags.PRIVATE, ""), []).append(one)
        return tables

    def _vpc(self) -> str | None:
        name, cidr = self._wanted.cluster, self._wanted.cidr
        found = self._ec2.describe_vpcs(Filters=tags.of_cluster_filter(name))["Vpcs"]
        vpc = self._owned.only("VPC", found, "VpcId")
        if vpc is None:
            identifier = self._changes.apply(
                f"VPC {name}",
                None,
                {
                    "cidr": cidr,
                    **({"ipv6_cidr": TO_COME} if self._wanted.ipv6 else {}),
                    "dns_support": True,
                    "dns_hostnames": True,
                    "tags": self._owned.tags(name),
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
            self._owned.keep_tags("VPC", identifier, vpc.get("Tags", []), self._owned.tags(name))
        self._dns_attributes(identifier, fresh=vpc is None)
        return identifier

    def _create_vpc(self, name: str, cidr: str) -> str:
        specification = tags.specification("vpc", self._owned.tags(name))
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
        """The subnets by their plots' keys."""
        found = self._present_subnets(vpc)
        wanted = subnets.plots(self._wanted.zones, private=self._wanted.nat is not None)
        taken = {key: IPv4Network(one["CidrBlock"]) for key, one in found.items()}
        parts = subnets.carve(IPv4Network(self._wanted.cidr), [plot.key for plot in wanted], taken)
        ipv6 = _ipv6_parts(found, self._wanted.zones, ipv6_range)
        return {plot.key: self._subnet(vpc, plot, found.get(plot.key), str(parts[plot.key]), ipv6) for plot in wanted}

    def _present_subnets(self, vpc: str | None) -> dict[str, Mapping[str, Any]]:
        if vpc is None:
            return {}
        filters = [*tags.of_cluster_filter(self._wanted.cluster), {"Name": "vpc-id", "Values": [vpc]}]
        return {
            Plot(one["AvailabilityZone"], tags.PRIVATE in tags.from_list(one["Tags"])).key: one
            for one in self._ec2.describe_subnets(Filters=filters)["Subnets"]
        }

    def _subnet(
        self, vpc: str | None, plot: Plot, present: Mapping[str, Any] | None, cidr: str, ipv6: Mapping[str, str]
    ) -> str | None:
        name = f"{self._wanted.cluster}-{plot.key}"
        own_tags = self._owned.tags(name, **({tags.PRIVATE: plot.zone} if plot.private else {}))
        has_ipv6 = self._wanted.ipv6 and not plot.private
        if present is None:
            return self._changes.apply(
                f"subnet {name}",
                None,
                {
                    "zone": plot.zone,
                    "cidr": cidr,
                    **({"ipv6_cidr": ipv6.get(plot.zone, TO_COME)} if has_ipv6 else {}),
                    "public_addresses": not plot.private,
                    "tags": own_tags,
                },
                lambda: self._create_subnet(vpc, plot, cidr, ipv6.get(plot.zone) if has_ipv6 else None, own_tags),
            )
        identifier = present["SubnetId"]
        self._owned.keep_tags("subnet", identifier, present.get("Tags", []), own_tags)
        if has_ipv6 and not _ipv6_part(present):
            self._changes.apply(
                f"subnet {identifier}",
                {"ipv6_cidr": None},
                {"ipv6_cidr": ipv6.get(plot.zone, TO_COME)},
                lambda: self._ec2.associate_subnet_cidr_block(SubnetId=identifier, Ipv6CidrBlock=ipv6[plot.zone]),
            )
        if present["MapPublicIpOnLaunch"] is plot.private:
            self._changes.apply(
                f"subnet {identifier}",
                {"public_addresses": plot.private},
                {"public_addresses": not plot.private},
                lambda: self._publish(identifier, public=not plot.private),
            )
        return identifier

    def _create_subnet(
        self, vpc: str | None, plot: Plot, cidr: str, ipv6: str | None, own_tags: Mapping[str, str]
    ) -> str:
        subnet = self._ec2.create_subnet(
            VpcId=vpc,
            AvailabilityZone=plot.zone,
            CidrBlock=cidr,
            **({"Ipv6CidrBlock": ipv6} if ipv6 else {}),
            TagSpecifications=tags.specification("subnet", own_tags),
        )["Subnet"]["SubnetId"]
        if not plot.private:
            self._publish(subnet, public=True)
        return subnet

    def _publish(self, subnet: str, *, public: bool) -> None:
        once_visible(
            lambda: self._ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": public}), not_found
        )

    def _gateway(self, vpc: str | None) -> str | None:
        cluster = self._wanted.cluster
        found = self._ec2.describe_internet_gateways(Filters=tags.of_cluster_filter(cluster))["InternetGateways"]
        gateway = self._owned.only("internet gateway", found, "InternetGatewayId")
        if gateway is None:
            return self._changes.apply(
                f"internet gateway {cluster}",
                None,
                {"vpc": vpc or cluster, "tags": self._owned.tags(cluster)},
                lambda: self._create_gateway(vpc, cluster),
            )
        identifier = gateway["InternetGatewayId"]
        self._owned.keep_tags("internet gateway", identifier, gateway.get("Tags", []), self._owned.tags(cluster))
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
            TagSpecifications=tags.specification("internet-gateway", self._owned.tags(name))
        )["InternetGateway"]["InternetGatewayId"]
        once_visible(lambda: self._ec2.attach_internet_gateway(InternetGatewayId=identifier, VpcId=vpc), not_found)
        return identifier

    def _endpoint(self, vpc: str | None, tables: Mapping[str, str | None]) -> str | None:
        """The gateway endpoint for S3, which costs nothing, for the route tables by name."""
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
            endpoint = self._owned.only("gateway endpoint for S3", living, "VpcEndpointId")
        if endpoint is None:
            return self._changes.apply(
                f"gateway endpoint {name}",
                None,
                {
                    "service": service,
                    "route_tables": [table or of for of, table in tables.items()],
                    "tags": self._owned.tags(name),
                },
                lambda: self._create_endpoint(vpc, list(tables.values()), service, name),
            )
        identifier = endpoint["VpcEndpointId"]
        self._owned.keep_tags("gateway endpoint", identifier, endpoint.get("Tags", []), self._owned.tags(name))
        present = list(endpoint.get("RouteTableIds", []))
        missing = [table or of for of, table in tables.items() if table not in present]
        if missing:
            self._changes.apply(
                f"gateway endpoint {identifier}",
                {"route_tables": present},
                {"route_tables": [*present, *missing]},
                lambda: self._ec2.modify_vpc_endpoint(VpcEndpointId=identifier, AddRouteTableIds=missing),
            )
        return identifier

    def _create_endpoint(self, vpc: str | None, tables: Sequence[str | None], service: str, name: str) -> str:
        return once_visible(
            lambda: self._ec2.create_vpc_endpoint(
                VpcId=vpc,
                ServiceName=service,
                VpcEndpointType="Gateway",
                RouteTableIds=tables,
                TagSpecifications=tags.specification("vpc-endpoint", self._owned.tags(name)),
            ),
            not_found,
        )["VpcEndpoint"]["VpcEndpointId"]


def _ipv6_part(subnet: Mapping[str, Any]) -> str | None:
    associations = subnet.get("Ipv6CidrBlockAssociationSet", [])
    return next((one["Ipv6CidrBlock"] for one in associations if one["Ipv6CidrBlockState"]["State"] in _THERE), None)


def _ipv6_parts(
    found: Mapping[str, Mapping[str, Any]], zones: Sequence[str], ipv6_range: IPv6Network | None
) -> dict[str, str]:
    """Each zone's part of the VPC's IPv6 range, if that is known; ``found`` are the subnets by their plots' keys."""
    if ipv6_range is None:
        return {}
    parts = {zone: _ipv6_part(subnet) for zone, subnet in found.items()}
    taken = {zone: IPv6Network(part) for zone, part in parts.items() if part}
    return {zone: str(part) for zone, part in subnets.carve_ipv6(ipv6_range, zones, taken).items()}
