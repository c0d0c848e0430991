"""Auto Scaling's API for the lab's groups; moto answers the other calls."""

from __future__ import annotations

import time
from typing import Any

from moto.autoscaling import models, urls
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from lab.aws import launch_failures
from lab.aws.autoscaling.backend import LabAutoScaling
from lab.aws.autoscaling.group import Action, Group, Hook, Member, ScalingPolicy
from lab.aws.errors import AwsError, invalid
from lab.aws.grafts import Grafts

_SETTINGS = (
    "MinSize",
    "MaxSize",
    "DesiredCapacity",
    "DefaultCooldown",
    "HealthCheckGracePeriod",
    "LaunchTemplate",
    "MixedInstancesPolicy",
    "VPCZoneIdentifier",
    "HealthCheckType",
    "TerminationPolicies",
    "CapacityRebalance",
)
_UNSUPPORTED = (
    "LaunchConfigurationName",
    "InstanceId",
    "LoadBalancerNames",
    "TargetGroupARNs",
    "TrafficSources",
    "NewInstancesProtectedFromScaleIn",
)
_PROCESSES = ("Launch", "Terminate", "HealthCheck", "ReplaceUnhealthy", "AZRebalance", "ScheduledActions")


def install(grafts: Grafts) -> None:
    """Replace moto's Auto Scaling."""
    grafts.attribute(models.autoscaling_backends, "backend", LabAutoScaling)
    grafts.item(urls.url_paths, "{0}/$", LabAutoScalingResponse.dispatch)


