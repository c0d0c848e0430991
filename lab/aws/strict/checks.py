"""Checks that a call passes before moto sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lab.aws.calls import Call
from lab.aws.strict import dependencies, groups, launch_templates, policies, records

Check = Callable[[Mapping[str, Any]], None]
_CHECKS: dict[tuple[str, str], Check] = {
    ("route53", "ChangeResourceRecordSets"): records.check,
    ("ec2", "CreateLaunchTemplate"): launch_templates.check_new,
    ("ec2", "CreateLaunchTemplateVersion"): launch_templates.check_version,
    ("autoscaling", "CreateAutoScalingGroup"): groups.check,
    ("autoscaling", "UpdateAutoScalingGroup"): groups.check,
    ("ec2", "DeleteVpc"): dependencies.check_vpc,
    ("ec2", "DeleteSubnet"): dependencies.check_subnet,
    ("ec2", "DeleteSecurityGroup"): dependencies.check_security_group,
    ("ec2", "DetachInternetGateway"): dependencies.check_gateway_detached,
    ("ec2", "DeleteInternetGateway"): dependencies.check_gateway,
    ("ec2", "ReleaseAddress"): dependencies.check_address,
    ("iam", "CreatePolicy"): policies.check,
    ("iam", "CreatePolicyVersion"): policies.check,
    ("iam", "PutGroupPolicy"): policies.check,
    ("iam", "PutRolePolicy"): policies.check,
    ("iam", "PutUserPolicy"): policies.check,
    ("iam", "DeleteRole"): dependencies.check_role,
    ("iam", "DeleteInstanceProfile"): dependencies.check_profile,
}


def check(call: Call) -> None:
    """Return if AWS would take the call. Raises AwsError."""
    found = _CHECKS.get((call.service or "", call.action))
    if found is not None:
        found(call.parameters)
