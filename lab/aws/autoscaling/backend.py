"""Auto Scaling's account: its groups by name, and what the API does to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from moto.autoscaling import urls
from moto.autoscaling.models import AutoScalingBackend
from moto.core.exceptions import ServiceException

from lab.aws import world
from lab.aws.autoscaling.group import WARMED, Action, Activity, Group, Hook, Member, ScalingPolicy
from lab.aws.autoscaling.launching import specification, template_version
from lab.aws.autoscaling.loop import Loop
from lab.aws.errors import AwsError

_SPOT_STRATEGIES = (
    "lowest-price",
    "capacity-optimized",
    "capacity-optimized-prioritized",
    "price-capacity-optimized",
)


class LabAutoScaling(AutoScalingBackend):
    """moto's Auto Scaling, but for its groups, their members and their hooks."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.groups: dict[str, Group] = {}
        self.activities: list[Activity] = []
        self.loop = Loop(self.activities)

    @property
    def _url_module(self) -> Any:
        # moto looks for it beside the class.
        return urls

    def step(self) -> None:
        """One round of the control loop."""
        for group in list(self.groups.values()):
            self.loop.step(group)
            if group.deleting and not group.members:
                del self.groups[group.name]

    def members(self) -> Iterator[Member]:
        for group in self.groups.values():
            yield from group.members

    def group(self, name: str) -> Group:
        if name not in self.groups:
            raise AwsError("ValidationError", f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
        return self.groups[name]

    def member(self, instance_id: str) -> Member:
        for member in self.members():
            if member.instance.id == instance_id:
                return member
        raise AwsError(
            "ValidationError", f"Instance Id not found - No managed instance found for instance ID: {instance_id}"
        )

    # Groups

    def create(self, name: str, settings: dict[str, Any], hooks: list[Hook], tags: list[dict[str, Any]]) -> None:
        if name in self.groups:
            state = "is pending deletion" if self.groups[name].deleting else "already exists"
            raise AwsError("AlreadyExists", f"AutoScalingGroup by this name {state} - A group with the name {name}")
        group = Group(name, settings)
        group.settings.setdefault("DesiredCapacity", group.settings["MinSize"])
        self._check(group)
        group.hooks = {hook.name: hook for hook in hooks}
        self.groups[name] = group
        self.tag([{**tag, "ResourceId": name} for tag in tags])

    def update(self, name: str, settings: dict[str, Any]) -> None:
        group = self.group(name)
        if group.deleting:
            raise AwsError("ScalingActivityInProgress", f"Group {name} is being deleted")
        before = dict(group.settings)
        # The two say the same, so that one replaces the other.
        for one, other in (("LaunchTemplate", "MixedInstancesPolicy"), ("MixedInstancesPolicy", "LaunchTemplate")):
            if one in settings:
                group.settings.pop(other, None)
        group.settings.update(settings)
        if "DesiredCapacity" not in settings:
            low, high = int(group.settings["MinSize"]), int(group.settings["MaxSize"])
            group.settings["DesiredCapacity"] = min(max(int(before["DesiredCapacity"]), low), high)
        try:
            self._check(group)
        except AwsError:
            group.settings = before
            raise

    def delete(self, name: str, *, force: bool) -> None:
        group = self.group(name)
        if group.members and not force:
            raise AwsError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot "
                "instance request(s) still in the group.",
            )
        group.deleting = True
        if not force:
            return
        for member in group.members:
            self._end_without_waiting(group, member, "the group was deleted by force.")

    def _end_without_waiting(self, group: Group, member: Member, cause: str) -> None:
        """Forced deletion does not wait for lifecycle actions."""
        if not member.leaving:
            self.loop.begin_termination(group, member, cause)
        member.state, member.actions = f"{WARMED if member.warmed else ''}Terminating:Proceed", {}

    def desire(self, name: str, capacity: int) -> None:
        group = self.group(name)
        low, high = int(group.settings["MinSize"]), int(group.settings["MaxSize"])
        if capacity > high:
            raise AwsError(
                "ValidationError",
                f"New SetDesiredCapacity value {capacity} is above max value {high} for the AutoScalingGroup.",
            )
        if capacity < low:
            raise AwsError(
                "ValidationError",
                f"New SetDesiredCapacity value {capacity} is below min value {low} for the AutoScalingGroup.",
            )
        group.settings["DesiredCapacity"] = capacity

    def tag(self, tags: list[dict[str, Any]]) -> None:
        for tag in tags:
            group = self.group(tag["ResourceId"])
            new = {
                "ResourceId": group.name,
                "ResourceType": "auto-scaling-group",
                "Key": tag["Key"],
                "Value": tag.get("Value", ""),
                "PropagateAtLaunch": str(tag.get("PropagateAtLaunch", False)).lower() == "true",
            }
            group.tags = [old for old in group.tags if old["Key"] != tag["Key"]] + [new]

    def untag(self, tags: list[dict[str, Any]]) -> None:
        for tag in tags:
            group = self.group(tag["ResourceId"])
            group.tags = [old for old in group.tags if old["Key"] != tag["Key"]]

    def _check(self, group: Group) -> None:
        settings = group.settings
        low, desired, high = (int(settings[key]) for key in ("MinSize", "DesiredCapacity", "MaxSize"))
        if low > high:
            raise AwsError("ValidationError", f"Max bound, {high}, must be greater than or equal to min bound, {low}")
        if not low <= desired <= high:
            raise AwsError(
                "ValidationError",
                f"Desired capacity:{desired} must be between the specified min size:{low} and max size:{high}",
            )
        if not group.subnets:
            raise AwsError("ValidationError", "At least one Availability Zone or VPC Subnet is required.")
        known = {subnet.id for subnet in self.ec2_backend.describe_subnets()}
        unknown = [one for one in group.subnets if one not in known]
        if unknown:
            raise AwsError("ValidationError", f"The subnet ID '{unknown[0]}' does not exist")
        if bool(settings.get("LaunchTemplate")) == bool(settings.get("MixedInstancesPolicy")):
            raise AwsError(
                "ValidationError",
                "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId "
                "or MixedInstancesPolicy parameter.",
            )
        _check_distribution((settings.get("MixedInstancesPolicy") or {}).get("InstancesDistribution") or {})
        self._check_template(group)

    def _check_template(self, group: Group) -> None:
        wanted = specification(group)
        try:
            version = template_version(wanted)
        except ServiceException as error:
            raise AwsError(
                "ValidationError", f"You must use a valid fully-formed launch template. {error.message}"
            ) from error
        # As AWS does, show both the ID and the name, whichever was given.
        wanted["LaunchTemplateId"], wanted["LaunchTemplateName"] = version.template.id, version.template.name
        if group.settings.get("MixedInstancesPolicy"):
            group.settings["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"] = wanted
        else:
            group.settings["LaunchTemplate"] = wanted
        profile = version.data.get("IamInstanceProfile") or {}
        name = profile.get("Name") or profile.get("Arn", "").rsplit("/", 1)[-1]
        if name and name not in {one.name for one in world.iam().instance_profiles.values()}:
            raise AwsError(
                "ValidationError",
                "You must use a valid fully-formed launch template. "
                f"Value ({name}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
            )

    def keep_warm(self, name: str, pool: dict[str, Any]) -> None:
        """Have a warm pool, of stopped instances alone."""
        group = self.group(name)
        distribution = (group.settings.get("MixedInstancesPolicy") or {}).get("InstancesDistribution") or {}
        # Several types have been taken since November 2025.
        if int(distribution.get("OnDemandPercentageAboveBaseCapacity", 100)) < 100:
            raise AwsError("ValidationError", "Warm pools are not supported for groups of Spot Instances.")
        if pool.get("PoolState", "Stopped") != "Stopped":
            raise AwsError("ValidationError", f"The lab's warm pools are Stopped, not {pool['PoolState']}.")
        if (group.warm_pool or {}).get("Status"):
            raise AwsError("ScalingActivityInProgress", f"The warm pool of {name} is being deleted.")
        group.warm_pool = {"MinSize": 0, "PoolState": "Stopped", **pool}

    def drop_warm_pool(self, name: str, *, force: bool) -> None:
        """Begin to delete the warm pool, which is there until the last of its instances has ended."""
        group = self.group(name)
        if group.warm_pool is None:
            raise AwsError("ValidationError", f"No warm pool found for {name}")
        group.warm_pool = {**group.warm_pool, "Status": "PendingDelete"}
        for member in group.members if force else ():
            if member.warmed:
                self._end_without_waiting(group, member, "the warm pool was deleted by force.")

    # Policies

    def put_policy(self, group_name: str, given: Mapping[str, Any]) -> None:
        if given.get("PolicyType") != "TargetTrackingScaling":
            raise AwsError("ValidationError", "The lab's scaling policies are of the type TargetTrackingScaling.")
        tracking = given["TargetTrackingConfiguration"]
        if not tracking.get("CustomizedMetricSpecification"):
            raise AwsError("ValidationError", "The lab's target tracking follows customized metrics alone.")
        group, name = self.group(group_name), given["PolicyName"]
        keys = ("PolicyType", "EstimatedInstanceWarmup", "TargetTrackingConfiguration")
        group.policies[name] = ScalingPolicy(name, {key: given[key] for key in keys if key in given})

    def drop_policy(self, group_name: str, name: str) -> None:
        if self.group(group_name).policies.pop(name, None) is None:
            raise AwsError("ValidationError", f"The scaling policy {name} was not found")

    # Hooks

    def put_hook(self, group_name: str, given: Mapping[str, Any]) -> None:
        group = self.group(group_name)
        present = group.hooks.get(given["LifecycleHookName"])
        group.hooks[given["LifecycleHookName"]] = hook_from(given, present)

    def delete_hook(self, group_name: str, name: str) -> None:
        group = self.group(group_name)
        if name not in group.hooks:
            raise AwsError(
                "ValidationError", f"No Lifecycle Hook found for AutoScalingGroup {group_name} with name {name}"
            )
        del group.hooks[name]
        for member in group.members:
            # Whoever waits for it goes on.
            if name in member.actions:
                member.actions[name].result = "ABANDON" if member.state.endswith("Pending:Wait") else "CONTINUE"

    def action(self, group_name: str, hook: str, instance_id: str | None, token: str | None) -> Action:
        for member in self.group(group_name).members:
            action = member.actions.get(hook)
            waiting = action is not None and action.result is None and member.state.endswith(":Wait")
            if (
                action is not None
                and waiting
                and (action.token == token if token else member.instance.id == instance_id)
            ):
                return action
        asked = f"instance ID {instance_id}" if instance_id else f"token {token}"
        raise AwsError("ValidationError", f"No active Lifecycle Action found with {asked}")

    # What moto's EC2 says; the control loop notices by itself.

    def notify_terminate_instances(self, instance_ids: list[str]) -> None:
        """Nothing: a terminated instance is seen at the next step."""


