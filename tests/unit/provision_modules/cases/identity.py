"""The roles and their instance profiles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils.provision.shell import Aws
from ansible_collections.swarm.aws.plugins.modules import node_roles

from tests.unit.provision_modules.account import Account
from tests.unit.provision_modules.cases.case import CLUSTER, TAGS, Case

MANAGER, WORKER = f"{CLUSTER}-manager", f"{CLUSTER}-worker"


def allow(action: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": [action], "Resource": ["*"]}]}


def trust(service: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


PARAMS: Mapping[str, Any] = {
    "cluster_name": CLUSTER,
    "tags": TAGS,
    "trust": trust("ec2.amazonaws.com"),
    "roles": [
        {"name": MANAGER, "description": "Managers", "policy": allow("ec2:DescribeInstances")},
        {"name": WORKER, "description": "Workers", "policy": allow("s3:GetObject")},
    ],
}


def prepare(_: Account) -> Mapping[str, Any]:
    return PARAMS


def look(aws: Aws) -> Any:
    iam = aws.iam
    return {
        "roles": [
            {
                "name": role["RoleName"],
                "description": role["Description"],
                "trust": role["AssumeRolePolicyDocument"],
                "tags": iam.list_role_tags(RoleName=role["RoleName"])["Tags"],
                "policies": {
                    name: iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)["PolicyDocument"]
                    for name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
                },
            }
            for role in iam.list_roles()["Roles"]
        ],
        "profiles": [
            {
                "name": profile["InstanceProfileName"],
                "roles": [role["RoleName"] for role in profile["Roles"]],
                "tags": iam.get_instance_profile(InstanceProfileName=profile["InstanceProfileName"])["InstanceProfile"][
                    "Tags"
                ],
            }
            for profile in iam.list_instance_profiles()["InstanceProfiles"]
        ],
    }


def swap_role(aws: Aws) -> None:
    aws.iam.remove_role_from_instance_profile(InstanceProfileName=WORKER, RoleName=WORKER)
    aws.iam.add_role_to_instance_profile(InstanceProfileName=WORKER, RoleName=MANAGER)


def lose_profile(aws: Aws) -> None:
    aws.iam.remove_role_from_instance_profile(InstanceProfileName=WORKER, RoleName=WORKER)
    aws.iam.delete_instance_profile(InstanceProfileName=WORKER)


def lose_role(aws: Aws) -> None:
    lose_profile(aws)
    aws.iam.delete_role_policy(RoleName=WORKER, PolicyName="swarm")
    aws.iam.delete_role(RoleName=WORKER)


CASE = Case(
    module=node_roles,
    prepare=prepare,
    planned=PARAMS,
    look=look,
    drifts={
        "others may act under a role": lambda aws: aws.iam.update_assume_role_policy(
            RoleName=MANAGER, PolicyDocument=json.dumps(trust("lambda.amazonaws.com"))
        ),
        "a role may do more": lambda aws: aws.iam.put_role_policy(
            RoleName=WORKER, PolicyName="swarm", PolicyDocument=json.dumps(allow("*"))
        ),
        "a role may do nothing": lambda aws: aws.iam.delete_role_policy(RoleName=WORKER, PolicyName="swarm"),
        "a role lost a tag": lambda aws: aws.iam.untag_role(RoleName=WORKER, TagKeys=["team"]),
        "a role was deleted": lose_role,
        "a profile has no role": lambda aws: aws.iam.remove_role_from_instance_profile(
            InstanceProfileName=WORKER, RoleName=WORKER
        ),
        "a profile has another role": swap_role,
        "a profile was deleted": lose_profile,
        "a profile lost a tag": lambda aws: aws.iam.untag_instance_profile(
            InstanceProfileName=WORKER, TagKeys=["team"]
        ),
    },
)
