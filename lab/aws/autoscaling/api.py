"""Auto Scaling's API for what is the lab's own; moto answers the rest."""

from __future__ import annotations

import time
from typing import Any

from moto.autoscaling import models, urls
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from lab.aws.autoscaling.backend import LabAutoScaling, hook_from
from lab.aws.autoscaling.group import Group, Hook
from lab.aws.errors import AwsError
from lab.aws.grafts import Grafts

_NUMBERS = ("MinSize", "MaxSize", "DesiredCapacity", "DefaultCooldown", "HealthCheckGracePeriod")
_OTHERS = (
    "LaunchTemplate",
    "MixedInstancesPolicy",
    "VPCZoneIdentifier",
    "HealthCheckType",
    "TerminationPolicies",
    "NewInstancesProtectedFromScaleIn",
    "CapacityRebalance",
)
_UNSUPPORTED = ("LaunchConfigurationName", "InstanceId", "LoadBalancerNames", "TargetGroupARNs", "TrafficSources")


def install(grafts: Grafts | None = None) -> None:
    """Make moto's Auto Scaling this one."""
    grafts = grafts or Grafts()
    grafts.attribute(models.autoscaling_backends, "backend", LabAutoScaling)
    grafts.item(urls.url_paths, "{0}/$", LabAutoScalingResponse.dispatch)


