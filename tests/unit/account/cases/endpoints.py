"""The interface endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.plugins.modules import interface_endpoints

from tests.unit.account.account import REGION, Account
from tests.unit.account.cases.case import CLUSTER, TAGS, Case
from tests.unit.account.ground import ENDPOINTS, MANAGER, OURS, ZONES, group_of, network, subnet_of, vpc_of


def prepare(account: Account) -> Mapping[str, Any]:
    built = network(account.aws)
    return {
        "cluster_name": CLUSTER,
        "tags": TAGS,
        "vpc_id": built.vpc,
        "subnets": built.private,
        "security_group": built.groups[ENDPOINTS],
        "services": ["ec2", "ecr.api", "route53", "sqs"],
    }


def endpoint(aws: AwsSession) -> dict[str, Any]:
    found = aws.client("ec2").describe_vpc_endpoints(Filters=OURS)["VpcEndpoints"]
    return next(endpoint for endpoint in found if endpoint["ServiceName"].endswith(".ec2"))


def look(aws: AwsSession) -> Any:
    groups = {
        security_group["GroupId"]: security_group["GroupName"]
        for security_group in aws.client("ec2").describe_security_groups()["SecurityGroups"]
    }
    zones = {
        subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in aws.client("ec2").describe_subnets()["Subnets"]
    }
    return [
        {
            "service": endpoint["ServiceName"],
            "zones": [zones[subnet] for subnet in endpoint.get("SubnetIds", [])],
            "groups": [groups[group["GroupId"]] for group in endpoint.get("Groups", [])],
            "private_dns": endpoint.get("PrivateDnsEnabled"),
            "tags": endpoint.get("Tags"),
        }
        for endpoint in aws.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    ]


def change(aws: AwsSession, **arguments: Any) -> None:
    aws.client("ec2").modify_vpc_endpoint(VpcEndpointId=endpoint(aws)["VpcEndpointId"], **arguments)


def move_to_another_group(aws: AwsSession) -> None:
    other = group_of(aws, MANAGER)["GroupId"]
    change(aws, AddSecurityGroupIds=[other], RemoveSecurityGroupIds=[group_of(aws, ENDPOINTS)["GroupId"]])


CASE = Case(
    module=interface_endpoints,
    prepare=prepare,
    look=look,
    drifts={
        "an endpoint lost a tag": lambda aws: aws.client("ec2").delete_tags(
            Resources=[endpoint(aws)["VpcEndpointId"]], Tags=[{"Key": "team"}]
        ),
        "an endpoint was deleted": lambda aws: aws.client("ec2").delete_vpc_endpoints(
            VpcEndpointIds=[endpoint(aws)["VpcEndpointId"]]
        ),
        "an endpoint left a zone": lambda aws: change(aws, RemoveSubnetIds=[subnet_of(aws, f"{ZONES[0]}-private")]),
        "an endpoint has another security group": move_to_another_group,
        "an endpoint lost its private name": lambda aws: change(aws, PrivateDnsEnabled=False),
        "an endpoint for what nobody calls was made": lambda aws: aws.client("ec2").create_vpc_endpoint(
            VpcEndpointType="Interface",
            VpcId=vpc_of(aws),
            ServiceName=f"com.amazonaws.{REGION}.kms",
            TagSpecifications=[
                {"ResourceType": "vpc-endpoint", "Tags": [{"Key": "swarm.aws/cluster", "Value": CLUSTER}]}
            ],
        ),
    },
)
