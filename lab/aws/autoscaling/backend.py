"""Auto Scaling's groups by name, and the checks of a group's settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from moto.autoscaling import urls
from moto.autoscaling.models import AutoScalingBackend
from moto.core.exceptions import ServiceException

from lab.aws import world
from lab.aws.autoscaling.group import Activity, Group, Member
from lab.aws.autoscaling.launching import specification, template_version
from lab.aws.autoscaling.loop import Loop
from lab.aws.errors import invalid

_SPOT_STRATEGIES = ("lowest-price", "capacity-optimized", "capacity-optimized-prioritized", "price-capacity-optimized")


class LabAutoScaling(AutoScalingBackend):
    """moto's Auto Scaling with the lab's groups, members and hooks."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.groups: dict[str, Group] = {}
        self.activities: list[Activity] = []
        self.loop = Loop(self.activities)

    @property
    def _url_module(self) -> Any:
        # moto expects it in the class's package.
        return urls

    def step(self) -> None:
        """Run a round of the control loop."""
        for group in list(self.groups.values()):
            self.loop.step(group)
            if group.deleting and not group.members:
                del self.groups[group.name]

    def members(self) -> Iterator[Member]:
        for group in self.groups.values():
            yield from group.members

    def group(self, name: str) -> Group:
        if name not in self.groups:
            raise invalid(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
        return self.groups[name]

    def member(self, instance_id: str) -> Member:
        for member in self.members():
            if member.instance.id == instance_id:
                return member
        raise invalid(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")

    def check(self, group: Group) -> None:
        """Raises AwsError for invalid settings."""
        settings = group.settings
        low, desired, high = (settings[key] for key in ("MinSize", "DesiredCapacity", "MaxSize"))
        if low > high:
            raise invalid(f"Max bound, {high}, must be greater than or equal to min bound, {low}")
        if not low <= desired <= high:
            raise invalid(
                f"Desired capacity:{desired} must be between the specified min size:{low} and max size:{high}"
            )
        if not group.subnets:
            raise invalid("At least one Availability Zone or VPC Subnet is required.")
        known = {subnet.id for subnet in self.ec2_backend.describe_subnets()}
        unknown = [subnet for subnet in group.subnets if subnet not in known]
        if unknown:
            raise invalid(f"The subnet ID '{unknown[0]}' does not exist")
        if bool(settings.get("LaunchTemplate")) == bool(settings.get("MixedInstancesPolicy")):
            raise invalid(
                "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId "
                "or MixedInstancesPolicy parameter."
            )
        _check_distribution(group.distribution)
        # Also while the pool is being deleted.
        if group.warm_pool is not None and group.spot:
            raise invalid("Warm pools are not supported for groups of Spot Instances.")
        _check_template(group)

    def notify_terminate_instances(self, instance_ids: list[str]) -> None:
        """Do nothing: the control loop notices a terminated instance."""


def _check_template(group: Group) -> None:
    wanted = specification(group.settings)
    try:
        version = template_version(wanted)
    except ServiceException as error:
        raise invalid(f"You must use a valid fully-formed launch template. {error.message}") from error
    # As AWS does, show both the ID and the name.
    wanted |= {"LaunchTemplateId": version.template.id, "LaunchTemplateName": version.template.name}
    profile = version.data.get("IamInstanceProfile") or {}
    name = profile.get("Name") or profile.get("Arn", "").rsplit("/", 1)[-1]
    if name and name not in {known.name for known in world.iam().instance_profiles.values()}:
        raise invalid(
            "You must use a valid fully-formed launch template. "
            f"Value ({name}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
        )


def _check_distribution(distribution: Mapping[str, Any]) -> None:
    if not 0 <= distribution.get("OnDemandPercentageAboveBaseCapacity", 100) <= 100:
        raise invalid("OnDemandPercentageAboveBaseCapacity must be between 0 and 100.")
    if distribution.get("OnDemandBaseCapacity", 0) < 0:
        raise invalid("OnDemandBaseCapacity must not be negative.")
    strategy = distribution.get("SpotAllocationStrategy")
    if strategy is not None and strategy not in _SPOT_STRATEGIES:
        raise invalid(f"{strategy} is not a supported Spot allocation strategy.")
