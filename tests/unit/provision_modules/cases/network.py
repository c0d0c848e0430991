"""The network."""

from __future__ import annotations

from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils.provision.shell import Aws
from ansible_collections.swarm.aws.plugins.modules import network

from tests.unit.provision_modules.account import REGION, tags_of
from tests.unit.provision_modules.cases.case import CLUSTER, TAGS, Case

PARAMS = {
    "cluster_name": CLUSTER,
    "tags": TAGS,
    "vpc_cidr": "10.20.0.0/16",
    "zones": [f"{REGION}a", f"{REGION}b"],
    "ipv6": True,
}
OURS = [{"Name": "tag:swarm.aws/cluster", "Values": [CLUSTER]}]
PRIVATE = "swarm.aws/private"


def vpc(aws: Aws) -> str:
    return aws.ec2.describe_vpcs(Filters=OURS)["Vpcs"][0]["VpcId"]


def subnet(aws: Aws, zone: str = "a") -> str:
    found = aws.ec2.describe_subnets(Filters=OURS)["Subnets"]
    return next(
        one["SubnetId"] for one in found if one["AvailabilityZone"] == REGION + zone and PRIVATE not in tags_of(one)
    )


def gateway(aws: Aws) -> str:
    return aws.ec2.describe_internet_gateways(Filters=OURS)["InternetGateways"][0]["InternetGatewayId"]


def table(aws: Aws) -> dict[str, Any]:
    return next(
        one for one in aws.ec2.describe_route_tables(Filters=OURS)["RouteTables"] if PRIVATE not in tags_of(one)
    )


def endpoint(aws: Aws) -> str:
    found = aws.ec2.describe_vpc_endpoints(Filters=OURS)["VpcEndpoints"]
    return next(one["VpcEndpointId"] for one in found if one["State"] == "available")


def look(aws: Aws) -> Any:
    ec2 = aws.ec2
    own = [one for one in ec2.describe_vpcs()["Vpcs"] if not one["IsDefault"]]
    inside = [{"Name": "vpc-id", "Values": [one["VpcId"] for one in own]}]
    endpoints = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    subnets = ec2.describe_subnets(Filters=inside)["Subnets"]
    gateways = ec2.describe_internet_gateways()["InternetGateways"]
    nat = [one for one in ec2.describe_nat_gateways()["NatGateways"] if one["State"] == "available"]
    names = {one["InternetGatewayId"]: tags_of(one).get("Name") for one in gateways}
    names |= {one["NatGatewayId"]: tags_of(one).get("Name") for one in nat}
    addresses = {one["AllocationId"]: tags_of(one) for one in ec2.describe_addresses()["Addresses"]}
    zones = {one["SubnetId"]: one["AvailabilityZone"] for one in subnets}
    # Of a subnet that was deleted, moto keeps the association.
    there = {one["SubnetId"] for one in subnets}
    return {
        "vpcs": [
            {
                "cidr": one["CidrBlock"],
                "ipv6": [block["Ipv6CidrBlock"] for block in one.get("Ipv6CidrBlockAssociationSet", [])],
                "tags": tags_of(one),
                **{
                    name: ec2.describe_vpc_attribute(VpcId=one["VpcId"], Attribute=name)[name[0].upper() + name[1:]]
                    for name in ("enableDnsSupport", "enableDnsHostnames")
                },
            }
            for one in own
        ],
        "subnets": [
            {
                "zone": one["AvailabilityZone"],
                "cidr": one["CidrBlock"],
                "ipv6": [block["Ipv6CidrBlock"] for block in one.get("Ipv6CidrBlockAssociationSet", [])],
                "public": one["MapPublicIpOnLaunch"],
                "tags": tags_of(one),
            }
            for one in subnets
        ],
        "nat": [
            {
                "zone": zones.get(one["SubnetId"]),
                "address": addresses[one["NatGatewayAddresses"][0]["AllocationId"]],
                "tags": tags_of(one),
            }
            for one in nat
        ],
        "addresses": list(addresses.values()),
        "gateways": [{"attached": len(one["Attachments"]), "tags": tags_of(one)} for one in gateways],
        "tables": [
            {
                "routes": [
                    [
                        one.get("DestinationCidrBlock") or one.get("DestinationIpv6CidrBlock"),
                        names.get(one.get("NatGatewayId") or one.get("GatewayId"), one.get("GatewayId")),
                    ]
                    for one in found["Routes"]
                ],
                "subnets": len([one for one in found["Associations"] if one.get("SubnetId") in there]),
                "tags": tags_of(found),
            }
            for found in ec2.describe_route_tables(Filters=inside)["RouteTables"]
        ],
        "endpoints": [
            {"service": one["ServiceName"], "tables": one["RouteTableIds"], "tags": tags_of(one)}
            for one in endpoints
            if one["State"] == "available"
        ],
    }


