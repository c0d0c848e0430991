"""The interface endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils.provision.shell import Aws
from ansible_collections.swarm.aws.plugins.modules import interface_endpoints

from tests.unit.provision_modules.account import REGION, Account, tags_of
from tests.unit.provision_modules.cases import network, security
from tests.unit.provision_modules.cases.case import CLUSTER, TAGS, Case

GROUP = f"{CLUSTER}-endpoints"
NETWORK = {**network.PRIVATE_PARAMS, "nat": "none"}
GROUPS = [
    *security.GROUPS,
    {"name": GROUP, "description": "Endpoints", "rules": [security.rule(443, "nodes", group=security.WORKER)]},
]
PLANNED = {
    "cluster_name": CLUSTER,
    "tags": TAGS,
    "subnets": dict.fromkeys(network.PARAMS["zones"]),
    "services": ["ec2", "ecr.api", "route53", "sqs"],
}


def params(account: Account, nat: str = "none") -> dict[str, Any]:
    """The parameters, for a network that is built, and the security groups as the configuration has them then."""
    net = network.CASE.run(account, {**NETWORK, "nat": nat})
    groups = GROUPS if nat == "none" else security.GROUPS
    ids = security.CASE.run(account, {**security.PLANNED, "groups": groups, "vpc_id": net["vpc_id"]})["ids"]
    return {
        **PLANNED,
        "vpc_id": net["vpc_id"],
        "subnets": net["private_subnets"],
        "security_group": ids.get(GROUP),
        "services": PLANNED["services"] if nat == "none" else [],
    }


def prepare(account: Account) -> Mapping[str, Any]:
    return params(account)


def endpoint(aws: Aws, name: str = "ec2") -> dict[str, Any]:
    found = aws.ec2.describe_vpc_endpoints(Filters=network.OURS)["VpcEndpoints"]
    return next(one for one in found if one["ServiceName"].endswith(f".{name}"))


def look(aws: Aws) -> Any:
    groups = {one["GroupId"]: one["GroupName"] for one in aws.ec2.describe_security_groups()["SecurityGroups"]}
    zones = {one["SubnetId"]: one["AvailabilityZone"] for one in aws.ec2.describe_subnets()["Subnets"]}
    interfaces = aws.ec2.describe_network_interfaces()["NetworkInterfaces"]
    return {
        "network": network.look(aws),
        "endpoints": [
            {
                "service": one["ServiceName"],
                "zones": [zones[subnet] for subnet in one.get("SubnetIds", [])],
                "groups": [groups[group["GroupId"]] for group in one.get("Groups", [])],
                "private_dns": one.get("PrivateDnsEnabled"),
                "tags": tags_of(one),
            }
            for one in aws.ec2.describe_vpc_endpoints()["VpcEndpoints"]
        ],
        "interfaces": [
            {"zone": one["AvailabilityZone"], "groups": [groups[group["GroupId"]] for group in one["Groups"]]}
            for one in interfaces
            if one["InterfaceType"] == "vpc_endpoint"
        ],
        "security_groups": sorted(groups.values()),
    }


def change(aws: Aws, **arguments: Any) -> None:
    aws.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint(aws)["VpcEndpointId"], **arguments)


def move_to_another_group(aws: Aws) -> None:
    other = security.group(aws, security.MANAGER)["GroupId"]
    change(aws, AddSecurityGroupIds=[other], RemoveSecurityGroupIds=[security.group(aws, GROUP)["GroupId"]])


CASE = Case(
    module=interface_endpoints,
    prepare=prepare,
    planned=PLANNED,
    look=look,
    drifts={
        "an endpoint lost a tag": lambda aws: network.untag(aws, endpoint(aws)["VpcEndpointId"]),
        "an endpoint was deleted": lambda aws: aws.ec2.delete_vpc_endpoints(
            VpcEndpointIds=[endpoint(aws)["VpcEndpointId"]]
        ),
        "an endpoint left a zone": lambda aws: change(aws, RemoveSubnetIds=[network.private_subnet(aws)]),
        "an endpoint has another security group": move_to_another_group,
        "an endpoint lost its private name": lambda aws: change(aws, PrivateDnsEnabled=False),
        "an endpoint for what nobody calls was made": lambda aws: aws.ec2.create_vpc_endpoint(
            VpcEndpointType="Interface",
            VpcId=network.vpc(aws),
            ServiceName=f"com.amazonaws.{REGION}.kms",
            TagSpecifications=[
                {"ResourceType": "vpc-endpoint", "Tags": [{"Key": "swarm.aws/cluster", "Value": CLUSTER}]}
            ],
        ),
    },
)