def _check_distribution(distribution: Mapping[str, Any]) -> None:
    share = distribution.get("OnDemandPercentageAboveBaseCapacity")
    if share is not None and not 0 <= int(share) <= 100:
        raise AwsError("ValidationError", "OnDemandPercentageAboveBaseCapacity must be between 0 and 100.")
    if int(distribution.get("OnDemandBaseCapacity") or 0) < 0:
        raise AwsError("ValidationError", "OnDemandBaseCapacity must not be negative.")
    strategy = distribution.get("SpotAllocationStrategy")
    if strategy is not None and strategy not in _SPOT_STRATEGIES:
        raise AwsError("ValidationError", f"{strategy} is not a supported Spot allocation strategy.")


def hook_from(given: Mapping[str, Any], present: Hook | None = None) -> Hook:
    """A hook from the API's words; what is not said stays as it is."""
    transition = given.get("LifecycleTransition") or (present.transition if present else None)
    if transition is None:
        raise AwsError("ValidationError", "LifecycleTransition is required for a new lifecycle hook")
    hook = Hook(given["LifecycleHookName"], transition)
    timeout = given.get("HeartbeatTimeout") or (present.heartbeat_timeout if present else 3600)
    hook.heartbeat_timeout = int(timeout)
    if not 30 <= hook.heartbeat_timeout <= 7200:
        raise AwsError("ValidationError", "HeartbeatTimeout must be between 30 and 7200 seconds")
    hook.default_result = given.get("DefaultResult") or (present.default_result if present else "ABANDON")
    hook.notification_target = given.get("NotificationTargetARN") or (present.notification_target if present else None)
    hook.role = given.get("RoleARN") or (present.role if present else None)
    hook.metadata = given.get("NotificationMetadata") or (present.metadata if present else None)
    return hook