class LabAutoScalingResponse(AutoScalingResponse):
    """Reads the API's parameters and writes its answers."""

    @property
    def _backend(self) -> LabAutoScaling:
        backend = self.autoscaling_backend
        assert isinstance(backend, LabAutoScaling)
        return backend

    @property
    def _group(self) -> Group:
        return self._backend.group(self._get_param("AutoScalingGroupName"))

    def _settings(self) -> dict[str, Any]:
        for key in _UNSUPPORTED:
            if self._get_param(key):
                raise AwsError("ValidationError", f"The lab's Auto Scaling groups know no {key}.")
        numbers = {key: self._get_int_param(key) for key in _NUMBERS}
        given = {**numbers, **{key: self._get_param(key) for key in _OTHERS}}
        return {key: _plain(value) for key, value in given.items() if value is not None}

    # Groups

    def create_auto_scaling_group(self) -> ActionResult:
        hooks: list[Hook] = [hook_from(_plain(one)) for one in self._get_param("LifecycleHookSpecificationList", [])]
        tags = [_plain(tag) for tag in self._get_param("Tags", [])]
        self._backend.create(self._get_param("AutoScalingGroupName"), self._settings(), hooks, tags)
        return EmptyResult()

    def update_auto_scaling_group(self) -> ActionResult:
        self._backend.update(self._get_param("AutoScalingGroupName"), self._settings())
        return EmptyResult()

    def delete_auto_scaling_group(self) -> ActionResult:
        self._backend.delete(self._get_param("AutoScalingGroupName"), force=bool(self._get_bool_param("ForceDelete")))
        return EmptyResult()

    def describe_auto_scaling_groups(self) -> ActionResult:
        names = self._get_param("AutoScalingGroupNames", [])
        filters = self._get_param("Filters", [])
        found = [
            group.describe()
            for group in self._backend.groups.values()
            if (not names or group.name in names) and all(_matches(group, one) for one in filters)
        ]
        page, token = self._page(found, 50)
        return ActionResult({"AutoScalingGroups": page, "NextToken": token})

    def describe_auto_scaling_instances(self) -> ActionResult:
        wanted = self._get_param("InstanceIds", [])
        found = [
            {**member.describe(), "AutoScalingGroupName": member.group.name, "HealthStatus": member.health.upper()}
            for member in self._backend.members()
            if not wanted or member.instance.id in wanted
        ]
        page, token = self._page(found, 50)
        return ActionResult({"AutoScalingInstances": page, "NextToken": token})

    def describe_scaling_activities(self) -> ActionResult:
        name, ids = self._get_param("AutoScalingGroupName"), self._get_param("ActivityIds", [])
        found = [
            activity.describe()
            for activity in self._backend.activities
            if (not name or activity.group == name) and (not ids or activity.activity_id in ids)
        ]
        page, token = self._page(found, 100)
        return ActionResult({"Activities": page, "NextToken": token})

    def _page(self, found: list[dict[str, Any]], size: int) -> tuple[list[dict[str, Any]], str | None]:
        start = int(self._get_param("NextToken") or 0)
        end = start + (self._get_int_param("MaxRecords") or size)
        return found[start:end], str(end) if end < len(found) else None

    # Capacity and members

    def set_desired_capacity(self) -> ActionResult:
        self._backend.desire(self._group.name, self._get_int_param("DesiredCapacity") or 0)
        return EmptyResult()

    def terminate_instance_in_auto_scaling_group(self) -> ActionResult:
        member = self._backend.member(self._get_param("InstanceId"))
        if member.warmed:
            raise AwsError("ValidationError", f"The instance {member.instance.id} is in a warm pool.")
        decrement = self._get_bool_param("ShouldDecrementDesiredCapacity", False)
        group, settings = member.group, member.group.settings
        if decrement and not member.leaving:
            if settings["DesiredCapacity"] <= settings["MinSize"]:
                raise AwsError(
                    "ValidationError",
                    f"Currently, desiredSize equals minSize ({settings['MinSize']}). "
                    "Terminating instance without replacement will violate group's min size constraint.",
                )
            settings["DesiredCapacity"] -= 1
        if not member.leaving:
            cause = "an instance was taken out of service in response to a user request."
            self._backend.loop.begin_termination(group, member, cause)
        return ActionResult({"Activity": member.activity.describe()})

    def set_instance_health(self) -> ActionResult:
        member = self._backend.member(self._get_param("InstanceId"))
        status = self._get_param("HealthStatus")
        if status not in ("Healthy", "Unhealthy"):
            raise AwsError("ValidationError", "Valid instance health states are: [Healthy, Unhealthy].")
        grace = int(member.group.settings["HealthCheckGracePeriod"])
        young = member.in_service_since is None or time.monotonic() - member.in_service_since < grace
        if not (young and self._get_bool_param("ShouldRespectGracePeriod", True)):
            member.health = status
        return EmptyResult()

    def set_instance_protection(self) -> ActionResult:
        for instance_id in self._get_param("InstanceIds", []):
            self._backend.member(instance_id).protected = bool(self._get_bool_param("ProtectedFromScaleIn"))
        return EmptyResult()

    def detach_instances(self) -> ActionResult:
        group, activities = self._group, []
        for instance_id in self._get_param("InstanceIds", []):
            member = self._backend.member(instance_id)
            group.members.remove(member)
            if self._get_bool_param("ShouldDecrementDesiredCapacity", False):
                group.settings["DesiredCapacity"] -= 1
            activities.append(member.activity.describe())
        return ActionResult({"Activities": activities})

    def enter_standby(self) -> ActionResult:
        activities = []
        for instance_id in self._get_param("InstanceIds", []):
            member = self._backend.member(instance_id)
            if member.state != "InService":
                raise AwsError("ValidationError", f"The instance {instance_id} is not in InService.")
            member.state = "Standby"
            if self._get_bool_param("ShouldDecrementDesiredCapacity"):
                member.group.settings["DesiredCapacity"] -= 1
            activities.append(member.activity.describe())
        return ActionResult({"Activities": activities})

    def exit_standby(self) -> ActionResult:
        activities = []
        for instance_id in self._get_param("InstanceIds", []):
            member = self._backend.member(instance_id)
            if member.state != "Standby":
                raise AwsError("ValidationError", f"The instance {instance_id} is not in Standby.")
            member.state = "InService"
            member.group.settings["DesiredCapacity"] += 1
            activities.append(member.activity.describe())
        return ActionResult({"Activities": activities})

    def suspend_processes(self) -> ActionResult:
        every = ["Launch", "Terminate", "HealthCheck", "ReplaceUnhealthy", "AZRebalance", "ScheduledActions"]
        self._group.suspended |= set(self._get_param("ScalingProcesses") or every)
        return EmptyResult()

    def resume_processes(self) -> ActionResult:
        group = self._group
        group.suspended -= set(self._get_param("ScalingProcesses") or group.suspended)
        return EmptyResult()

    def enable_metrics_collection(self) -> ActionResult:
        self._group.metrics |= set(self._get_param("Metrics") or ["GroupInServiceInstances", "GroupTotalInstances"])
        return EmptyResult()

    def disable_metrics_collection(self) -> ActionResult:
        group = self._group
        group.metrics -= set(self._get_param("Metrics") or group.metrics)
        return EmptyResult()

    # The warm pool

    def put_warm_pool(self) -> ActionResult:
        numbers = {key: self._get_int_param(key) for key in ("MinSize", "MaxGroupPreparedCapacity")}
        given = {**numbers, "PoolState": self._get_param("PoolState")}
        self._backend.keep_warm(self._group.name, {key: value for key, value in given.items() if value is not None})
        return EmptyResult()

    def describe_warm_pool(self) -> ActionResult:
        group = self._group
        page, token = self._page([one.describe() for one in group.members if one.warmed], 50)
        return ActionResult({"WarmPoolConfiguration": group.warm_pool, "Instances": page, "NextToken": token})

    def delete_warm_pool(self) -> ActionResult:
        group = self._group
        self._backend.drop_warm_pool(group.name, force=bool(self._get_bool_param("ForceDelete", False)))
        return EmptyResult()

    # Policies

    def put_scaling_policy(self) -> ActionResult:
        self._backend.put_policy(self._group.name, _plain(self._get_params()))
        return ActionResult({"PolicyARN": policy_arn(self._group, self._get_param("PolicyName")), "Alarms": []})

    def describe_policies(self) -> ActionResult:
        name, wanted = self._get_param("AutoScalingGroupName"), self._get_param("PolicyNames", [])
        groups = [self._group] if name else list(self._backend.groups.values())
        found = [
            {
                **policy.settings,
                "AutoScalingGroupName": group.name,
                "PolicyName": policy.name,
                "PolicyARN": policy_arn(group, policy.name),
                "Alarms": [],
                "Enabled": True,
            }
            for group in groups
            for policy in group.policies.values()
            if not wanted or policy.name in wanted
        ]
        page, token = self._page(found, 50)
        return ActionResult({"ScalingPolicies": page, "NextToken": token})

    def delete_policy(self) -> ActionResult:
        self._backend.drop_policy(self._group.name, self._get_param("PolicyName"))
        return EmptyResult()

    # Tags

    def create_or_update_tags(self) -> ActionResult:
        self._backend.tag([_plain(tag) for tag in self._get_param("Tags", [])])
        return EmptyResult()

    def delete_tags(self) -> ActionResult:
        self._backend.untag([_plain(tag) for tag in self._get_param("Tags", [])])
        return EmptyResult()

    def describe_tags(self) -> ActionResult:
        names = {"auto-scaling-group": "ResourceId", "key": "Key", "value": "Value"}
        found = [tag for group in self._backend.groups.values() for tag in group.tags]
        for one in self._get_param("Filters", []):
            key = names.get(one["Name"])
            found = [tag for tag in found if key is None or tag[key] in one["Values"]]
        return ActionResult({"Tags": found, "NextToken": None})

    # Hooks

    def put_lifecycle_hook(self) -> ActionResult:
        self._backend.put_hook(self._group.name, _plain(self._get_params()))
        return EmptyResult()

    def delete_lifecycle_hook(self) -> ActionResult:
        self._backend.delete_hook(self._group.name, self._get_param("LifecycleHookName"))
        return EmptyResult()

    def describe_lifecycle_hooks(self) -> ActionResult:
        wanted = self._get_param("LifecycleHookNames", [])
        group = self._group
        hooks = [
            {
                "LifecycleHookName": hook.name,
                "AutoScalingGroupName": group.name,
                "LifecycleTransition": hook.transition,
                "HeartbeatTimeout": hook.heartbeat_timeout,
                "GlobalTimeout": hook.global_timeout,
                "DefaultResult": hook.default_result,
                "NotificationTargetARN": hook.notification_target,
                "RoleARN": hook.role,
                "NotificationMetadata": hook.metadata,
            }
            for hook in group.hooks.values()
            if not wanted or hook.name in wanted
        ]
        return ActionResult({"LifecycleHooks": hooks})

    def complete_lifecycle_action(self) -> ActionResult:
        result = self._get_param("LifecycleActionResult")
        if result not in ("CONTINUE", "ABANDON"):
            raise AwsError("ValidationError", "Lifecycle action result must be CONTINUE or ABANDON")
        self._action().result = result
        return EmptyResult()

    def record_lifecycle_action_heartbeat(self) -> ActionResult:
        self._action().heartbeat = time.monotonic()
        return EmptyResult()

    def _action(self) -> Any:
        return self._backend.action(
            self._group.name,
            self._get_param("LifecycleHookName"),
            self._get_param("InstanceId"),
            self._get_param("LifecycleActionToken"),
        )


def policy_arn(group: Group, name: str) -> str:
    """A policy's ARN. AWS's has a number of its own besides."""
    return group.arn.replace(":autoScalingGroup:", ":scalingPolicy:") + f":policyName/{name}"


def _plain(value: Any) -> Any:
    """moto's parsed parameters as plain dictionaries and lists."""
    if isinstance(value, dict) or hasattr(value, "items"):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _matches(group: Group, wanted: dict[str, Any]) -> bool:
    name, values = wanted["Name"], wanted["Values"]
    if name.startswith("tag:"):
        return any(tag["Key"] == name[4:] and tag["Value"] in values for tag in group.tags)
    key = {"tag-key": "Key", "tag-value": "Value"}.get(name)
    if key is None:
        raise AwsError("ValidationError", f"Filter name {name} is invalid")
    return any(tag[key] in values for tag in group.tags)