def untag(aws: Aws, identifier: str) -> None:
    aws.ec2.delete_tags(Resources=[identifier], Tags=[{"Key": "team"}])


def lose_ipv6_range(aws: Aws) -> None:
    found = aws.ec2.describe_subnets(SubnetIds=[subnet(aws)])["Subnets"][0]["Ipv6CidrBlockAssociationSet"]
    aws.ec2.disassociate_subnet_cidr_block(AssociationId=found[0]["AssociationId"])


def detach(aws: Aws) -> None:
    aws.ec2.detach_internet_gateway(InternetGatewayId=gateway(aws), VpcId=vpc(aws))


def replace_gateway(aws: Aws) -> None:
    lost = gateway(aws)
    detach(aws)
    aws.ec2.delete_internet_gateway(InternetGatewayId=lost)


def misroute(aws: Aws) -> None:
    astray = aws.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    aws.ec2.replace_route(RouteTableId=table(aws)["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=astray)
    # Which leaves the route as it is, to nowhere.
    aws.ec2.delete_internet_gateway(InternetGatewayId=astray)


def lose_table(aws: Aws) -> None:
    for association in table(aws)["Associations"]:
        aws.ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
    aws.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint(aws)])
    aws.ec2.delete_route_table(RouteTableId=table(aws)["RouteTableId"])


CASE = Case(
    module=network,
    prepare=lambda account: PARAMS,
    planned=PARAMS,
    look=look,
    drifts={
        "the VPC lost a tag": lambda aws: untag(aws, vpc(aws)),
        "the VPC's tag was changed": lambda aws: aws.ec2.create_tags(
            Resources=[vpc(aws)], Tags=[{"Key": "team", "Value": "red"}]
        ),
        "host names were switched off": lambda aws: aws.ec2.modify_vpc_attribute(
            VpcId=vpc(aws), EnableDnsHostnames={"Value": False}
        ),
        "the IPv6 route was deleted": lambda aws: aws.ec2.delete_route(
            RouteTableId=table(aws)["RouteTableId"], DestinationIpv6CidrBlock="::/0"
        ),
        "a subnet lost its IPv6 range": lose_ipv6_range,
        "a subnet lost a tag": lambda aws: untag(aws, subnet(aws)),
        "a subnet gives no public addresses": lambda aws: aws.ec2.modify_subnet_attribute(
            SubnetId=subnet(aws), MapPublicIpOnLaunch={"Value": False}
        ),
        "the first subnet was deleted": lambda aws: aws.ec2.delete_subnet(SubnetId=subnet(aws, "a")),
        "the last subnet was deleted": lambda aws: aws.ec2.delete_subnet(SubnetId=subnet(aws, "b")),
        "the gateway lost a tag": lambda aws: untag(aws, gateway(aws)),
        "the gateway was detached": detach,
        "the gateway was deleted": replace_gateway,
        "the route table lost a tag": lambda aws: untag(aws, table(aws)["RouteTableId"]),
        "the route was deleted": lambda aws: aws.ec2.delete_route(
            RouteTableId=table(aws)["RouteTableId"], DestinationCidrBlock="0.0.0.0/0"
        ),
        "the route leads elsewhere": misroute,
        "a subnet uses the main route table": lambda aws: aws.ec2.disassociate_route_table(
            AssociationId=table(aws)["Associations"][0]["RouteTableAssociationId"]
        ),
        "the route table and the endpoint were deleted": lose_table,
        "the endpoint lost a tag": lambda aws: untag(aws, endpoint(aws)),
        "the endpoint was deleted": lambda aws: aws.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint(aws)]),
        "the endpoint serves no route table": lambda aws: aws.ec2.modify_vpc_endpoint(
            VpcEndpointId=endpoint(aws), RemoveRouteTableIds=[table(aws)["RouteTableId"]]
        ),
    },
)


