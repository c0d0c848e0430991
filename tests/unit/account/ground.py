"""A cluster's network as the role `network` makes it, by plain calls, for tests of what stands in it or destroys it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils.aws import tags
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession

from tests.unit.account.account import REGION
from tests.unit.account.cases.case import CLUSTER, TAGS

ZONES = [f"{REGION}a", f"{REGION}b"]
OURS = [{"Name": "tag:swarm.aws/cluster", "Values": [CLUSTER]}]
MEMBER, MANAGER, ENDPOINTS = f"{CLUSTER}-member", f"{CLUSTER}-manager", f"{CLUSTER}-endpoints"


@dataclass(frozen=True)
class Network:
    """IDs, of subnets by zone and of security groups by name."""

    vpc: str
    public: dict[str, str]
    private: dict[str, str]
    groups: dict[str, str]


def tagged(kind: str, name: str, **more: str) -> list[dict[str, Any]]:
    """The tags of a resource of the cluster."""
    own = tags.of_cluster(CLUSTER, TAGS, Name=name)
    return tags.specification(kind, {**own, **{f"swarm.aws/{key}": value for key, value in more.items()}})


def network(aws: AwsSession) -> Network:
    """A VPC with a public and a private subnet in each zone, a NAT gateway, routes and security groups."""
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16", TagSpecifications=tagged("vpc", CLUSTER))["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    public = {zone: _subnet(aws, vpc, zone, number, zone) for number, zone in enumerate(ZONES)}
    private = {
        zone: _subnet(aws, vpc, zone, 8 + number, f"{zone}-private", private=zone) for number, zone in enumerate(ZONES)
    }
    gateway = ec2.create_internet_gateway(TagSpecifications=tagged("internet-gateway", CLUSTER))["InternetGateway"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], VpcId=vpc)
    address = ec2.allocate_address(
        Domain="vpc", TagSpecifications=tagged("elastic-ip", f"{CLUSTER}-nat", private=ZONES[0])
    )
    nat = ec2.create_nat_gateway(
        SubnetId=public[ZONES[0]],
        AllocationId=address["AllocationId"],
        TagSpecifications=tagged("natgateway", f"{CLUSTER}-nat", private=ZONES[0]),
    )["NatGateway"]["NatGatewayId"]
    tables = [
        _table(aws, vpc, f"{CLUSTER}-public", list(public.values()), GatewayId=gateway["InternetGatewayId"]),
        *(_table(aws, vpc, f"{CLUSTER}-{zone}-private", [private[zone]], NatGatewayId=nat) for zone in ZONES),
    ]
    ec2.create_vpc_endpoint(
        VpcId=vpc,
        ServiceName=f"com.amazonaws.{REGION}.s3",
        VpcEndpointType="Gateway",
        RouteTableIds=tables,
        TagSpecifications=tagged("vpc-endpoint", f"{CLUSTER}-public"),
    )
    return Network(vpc, public, private, security_groups(aws, vpc))


def security_groups(aws: AwsSession, vpc: str) -> dict[str, str]:
    """The cluster's security groups by name, in a VPC."""
    ec2, groups = aws.client("ec2"), {name: _group(aws, vpc, name) for name in (MEMBER, MANAGER, ENDPOINTS)}
    # Each names the other, so that neither can go before its rules.
    for name, other in ((MEMBER, MANAGER), (MANAGER, MEMBER)):
        pair = [
            {"IpProtocol": "tcp", "FromPort": 2377, "ToPort": 2377, "UserIdGroupPairs": [{"GroupId": groups[other]}]}
        ]
        ec2.authorize_security_group_ingress(GroupId=groups[name], IpPermissions=pair)
    return groups


def vpc_of(aws: AwsSession) -> str:
    """The cluster's VPC."""
    return str(aws.client("ec2").describe_vpcs(Filters=OURS)["Vpcs"][0]["VpcId"])


def subnet_of(aws: AwsSession, name: str) -> str:
    """A subnet by its name without the cluster's."""
    filters = [*OURS, {"Name": "tag:Name", "Values": [f"{CLUSTER}-{name}"]}]
    return str(aws.client("ec2").describe_subnets(Filters=filters)["Subnets"][0]["SubnetId"])


def group_of(aws: AwsSession, name: str) -> dict[str, Any]:
    """A security group by its name."""
    found: dict[str, Any] = aws.client("ec2").describe_security_groups(
        Filters=[{"Name": "group-name", "Values": [name]}]
    )
    group: dict[str, Any] = found["SecurityGroups"][0]
    return group


def _subnet(aws: AwsSession, vpc: str, zone: str, number: int, name: str, **more: str) -> str:
    made = aws.client("ec2").create_subnet(
        VpcId=vpc,
        AvailabilityZone=zone,
        CidrBlock=f"10.20.{number * 16}.0/20",
        TagSpecifications=tagged("subnet", f"{CLUSTER}-{name}", **more),
    )
    return str(made["Subnet"]["SubnetId"])


def _table(aws: AwsSession, vpc: str, name: str, subnets: list[str], **target: str) -> str:
    made = aws.client("ec2").create_route_table(VpcId=vpc, TagSpecifications=tagged("route-table", name))
    table = str(made["RouteTable"]["RouteTableId"])
    aws.client("ec2").create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target)
    for subnet in subnets:
        aws.client("ec2").associate_route_table(RouteTableId=table, SubnetId=subnet)
    return table


def _group(aws: AwsSession, vpc: str, name: str) -> str:
    made = aws.client("ec2").create_security_group(
        GroupName=name, Description=name, VpcId=vpc, TagSpecifications=tagged("security-group", name)
    )
    return str(made["GroupId"])
