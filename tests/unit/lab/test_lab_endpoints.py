"""VPC endpoints behave as on AWS, and decide which services an instance without internet access reaches."""

from __future__ import annotations

import http.client
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lab.network import Wiring, ruleset
from lab.state import ECR_PORT, ENDPOINT_PORT
from tests.unit.lab.fakes import REGION, LittleAws, Network, refused, until

# Signing names, and the service name of the same endpoint.
SIGNED = ("ec2", "sqs", "monitoring", "s3", "route53")


@pytest.fixture
def source(aws: LittleAws, network: Network) -> str:
    """The address of an instance whose subnet has no route to the internet."""
    return str(aws.launch("example", network.subnets[0], network.group)[0]["PrivateIpAddress"])


def answered(aws: LittleAws, source: str, service: str | None) -> bool:
    """Whether a service answers a request from that address, with any answer."""
    request = AWSRequest("GET", f"{aws.url}/")
    if service:
        SigV4Auth(Credentials("lab", "lab"), service, REGION).add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", aws.endpoint.port, source_address=(source, 0), timeout=30)
    try:
        connection.request("GET", "/", headers=dict(request.headers))
        connection.getresponse()
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return False
    finally:
        connection.close()
    return True


def reached(aws: LittleAws, source: str) -> set[str]:
    return {service for service in SIGNED if answered(aws, source, service)}


def create(aws: LittleAws, network: Network, service: str = f"com.amazonaws.{REGION}.sqs", **more: Any) -> str:
    arguments = {"SubnetIds": network.subnets[:2], "SecurityGroupIds": [network.group], **more}
    made = aws.client("ec2").create_vpc_endpoint(
        VpcEndpointType="Interface", VpcId=network.vpc, ServiceName=service, **arguments
    )
    return str(made["VpcEndpoint"]["VpcEndpointId"])


def state(aws: LittleAws, identifier: str) -> str:
    found = aws.client("ec2").describe_vpc_endpoints(VpcEndpointIds=[identifier])["VpcEndpoints"]
    return str(found[0]["State"])


def name(aws: LittleAws, network: Network) -> None:
    for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
        aws.client("ec2").modify_vpc_attribute(VpcId=network.vpc, **{attribute: {"Value": True}})


def admit(aws: LittleAws, network: Network, *, port: int = 443) -> None:
    """Allow connections between the members at a port."""
    rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": [{"GroupId": network.group}]}
    aws.client("ec2").authorize_security_group_ingress(GroupId=network.group, IpPermissions=[rule])


def test_an_instance_without_internet_reaches_services_with_an_endpoint(
    aws: LittleAws, network: Network, source: str
) -> None:
    assert reached(aws, source) == set()
    assert not answered(aws, source, None)
    assert reached(aws, "127.0.0.1") == set(SIGNED), "who is no instance is not shut in"
    name(aws, network)
    identifier = create(aws, network)
    assert reached(aws, source) == set(), "it is on its way"
    until(lambda: state(aws, identifier) == "available", "the endpoint")
    assert reached(aws, source) == set(), "its security group lets nobody in"
    admit(aws, network)
    assert reached(aws, source) == {"sqs"}
    aws.client("ec2").modify_vpc_endpoint(VpcEndpointId=identifier, PrivateDnsEnabled=False)
    assert reached(aws, source) == set(), "the service's own name leads elsewhere"
    aws.client("ec2").modify_vpc_endpoint(VpcEndpointId=identifier, PrivateDnsEnabled=True)
    create(aws, network, f"com.amazonaws.{REGION}.monitoring")
    create(aws, network, "com.amazonaws.route53", ServiceRegion="us-east-1")
    until(lambda: reached(aws, source) == {"sqs", "monitoring", "route53"}, "the others")
    aws.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[identifier])
    assert reached(aws, source) == {"monitoring", "route53"}


def test_an_instance_reaches_s3_through_its_gateway_endpoint(aws: LittleAws, network: Network, source: str) -> None:
    ec2 = aws.client("ec2")
    table = ec2.create_route_table(VpcId=network.vpc)["RouteTable"]["RouteTableId"]
    s3 = {"VpcId": network.vpc, "ServiceName": f"com.amazonaws.{REGION}.s3", "RouteTableIds": [table]}
    ec2.create_vpc_endpoint(VpcEndpointType="Gateway", **s3)
    assert reached(aws, source) == set(), "its subnet has another"
    ec2.associate_route_table(RouteTableId=table, SubnetId=network.subnets[0])
    assert reached(aws, source) == {"s3"}