def private(found: list[dict[str, Any]], zone: str = "a") -> dict[str, Any]:
    return next(one for one in found if tags_of(one).get(PRIVATE) == REGION + zone)


def private_subnet(aws: Aws, zone: str = "a") -> str:
    return private(aws.ec2.describe_subnets(Filters=OURS)["Subnets"], zone)["SubnetId"]


def private_table(aws: Aws, zone: str = "a") -> dict[str, Any]:
    return private(aws.ec2.describe_route_tables(Filters=OURS)["RouteTables"], zone)


def nat_gateway(aws: Aws, zone: str = "a") -> dict[str, Any]:
    found = aws.ec2.describe_nat_gateways(Filters=[*OURS, {"Name": "state", "Values": ["available"]}])["NatGateways"]
    return private(found, zone)


def nat_address(aws: Aws, zone: str = "a") -> str:
    return private(aws.ec2.describe_addresses(Filters=OURS)["Addresses"], zone)["AllocationId"]


def lose_nat_gateway(aws: Aws) -> None:
    aws.ec2.delete_nat_gateway(NatGatewayId=nat_gateway(aws)["NatGatewayId"])


def lose_nat_gateway_and_address(aws: Aws) -> None:
    address = nat_address(aws)
    lose_nat_gateway(aws)
    aws.ec2.release_address(AllocationId=address)


def lead_to_the_other(aws: Aws) -> None:
    aws.ec2.replace_route(
        RouteTableId=private_table(aws)["RouteTableId"],
        DestinationCidrBlock="0.0.0.0/0",
        NatGatewayId=nat_gateway(aws, "b")["NatGatewayId"],
    )


PRIVATE_PARAMS = {**PARAMS, "ipv6": False, "nat": "per_zone"}
PRIVATE_CASE = Case(
    module=network,
    what="private",
    prepare=lambda account: PRIVATE_PARAMS,
    planned=PRIVATE_PARAMS,
    look=look,
    drifts={
        "a private subnet lost a tag": lambda aws: untag(aws, private_subnet(aws)),
        "a private subnet gives public addresses": lambda aws: aws.ec2.modify_subnet_attribute(
            SubnetId=private_subnet(aws), MapPublicIpOnLaunch={"Value": True}
        ),
        "a private subnet was deleted": lambda aws: aws.ec2.delete_subnet(SubnetId=private_subnet(aws)),
        "a NAT gateway lost a tag": lambda aws: untag(aws, nat_gateway(aws)["NatGatewayId"]),
        "a NAT gateway was deleted": lose_nat_gateway,
        "a NAT gateway was deleted and its address released": lose_nat_gateway_and_address,
        "an address lost a tag": lambda aws: untag(aws, nat_address(aws)),
        "a private route table lost a tag": lambda aws: untag(aws, private_table(aws)["RouteTableId"]),
        "a private route was deleted": lambda aws: aws.ec2.delete_route(
            RouteTableId=private_table(aws)["RouteTableId"], DestinationCidrBlock="0.0.0.0/0"
        ),
        "a private route leads to the other zone": lead_to_the_other,
        "a private subnet uses the main route table": lambda aws: aws.ec2.disassociate_route_table(
            AssociationId=private_table(aws)["Associations"][0]["RouteTableAssociationId"]
        ),
        "the endpoint serves no private route table": lambda aws: aws.ec2.modify_vpc_endpoint(
            VpcEndpointId=endpoint(aws), RemoveRouteTableIds=[private_table(aws)["RouteTableId"]]
        ),
    },
)
