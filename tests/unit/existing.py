"""A VPC that exists before a cluster: public subnets, or private subnets behind a NAT gateway, and a security group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")
RANGE = "10.80.0.0/16"
VPC_TAGS, SUBNET_TAGS = {"Name": "office"}, {"tier": "nodes"}
OWN_TAG = "swarm.aws/cluster"
# Requests whose answers show the whole VPC, their keys and filters.
DESCRIBED = {
    "describe_vpcs": ("Vpcs", "vpc-id"),
    "describe_subnets": ("Subnets", "vpc-id"),
    "describe_route_tables": ("RouteTables", "vpc-id"),
    "describe_internet_gateways": ("InternetGateways", "attachment.vpc-id"),
    "describe_nat_gateways": ("NatGateways", "vpc-id"),
    "describe_network_acls": ("NetworkAcls", "vpc-id"),
    "describe_security_groups": ("SecurityGroups", "vpc-id"),
    "describe_vpc_endpoints": ("VpcEndpoints", "vpc-id"),
}


@dataclass(frozen=True)
class Existing:
    """The IDs of the VPC, of its subnets by zone, of their route table and of the security group."""

    ec2: Any
    vpc: str
    subnets: Mapping[str, str]
    table: str
    group: str
    public: bool

    def variables(self, **more: Any) -> dict[str, Any]:
        """The configuration's variables that use it, by IDs."""
        network = {"vpc_id": self.vpc, "subnets": list(self.subnets.values()), "security_groups": [self.group]}
        addresses = "public" if self.public else "private"
        dns = {"zone": "swarm.test", "record": "www.swarm.test", "ttl": 10, "addresses": addresses}
        return {"network": {**network, **more}, "zones": None, "vpc_cidr": None, "private_nodes": None, "dns": dns}

    def by_tags(self) -> dict[str, Any]:
        """As :meth:`variables`, by tags."""
        unset = {"vpc_id": None, "subnets": None}
        return self.variables(**unset, vpc_tags=VPC_TAGS, subnet_tags=SUBNET_TAGS)

    def described(self) -> dict[str, Any]:
        """All that AWS describes of the VPC, without the cluster's security groups and the count of free addresses."""
        found: dict[str, Any] = {}
        for operation, (key, where) in DESCRIBED.items():
            answer = getattr(self.ec2, operation)(Filters=[{"Name": where, "Values": [self.vpc]}])[key]
            found[key] = [
                {name: value for name, value in item.items() if name != "AvailableIpAddressCount"}
                for item in answer
                if OWN_TAG not in [tag["Key"] for tag in item.get("Tags", [])]
            ]
        for attribute in ("enableDnsSupport", "enableDnsHostnames"):
            answer = self.ec2.describe_vpc_attribute(VpcId=self.vpc, Attribute=attribute)
            found[attribute] = answer[attribute[0].upper() + attribute[1:]]
        return found


def existing_vpc(ec2: Any, *, public: bool = True, cidr: str = RANGE) -> Existing:
    """Create it with plain calls. ``cidr`` is a /16."""

    def tagged(kind: str, **own: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in own.items()]}]

    vpc = ec2.create_vpc(CidrBlock=cidr, TagSpecifications=tagged("vpc", **VPC_TAGS))["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    gateway = ec2.create_internet_gateway(TagSpecifications=tagged("internet-gateway", Name="office"))
    gateway = gateway["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    first = cidr.rsplit(".", 2)[0]

    def subnet(zone: str, number: int, *, assigns: bool, **own: str) -> str:
        block = f"{first}.{number}.0/24"
        made = ec2.create_subnet(
            VpcId=vpc, AvailabilityZone=zone, CidrBlock=block, TagSpecifications=tagged("subnet", **own)
        )["Subnet"]["SubnetId"]
        ec2.modify_subnet_attribute(SubnetId=made, MapPublicIpOnLaunch={"Value": assigns})
        return str(made)

    def table(name: str, subnets: list[str], **target: str) -> str:
        made = ec2.create_route_table(VpcId=vpc, TagSpecifications=tagged("route-table", Name=name))
        identifier = str(made["RouteTable"]["RouteTableId"])
        ec2.create_route(RouteTableId=identifier, DestinationCidrBlock="0.0.0.0/0", **target)
        for inside in subnets:
            ec2.associate_route_table(RouteTableId=identifier, SubnetId=inside)
        return identifier

    subnets = {
        zone: subnet(zone, 10 + number, assigns=public, Name=f"nodes-{zone}", **SUBNET_TAGS)
        for number, zone in enumerate(ZONES)
    }
    target = {"GatewayId": gateway}
    if not public:
        entrance = subnet(ZONES[0], 1, assigns=True, Name="entrance")
        table("entrance", [entrance], GatewayId=gateway)
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        nat = ec2.create_nat_gateway(SubnetId=entrance, AllocationId=address)["NatGateway"]["NatGatewayId"]
        ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[nat], WaiterConfig={"Delay": 1})
        target = {"NatGatewayId": nat}
    own_table = table("nodes", list(subnets.values()), **target)
    group = ec2.create_security_group(
        GroupName="office", Description="The office's", VpcId=vpc, TagSpecifications=tagged("security-group", team="it")
    )["GroupId"]
    return Existing(ec2, vpc, subnets, own_table, str(group), public)