def test_a_gateway_endpoint_adds_and_deletes_routes_in_its_tables(aws: LittleAws, network: Network) -> None:
    ec2 = aws.client("ec2")
    first, second = (ec2.create_route_table(VpcId=network.vpc)["RouteTable"]["RouteTableId"] for _ in range(2))
    s3 = {"VpcId": network.vpc, "ServiceName": f"com.amazonaws.{REGION}.s3", "RouteTableIds": [first]}
    endpoint = ec2.create_vpc_endpoint(VpcEndpointType="Gateway", **s3)["VpcEndpoint"]["VpcEndpointId"]

    def routed() -> set[str]:
        tables = ec2.describe_route_tables(RouteTableIds=[first, second])["RouteTables"]
        return {
            table["RouteTableId"] for table in tables for route in table["Routes"] if route.get("GatewayId") == endpoint
        }

    assert routed() == {first}
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, AddRouteTableIds=[second], RemoveRouteTableIds=[first])
    assert routed() == {second}
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, AddRouteTableIds=[first])
    assert routed() == {first, second}
    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    assert routed() == set()


def test_an_endpoint_keeps_its_group_and_subnets_until_it_is_deleted(aws: LittleAws, network: Network) -> None:
    ec2 = aws.client("ec2")
    name(aws, network)
    identifier = create(aws, network)
    assert state(aws, identifier) == "pending"
    until(lambda: state(aws, identifier) == "available", "the endpoint")
    interfaces = ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert {interface["InterfaceType"] for interface in interfaces} == {"vpc_endpoint"}
    assert {interface["SubnetId"] for interface in interfaces} == set(network.subnets[:2])
    assert refused(lambda: ec2.delete_subnet(SubnetId=network.subnets[0])) == "DependencyViolation"
    assert refused(lambda: ec2.delete_security_group(GroupId=network.group)) == "DependencyViolation"
    ec2.delete_vpc_endpoints(VpcEndpointIds=[identifier])
    assert state(aws, identifier) == "deleting"
    assert refused(lambda: ec2.delete_vpc(VpcId=network.vpc)) == "DependencyViolation"
    until(lambda: ec2.describe_vpc_endpoints()["VpcEndpoints"] == [], "its end")
    for subnet in network.subnets:
        ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_security_group(GroupId=network.group)
    ec2.delete_vpc(VpcId=network.vpc)


def test_invalid_requests_are_refused_as_by_aws(aws: LittleAws, network: Network) -> None:
    ec2 = aws.client("ec2")
    assert refused(lambda: create(aws, network)) == "InvalidParameter", "the VPC has no names"
    name(aws, network)
    create(aws, network)
    assert refused(lambda: create(aws, network)) == "InvalidParameter", "another has the name"
    for service in (f"com.amazonaws.{REGION}.nothing", f"com.amazonaws.{REGION}.route53", "com.amazonaws.route53"):
        assert refused(create, aws=aws, network=network, service=service) == "InvalidServiceName"
    another = ec2.create_subnet(VpcId=network.vpc, CidrBlock="127.20.9.0/24", AvailabilityZone=f"{REGION}a")
    both = [network.subnets[0], another["Subnet"]["SubnetId"]]
    logs = f"com.amazonaws.{REGION}.logs"
    assert refused(lambda: create(aws, network, logs, SubnetIds=both)) == "DuplicateSubnetsInSameZone"


def test_services_with_an_endpoint_are_listed(aws: LittleAws) -> None:
    def found(*names: str, **more: Any) -> list[str]:
        filters = [{"Name": "service-name", "Values": list(names)}]
        told = aws.client("ec2").describe_vpc_endpoint_services(Filters=filters, **more)
        assert all(detail["AvailabilityZones"] for detail in told["ServiceDetails"])
        return sorted(told["ServiceNames"])

    here = [f"com.amazonaws.{REGION}.{service}" for service in ("ecr.dkr", "sqs")]
    assert found(*here, f"com.amazonaws.{REGION}.nothing", "com.amazonaws.route53") == here
    assert found("com.amazonaws.route53", ServiceRegions=["us-east-1"]) == ["com.amazonaws.route53"]


def test_without_a_route_to_the_internet_an_instance_only_reaches_aws() -> None:
    rules = ruleset(Wiring(seen_as={"10.0.0.4": None}))
    accepted = rules.index(f"ip saddr @shut_in ip daddr 198.19.0.1 tcp dport {{ {ECR_PORT}, {ENDPOINT_PORT} }} accept;")
    assert accepted < rules.index("ip saddr @shut_in ip daddr 198.19.0.1 drop;")
