"""Launches a group's next instance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from lab.aws import instances, world
from lab.aws.autoscaling.group import Group
from lab.aws.autoscaling.placement import subnet_for_next
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


def launch_instance(group: Group) -> tuple[LabInstance, dict[str, str]]:
    """Launch an instance in the zone with the fewest members, and return it with its template version."""
    version = template_version(specification(group.settings))
    template = {"LaunchTemplateId": version.template.id, "Version": str(version.number)}
    zone_of = {subnet.id: subnet.availability_zone for subnet in world.ec2().describe_subnets(group.subnets)}
    market = _market(group)
    reservation = instances.launch(
        {**version.data, **_override(group, market)},
        subnet_id=subnet_for_next(group.subnets, zone_of, group.members),
        template=template,
        tags=group.instance_tags(),
        market=market,
    )
    return reservation.instances[0], {**template, "LaunchTemplateName": version.template.name}


def _override(group: Group, market: str | None) -> dict[str, Any]:
    """The instance type, if the group has several: for on-demand instances the first type, as AWS does.

    For spot instances AWS takes the type with the most spare capacity. The lab takes the type with the fewest members,
    so that a group really has several types.
    """
    policy = group.settings.get("MixedInstancesPolicy") or {}
    overrides = policy.get("LaunchTemplate", {}).get("Overrides") or []
    types = [override["InstanceType"] for override in overrides if override.get("InstanceType")]
    if not types:
        return {}
    present = Counter(
        member.instance.instance_type for member in group.members if member.counts and member.instance.spot
    )
    return {"InstanceType": min(types, key=lambda kind: present[kind]) if market == "spot" else types[0]}


def _market(group: Group) -> str | None:
    if not group.distribution:
        return None
    base = group.distribution.get("OnDemandBaseCapacity", 0)
    share = group.distribution.get("OnDemandPercentageAboveBaseCapacity", 100)
    on_demand = sum(1 for member in group.members if member.counts and not member.instance.spot)
    total = sum(1 for member in group.members if member.counts) + 1
    wanted_on_demand = min(total, base) + -(-max(0, total - base) * share // 100)
    return None if on_demand < wanted_on_demand else "spot"
