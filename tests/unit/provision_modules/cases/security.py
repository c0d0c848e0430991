"""The security groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils.provision.shell import Aws
from ansible_collections.swarm.aws.plugins.modules import security_groups

from tests.unit.provision_modules.account import Account, tags_of
from tests.unit.provision_modules.cases import network
from tests.unit.provision_modules.cases.case import CLUSTER, TAGS, Case

MANAGER, WORKER = f"{CLUSTER}-manager", f"{CLUSTER}-worker"


def rule(port: int, description: str, **source: str) -> dict[str, Any]:
    return {"port": port, "description": description, **source}


GROUPS = [
    {
        "name": MANAGER,
        "description": "Managers",
        "rules": [
            rule(2377, "managers join", group=MANAGER),
            rule(2377, "workers join", group=WORKER),
            rule(80, "web", cidr="0.0.0.0/0"),
            rule(80, "web", cidr="::/0"),
        ],
    },
    {
        "name": WORKER,
        "description": "Workers",
        "rules": [
            rule(7946, "gossip", group=MANAGER, protocol="udp"),
            rule(22, "SSH", cidr="192.0.2.0/24"),
        ],
    },
]
PLANNED = {"cluster_name": CLUSTER, "tags": TAGS, "groups": GROUPS}


def prepare(account: Account) -> Mapping[str, Any]:
    return {**PLANNED, "vpc_id": network.CASE.run(account, network.PARAMS)["vpc_id"]}


def group(aws: Aws, name: str) -> dict[str, Any]:
    found = aws.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [name]}])
    return found["SecurityGroups"][0]


def look(aws: Aws) -> Any:
    found = aws.ec2.describe_security_groups()["SecurityGroups"]
    names = {one["GroupId"]: one["GroupName"] for one in found}
    return [
        {
            "name": one["GroupName"],
            "description": one["Description"],
            "tags": tags_of(one),
            "rules": [
                [
                    opened["IpProtocol"],
                    opened.get("FromPort"),
                    opened.get("ToPort"),
                    source.get("CidrIp") or source.get("CidrIpv6") or names[source["GroupId"]],
                    source.get("Description"),
                ]
                for opened in one["IpPermissions"]
                for source in [*opened["IpRanges"], *opened["Ipv6Ranges"], *opened["UserIdGroupPairs"]]
            ],
            "egress": [[opened["IpProtocol"], opened["IpRanges"]] for opened in one["IpPermissionsEgress"]],
        }
        for one in found
        if one["GroupName"] != "default"
    ]


def close(aws: Aws, name: str, port: int) -> None:
    found = group(aws, name)
    closed = [one for one in found["IpPermissions"] if one["FromPort"] == port]
    aws.ec2.revoke_security_group_ingress(GroupId=found["GroupId"], IpPermissions=closed)


def open_more(aws: Aws, name: str, **permission: Any) -> None:
    aws.ec2.authorize_security_group_ingress(GroupId=group(aws, name)["GroupId"], IpPermissions=[permission])


def describe_anew(aws: Aws) -> None:
    close(aws, MANAGER, 80)
    anyone = [{"CidrIp": "0.0.0.0/0", "Description": "who knows"}]
    open_more(aws, MANAGER, IpProtocol="tcp", FromPort=80, ToPort=80, IpRanges=anyone)


def delete_worker(aws: Aws) -> None:
    worker = group(aws, WORKER)["GroupId"]
    close(aws, MANAGER, 2377)
    aws.ec2.delete_security_group(GroupId=worker)


CASE = Case(
    module=security_groups,
    prepare=prepare,
    planned=PLANNED,
    look=look,
    drifts={
        "a group lost a tag": lambda aws: aws.ec2.delete_tags(
            Resources=[group(aws, MANAGER)["GroupId"]], Tags=[{"Key": "team"}]
        ),
        "a rule between groups was removed": lambda aws: close(aws, MANAGER, 2377),
        "a rule for addresses was removed": lambda aws: close(aws, WORKER, 22),
        "SSH was opened to the world": lambda aws: open_more(
            aws, WORKER, IpProtocol="tcp", FromPort=22, ToPort=22, IpRanges=[{"CidrIp": "0.0.0.0/0"}]
        ),
        "a range of ports was opened": lambda aws: open_more(
            aws, WORKER, IpProtocol="tcp", FromPort=2000, ToPort=3000, IpRanges=[{"CidrIp": "0.0.0.0/0"}]
        ),
        "everything was opened": lambda aws: open_more(
            aws, MANAGER, IpProtocol="-1", IpRanges=[{"CidrIp": "198.51.100.0/24"}]
        ),
        "a port was opened to IPv6": lambda aws: open_more(
            aws, MANAGER, IpProtocol="tcp", FromPort=2375, ToPort=2375, Ipv6Ranges=[{"CidrIpv6": "::/0"}]
        ),
        "a rule got another description": describe_anew,
        "a group was deleted": delete_worker,
    },
)