class LabAutoScalingResponse(AutoScalingResponse):
    """Answers calls, whose parameters moto has parsed into the types of AWS's model."""

    @property
    def _backend(self) -> LabAutoScaling:
        backend = self.autoscaling_backend
        assert isinstance(backend, LabAutoScaling)
        return backend

    @property
    def _group(self) -> Group:
        return self._backend.group(self._get_param("AutoScalingGroupName"))

    @property
    def _member(self) -> Member:
        return self._backend.member(self._get_param("InstanceId"))

    def _given(self, *names: str) -> dict[str, Any]:
        return {name: self.params[name] for name in names if name in self.params}

    def _page(self, name: str, found: list[Any], size: int = 50, **more: Any) -> ActionResult:
        start = int(self._get_param("NextToken") or 0)
        end = start + (self._get_param("MaxRecords") or size)
        return ActionResult({name: found[start:end], "NextToken": str(end) if end < len(found) else None, **more})

    def _none(self) -> ActionResult:
        """moto's own methods know nothing of the lab's groups."""
        raise NotImplementedError("only the control loop changes groups")

    attach_instances = detach_instances = enter_standby = exit_standby = execute_policy = _none
    describe_tags = set_instance_health = set_instance_protection = _none

    # Groups

    def _settings(self) -> dict[str, Any]:
        for key in _UNSUPPORTED:
            if self._get_param(key):
                raise invalid(f"The lab's Auto Scaling groups do not support {key}.")
        return self._given(*_SETTINGS)

    def create_auto_scaling_group(self) -> ActionResult:
        name, groups = self._get_param("AutoScalingGroupName"), self._backend.groups
        if name in groups:
            state = "is pending deletion" if groups[name].deleting else "already exists"
            raise AwsError("AlreadyExists", f"AutoScalingGroup by this name {state} - A group with the name {name}")
        group = Group(name, self._settings())
        group.settings.setdefault("DesiredCapacity", group.settings["MinSize"])
        self._backend.check(group)
        hooks = [Hook.of(hook) for hook in self._get_param("LifecycleHookSpecificationList", [])]
        group.hooks = {hook.name: hook for hook in hooks}
        groups[name] = group
        launch_failures.create_service_role()
        for tag in self._get_param("Tags", []):
            group.tag(tag)
        return EmptyResult()

    def update_auto_scaling_group(self) -> ActionResult:
        group, settings = self._group, self._settings()
        if group.deleting:
            raise AwsError("ScalingActivityInProgress", f"Group {group.name} is being deleted")
        before = dict(group.settings)
        # Setting either replaces the other.
        for key, other in (("LaunchTemplate", "MixedInstancesPolicy"), ("MixedInstancesPolicy", "LaunchTemplate")):
            if key in settings:
                group.settings.pop(other, None)
        group.settings.update(settings)
        if "DesiredCapacity" not in settings:
            low, high = group.settings["MinSize"], group.settings["MaxSize"]
            group.settings["DesiredCapacity"] = min(max(before["DesiredCapacity"], low), high)
        try:
            self._backend.check(group)
        except AwsError:
            group.settings = before
            raise
        return EmptyResult()

    def delete_auto_scaling_group(self) -> ActionResult:
        group, force = self._group, self._get_param("ForceDelete", False)
        if group.members and not force:
            raise AwsError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot "
                "instance request(s) still in the group.",
            )
        group.deleting = True
        for member in group.members if force else ():
            self._backend.loop.end_without_waiting(member, "the group was deleted by force.")
        return EmptyResult()

    def describe_auto_scaling_groups(self) -> ActionResult:
        names = self._get_param("AutoScalingGroupNames", [])
        filters = self._get_param("Filters", [])
        found = [
            group.describe()
            for group in self._backend.groups.values()
            if (not names or group.name in names) and all(_matches(group, filter_) for filter_ in filters)
        ]
        return self._page("AutoScalingGroups", found)

    def describe_auto_scaling_instances(self) -> ActionResult:
        wanted = self._get_param("InstanceIds", [])
        found = [
            {**member.describe(), "AutoScalingGroupName": member.group.name, "HealthStatus": member.health.upper()}
            for member in self._backend.members()
            if not wanted or member.instance.id in wanted
        ]
        return self._page("AutoScalingInstances", found)

    def describe_scaling_activities(self) -> ActionResult:
        name, ids = self._get_param("AutoScalingGroupName"), self._get_param("ActivityIds", [])
        found = [
            activity
            for activity in self._backend.activities
            if (not name or activity.auto_scaling_group_name == name) and (not ids or activity.activity_id in ids)
        ]
        return self._page("Activities", found, 100)

    # Capacity and members

    def set_desired_capacity(self) -> ActionResult:
        settings, capacity = self._group.settings, self._get_param("DesiredCapacity")
        low, high = settings["MinSize"], settings["MaxSize"]
        if not low <= capacity <= high:
            bound = f"above max value {high}" if capacity > high else f"below min value {low}"
            raise invalid(f"New SetDesiredCapacity value {capacity} is {bound} for the AutoScalingGroup.")
        settings["DesiredCapacity"] = capacity
        return EmptyResult()

    def terminate_instance_in_auto_scaling_group(self) -> ActionResult:
        member = self._member
        if member.warmed:
            raise invalid(f"The instance {member.instance.id} is in a warm pool.")
        settings = member.group.settings
        if not member.terminating:
            if self._get_param("ShouldDecrementDesiredCapacity", False):
                if settings["DesiredCapacity"] <= settings["MinSize"]:
                    raise invalid(
                        f"Currently, desiredSize equals minSize ({settings['MinSize']}). "
                        "Terminating instance without replacement will violate group's min size constraint.",
                    )
                settings["DesiredCapacity"] -= 1
            cause = "an instance was taken out of service in response to a user request."
            self._backend.loop.begin_termination(member, cause)
        return ActionResult({"Activity": member.activity})

    def suspend_processes(self) -> ActionResult:
        self._group.suspended |= set(self._get_param("ScalingProcesses") or _PROCESSES)
        return EmptyResult()

    def resume_processes(self) -> ActionResult:
        self._group.suspended -= set(self._get_param("ScalingProcesses") or self._group.suspended)
        return EmptyResult()

    def enable_metrics_collection(self) -> ActionResult:
        self._group.metrics |= set(self._get_param("Metrics") or ["GroupInServiceInstances", "GroupTotalInstances"])
        return EmptyResult()

    def disable_metrics_collection(self) -> ActionResult:
        self._group.metrics -= set(self._get_param("Metrics") or self._group.metrics)
        return EmptyResult()

    # The warm pool

    def put_warm_pool(self) -> ActionResult:
        """Create or change a warm pool; the lab supports only stopped instances."""
        group, pool = self._group, self._given("MinSize", "MaxGroupPreparedCapacity", "PoolState")
        # AWS accepts several instance types since November 2025.
        if group.spot:
            raise invalid("Warm pools are not supported for groups of Spot Instances.")
        if pool.get("PoolState", "Stopped") != "Stopped":
            raise invalid(f"The lab's warm pools are Stopped, not {pool['PoolState']}.")
        if (group.warm_pool or {}).get("Status"):
            raise AwsError("ScalingActivityInProgress", f"The warm pool of {group.name} is being deleted.")
        group.warm_pool = {"MinSize": 0, "PoolState": "Stopped", **pool}
        return EmptyResult()

    def describe_warm_pool(self) -> ActionResult:
        group = self._group
        found = [member.describe() for member in group.members if member.warmed]
        return self._page("Instances", found, WarmPoolConfiguration=group.warm_pool)

    def delete_warm_pool(self) -> ActionResult:
        """Begin to delete the warm pool, which exists until its last instance is terminated."""
        group = self._group
        if group.warm_pool is None:
            raise invalid(f"No warm pool found for {group.name}")
        group.warm_pool = {**group.warm_pool, "Status": "PendingDelete"}
        for member in group.members if self._get_param("ForceDelete", False) else ():
            if member.warmed:
                self._backend.loop.end_without_waiting(member, "the warm pool was deleted by force.")
        return EmptyResult()

    # Policies

    def put_scaling_policy(self) -> ActionResult:
        group, name = self._group, self._get_param("PolicyName")
        if self._get_param("PolicyType") != "TargetTrackingScaling":
            raise invalid("The lab supports only scaling policies of type TargetTrackingScaling.")
        if not self._get_param("TargetTrackingConfiguration").get("CustomizedMetricSpecification"):
            raise invalid("The lab's target tracking supports only customized metrics.")
        settings = self._given("PolicyType", "EstimatedInstanceWarmup", "TargetTrackingConfiguration")
        group.policies[name] = ScalingPolicy(name, settings)
        return ActionResult({"PolicyARN": _policy_arn(group, name), "Alarms": []})

    def describe_policies(self) -> ActionResult:
        name, wanted = self._get_param("AutoScalingGroupName"), self._get_param("PolicyNames", [])
        groups = [self._group] if name else list(self._backend.groups.values())
        found = [
            {
                **policy.settings,
                "AutoScalingGroupName": group.name,
                "PolicyName": policy.name,
                "PolicyARN": _policy_arn(group, policy.name),
                "Alarms": [],
                "Enabled": True,
            }
            for group in groups
            for policy in group.policies.values()
            if not wanted or policy.name in wanted
        ]
        return self._page("ScalingPolicies", found)

    def delete_policy(self) -> ActionResult:
        name = self._get_param("PolicyName")
        if self._group.policies.pop(name, None) is None:
            raise invalid(f"The scaling policy {name} was not found")
        return EmptyResult()

    # Tags

    def create_or_update_tags(self) -> ActionResult:
        for tag in self._get_param("Tags", []):
            self._backend.group(tag["ResourceId"]).tag(tag)
        return EmptyResult()

    def delete_tags(self) -> ActionResult:
        for tag in self._get_param("Tags", []):
            self._backend.group(tag["ResourceId"]).untag(tag["Key"])
        return EmptyResult()

    # Hooks

    def put_lifecycle_hook(self) -> ActionResult:
        hooks = self._group.hooks
        hook = Hook.of(self.params, hooks.get(self._get_param("LifecycleHookName")))
        hooks[hook.name] = hook
        return EmptyResult()

    def delete_lifecycle_hook(self) -> ActionResult:
        group, name = self._group, self._get_param("LifecycleHookName")
        if group.hooks.pop(name, None) is None:
            raise invalid(f"No Lifecycle Hook found for AutoScalingGroup {group.name} with name {name}")
        for member in group.members:
            # Members that wait for it continue.
            if name in member.actions:
                member.actions[name].result = "ABANDON" if member.state.endswith("Pending:Wait") else "CONTINUE"
        return EmptyResult()

    def describe_lifecycle_hooks(self) -> ActionResult:
        wanted, group = self._get_param("LifecycleHookNames", []), self._group
        hooks = [
            {**hook.settings, "AutoScalingGroupName": group.name, "GlobalTimeout": hook.global_timeout}
            for hook in group.hooks.values()
            if not wanted or hook.name in wanted
        ]
        return ActionResult({"LifecycleHooks": hooks})

    def complete_lifecycle_action(self) -> ActionResult:
        result = self._get_param("LifecycleActionResult")
        if result not in ("CONTINUE", "ABANDON"):
            raise invalid("Lifecycle action result must be CONTINUE or ABANDON")
        self._action().result = result
        return EmptyResult()

    def record_lifecycle_action_heartbeat(self) -> ActionResult:
        self._action().heartbeat = time.monotonic()
        return EmptyResult()

    def _action(self) -> Action:
        """The pending action that the call names, by its token or by the instance."""
        token, instance_id = self._get_param("LifecycleActionToken"), self._get_param("InstanceId")
        for member in self._group.members:
            action = member.actions.get(self._get_param("LifecycleHookName"))
            if action is None or action.result is not None or not member.state.endswith(":Wait"):
                continue
            if action.token == token if token else member.instance.id == instance_id:
                return action
        asked = f"instance ID {instance_id}" if instance_id else f"token {token}"
        raise invalid(f"No active Lifecycle Action found with {asked}")


def _policy_arn(group: Group, name: str) -> str:
    """A policy's ARN; AWS's ARN also has a UUID."""
    return group.arn.replace(":autoScalingGroup:", ":scalingPolicy:") + f":policyName/{name}"


def _matches(group: Group, wanted: dict[str, Any]) -> bool:
    name, values = wanted["Name"], wanted["Values"]
    if name.startswith("tag:"):
        return any(tag["Key"] == name[4:] and tag["Value"] in values for tag in group.tags)
    key = {"tag-key": "Key", "tag-value": "Value"}.get(name)
    if key is None:
        raise invalid(f"Filter name {name} is invalid")
    return any(tag[key] in values for tag in group.tags)
