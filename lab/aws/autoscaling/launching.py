"""Launches a group's next instance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.utils import utcnow

from lab.aws import account, instances, launch_failures, world
from lab.aws.autoscaling.group import Group
from lab.aws.autoscaling.placement import subnets_for_next
from lab.aws.errors import AwsError
from lab.aws.instances import LabInstance


def specification(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The launch template in a group's settings: its ID or name, and its version if given."""
    policy = settings.get("MixedInstancesPolicy") or {}
    return policy.get("LaunchTemplate", {}).get("LaunchTemplateSpecification") or settings.get("LaunchTemplate") or {}


def template_version(wanted: dict[str, Any]) -> Any:
    """moto's version of the template in a specification. Raises moto's errors if there is none."""
    ec2 = world.ec2()
    if wanted.get("LaunchTemplateId"):
        template = ec2.get_launch_template(wanted["LaunchTemplateId"])
    else:
        template = ec2.get_launch_template_by_name(wanted.get("LaunchTemplateName"))
    return template.get_version(wanted.get("Version") or "$Default")


def launch_instance(group: Group, failed: Callable[[str], None]) -> tuple[LabInstance, dict[str, str]] | None:
    """Launch an instance in the zone with the fewest members, and return it with its template version.

    If a zone has none of the types or no capacity, the next zone is tried. ``failed`` gets each failed attempt's
    message; None if no attempt succeeds.
    """
    try:
        _assume_service_role(group)
        version = template_version(specification(group.settings))
    except ServiceException as error:
        failed(_message(error))
        return None
    template = {"LaunchTemplateId": version.template.id, "Version": str(version.number)}
    zone_of = {subnet.id: subnet.availability_zone for subnet in world.ec2().describe_subnets(group.subnets)}
    market = _market(group)
    types = _types(group, market) or [version.data.get("InstanceType")]
    for subnet in subnets_for_next(group.subnets, zone_of, group.members):
        for kind in types:
            try:
                reservation = instances.launch(
                    {**version.data, "InstanceType": kind},
                    subnet_id=subnet,
                    template=template,
                    tags=group.instance_tags(),
                    market=market,
                    scaling=True,
                )
            except ServiceException as error:
                refusal = error
                if error.code in launch_failures.ELSEWHERE:
                    continue
                break
            return reservation.instances[0], {**template, "LaunchTemplateName": version.template.name}
        mixed = "MixedInstancesPolicy" in group.settings
        bought = f"Could not launch {'Spot' if market == 'spot' else 'On-Demand'} Instances. {refusal.code} - "
        failed(f"{bought if mixed else ''}{_message(refusal)}")
        if refusal.code not in launch_failures.ELSEWHERE:
            return None
    return None


def _message(error: ServiceException) -> str:
    return f"{error.message}{'' if error.message.endswith('.') else '.'} Launching EC2 instance failed."


def _assume_service_role(group: Group) -> None:
    """Fail in the first seconds after the account's first group has created the service-linked role."""
    roles = {role.name: role for role in world.iam().roles.values()}
    role = roles.get(launch_failures.SERVICE_ROLE)
    if role is None or (utcnow() - role.create_date).total_seconds() < account.current.visible_seconds:
        raise AwsError(
            "AccessDenied",
            f"Access denied when attempting to assume role {launch_failures.SERVICE_ROLE_ARN}. "
            "Validating load balancer configuration failed.",
        )


def _types(group: Group, market: str | None) -> list[str]:
    """The instance types to try, if the group has several: for on-demand instances in their order, as AWS does.

    For spot instances AWS takes the type with the most spare capacity. The lab takes the type with the fewest members,
    so that a group really has several types.
    """
    policy = group.settings.get("MixedInstancesPolicy") or {}
    overrides = policy.get("LaunchTemplate", {}).get("Overrides") or []
    types = [override["InstanceType"] for override in overrides if override.get("InstanceType")]
    if market != "spot":
        return types
    present = Counter(
        member.instance.instance_type for member in group.members if member.counts and member.instance.spot
    )
    return sorted(types, key=lambda kind: present[kind])


def _market(group: Group) -> str | None:
    if not group.distribution:
        return None
    base = group.distribution.get("OnDemandBaseCapacity", 0)
    share = group.distribution.get("OnDemandPercentageAboveBaseCapacity", 100)
    on_demand = sum(1 for member in group.members if member.counts and not member.instance.spot)
    total = sum(1 for member in group.members if member.counts) + 1
    wanted_on_demand = min(total, base) + -(-max(0, total - base) * share // 100)
    return None if on_demand < wanted_on_demand else "spot"
