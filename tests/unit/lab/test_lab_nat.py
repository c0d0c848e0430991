"""NAT gateways behave as on AWS, and connect instances to the internet."""

from __future__ import annotations

from typing import Any

from lab.aws import view
from tests.unit.lab.fakes import LittleAws, Network, refused, until

ANYWHERE = "0.0.0.0/0"
TAGS = [{"ResourceType": "natgateway", "Tags": [{"Key": "of", "Value": "mine"}]}]


def table(aws: LittleAws, network: Network, subnet: str, **target: str) -> str:
    """A route table for that subnet with a default route to the target."""
    ec2 = aws.client("ec2")
    identifier: str = ec2.create_route_table(VpcId=network.vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=identifier, DestinationCidrBlock=ANYWHERE, **target)
    ec2.associate_route_table(RouteTableId=identifier, SubnetId=subnet)
    return identifier


def gateway(aws: LittleAws, subnet: str) -> tuple[str, dict[str, Any]]:
    ec2 = aws.client("ec2")
    address = ec2.allocate_address(Domain="vpc")
    made = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address["AllocationId"], TagSpecifications=TAGS)
    return made["NatGateway"]["NatGatewayId"], address


def state(aws: LittleAws, identifier: str) -> str:
    found = aws.client("ec2").describe_nat_gateways(NatGatewayIds=[identifier])["NatGateways"]
    return str(found[0]["State"])


def test_a_nat_gateway_keeps_its_address_until_it_is_deleted(aws: LittleAws, network: Network) -> None:
    ec2 = aws.client("ec2")
    identifier, address = gateway(aws, network.subnets[0])
    assert state(aws, identifier) == "pending"
    until(lambda: state(aws, identifier) == "available", "the gateway")
    ours = [{"Name": "tag:of", "Values": ["mine"]}]
    assert [gateway["NatGatewayId"] for gateway in ec2.describe_nat_gateways(Filters=ours)["NatGateways"]] == [
        identifier
    ]
    others = [{"Name": "tag:of", "Values": ["others"]}]
    assert ec2.describe_nat_gateways(Filters=others)["NatGateways"] == []
    allocated = {"AllocationId": address["AllocationId"]}
    assert refused(ec2.release_address, **allocated) == "InvalidIPAddress.InUse"
    assert refused(lambda: ec2.delete_subnet(SubnetId=network.subnets[0])) == "DependencyViolation"
    ec2.delete_nat_gateway(NatGatewayId=identifier)
    assert state(aws, identifier) == "deleting"
    until(lambda: state(aws, identifier) == "deleted", "its end")
    ec2.release_address(**allocated)
    ec2.delete_subnet(SubnetId=network.subnets[0])
    assert refused(lambda: ec2.describe_nat_gateways(NatGatewayIds=["nat-1"])) == "NatGatewayNotFound"


def test_route_tables_decide_the_public_address_of_an_instance(aws: LittleAws, network: Network) -> None:
    ec2, (public, private, lost) = aws.client("ec2"), network.subnets
    internet = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=internet, VpcId=network.vpc)
    table(aws, network, public, GatewayId=internet)
    identifier, address = gateway(aws, public)
    private_table = table(aws, network, private, NatGatewayId=identifier)
    until(lambda: state(aws, identifier) == "available", "the gateway")
    launched = {}
    for subnet in (public, private, lost):
        (made,) = aws.launch("example", subnet, network.group, AssociatePublicIpAddress=subnet == public)
        launched[subnet] = aws.instance(made["InstanceId"])

    def seen(subnet: str) -> str | None:
        return view.firewall().seen_as[launched[subnet]["PrivateIpAddress"]]

    assert seen(public) == launched[public]["PublicIpAddress"]
    assert "PublicIpAddress" not in launched[private]
    assert seen(private) == address["PublicIp"]
    assert seen(lost) is None, "the VPC's main table leads nowhere"
    before = aws.machines.firewall_changes
    ec2.delete_route(RouteTableId=private_table, DestinationCidrBlock=ANYWHERE)
    assert seen(private) is None
    assert aws.machines.firewall_changes > before
