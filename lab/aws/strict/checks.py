"""Checks calls before moto handles them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from moto.core.exceptions import ServiceException

from lab.aws.autoscaling.launching import specification, template_version
from lab.aws.calls import Call
from lab.aws.errors import AwsError, invalid
from lab.aws.strict import dependencies, launch_templates, records

MOST_OF_A_MANAGED_POLICY = 6144
_MOST = {"RoleName": 10240, "GroupName": 5120, "UserName": 2048}


def check(call: Call) -> None:
    """Raises AwsError if AWS would refuse the call."""
    found = _CHECKS.get((call.service or "", call.action))
    if found is not None:
        found(call.parameters)


def _check_policy(parameters: Mapping[str, Any]) -> None:
    """Check the size of a policy document without white space."""
    most = next((most for name, most in _MOST.items() if parameters.get(name)), MOST_OF_A_MANAGED_POLICY)
    if len(re.sub(r"\s", "", str(parameters.get("PolicyDocument") or ""))) > most:
        raise AwsError("LimitExceeded", f"Cannot exceed quota for PolicySize: {most}", 409)


def _check_group(parameters: Mapping[str, Any]) -> None:
    """Check that an instance can be launched from a group's template."""
    named = specification(parameters)
    if not named:
        return
    try:
        launch_templates.check_launchable(template_version(named).data)
    except ServiceException as error:
        raise invalid(f"You must use a valid fully-formed launch template. {error.message}") from error


def _check_security_group(parameters: Mapping[str, Any]) -> None:
    """Check that a security group's name does not look like an ID."""
    name = str(parameters.get("GroupName") or "")
    if name.startswith("sg-"):
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({name}) for parameter GroupName is invalid. Group names may not be in the format sg-*.",
        )


_CHECKS: dict[tuple[str, str], Callable[[Mapping[str, Any]], None]] = {
    ("route53", "ChangeResourceRecordSets"): records.check,
    ("ec2", "CreateLaunchTemplate"): launch_templates.check_new,
    ("ec2", "CreateLaunchTemplateVersion"): launch_templates.check_version,
    ("autoscaling", "CreateAutoScalingGroup"): _check_group,
    ("autoscaling", "UpdateAutoScalingGroup"): _check_group,
    ("ec2", "CreateSecurityGroup"): _check_security_group,
    ("ec2", "DeleteVpc"): dependencies.check_vpc,
    ("ec2", "DeleteSubnet"): dependencies.check_subnet,
    ("ec2", "DeleteSecurityGroup"): dependencies.check_security_group,
    ("ec2", "DetachInternetGateway"): dependencies.check_gateway_detached,
    ("ec2", "ReleaseAddress"): dependencies.check_address,
    ("iam", "CreatePolicy"): _check_policy,
    ("iam", "CreatePolicyVersion"): _check_policy,
    ("iam", "PutGroupPolicy"): _check_policy,
    ("iam", "PutRolePolicy"): _check_policy,
    ("iam", "PutUserPolicy"): _check_policy,
}
