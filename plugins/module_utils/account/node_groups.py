"""Auto Scaling groups of a cluster's nodes, with their lifecycle hooks, warm pools, metrics and scaling policies."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Mapping, Sequence

from .._core import metrics
from .._core.cluster import WORKER
from .._core.names import launching_hook, metrics_namespace, terminating_hook
from .._core.upgrade_marker import TAG
from ..aws import tags
from ..aws.aws_session import AwsSession, code
from ..aws.changes import Changes
from ..aws.provision_error import ProvisionError
from ..aws.scaling_groups import groups_named, groups_of
from ..aws.waiters import awaited, once_visible
from . import warm_pools

# A node group of the configuration, with its defaults; see roles/check/meta/argument_specs.yml.
Group = Mapping[str, Any]

# Outdated instances are replaced and scaled in first.
TERMINATION_POLICIES = ["OldestLaunchTemplate", "OldestInstance"]
HEALTH_CHECK_GRACE = 120
SCALING_POLICY = "needed-nodes"
# Seconds that the launching hook waits longer than the agents, at least.
LAUNCH_MARGIN = 300
# Seconds in service before target tracking counts an instance. Short, since the metric is a percentage of the desired
# instances, whether they serve or not, and needs no time to settle.
WARMUP = 30
# Auto Scaling terminates the instances of a warm pool before the pool is deleted.
POOL_SECONDS = 300.0
# The group metrics that the alarms and the dashboard need. They are free.
GROUP_METRICS = ["GroupDesiredCapacity", "GroupInServiceInstances"]


def lifecycle_hooks(cluster: str, launch_timeout: int, termination_timeout: int) -> list[dict[str, Any]]:
    """The lifecycle hooks of each group, in Auto Scaling's form. The leader's agent completes the actions.

    The timeouts are seconds without a heartbeat after which Auto Scaling continues by itself.
    """
    return [
        {
            "LifecycleHookName": name,
            "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{transition}",
            "HeartbeatTimeout": timeout,
            "DefaultResult": result,
        }
        for name, transition, timeout, result in (
            (launching_hook(cluster), "LAUNCHING", launch_timeout, "ABANDON"),
            (terminating_hook(cluster), "TERMINATING", termination_timeout, "CONTINUE"),
        )
    ]


class NodeGroups:
    """Creates and updates the Auto Scaling groups of a cluster. Does not wait for instances."""

    def __init__(
        self,
        aws: AwsSession,
        cluster: str,
        hooks: Sequence[Mapping[str, Any]],
        subnets: Mapping[str, str],
        changes: Changes,
        *,
        measured: bool = False,
    ) -> None:
        self._autoscaling, self._changes = aws.client("autoscaling"), changes
        self._cluster, self._hooks = cluster, hooks
        # IDs by zone. In check mode, some may not exist yet.
        self._subnets, self._measured = subnets, measured

    def keep(self, groups: Sequence[Group], versions: Mapping[str, Any]) -> dict[str, Any]:
        """Create and update the groups. Returns the state of each, and the names of undeclared groups.

        ``versions`` are the launch template versions for new instances by group name; missing templates have none.
        """
        present_groups = self._groups()
        report = []
        for group in groups:
            present = present_groups.pop(self._name(group), None)
            version = versions.get(group["name"])
            self._keep_group(group, str(version or "to come"), present)
            report.append(self._report(group, version, present))
        return {"groups": report, "unknown_groups": sorted(present_groups)}

    def _name(self, group: Group) -> str:
        return f"{self._cluster}-{group['name']}"

    def _groups(self) -> dict[str, Mapping[str, Any]]:
        return {group["AutoScalingGroupName"]: group for group in groups_of(self._autoscaling, self._cluster)}

    def _settings(self, group: Group, version: str) -> dict[str, Any]:
        """The declared group, in Auto Scaling's form."""
        zones = group["zones"] or self._subnets
        settings: dict[str, Any] = {
            "MinSize": group["min"],
            "DesiredCapacity": group["desired"],
            "MaxSize": group["max"],
            "VPCZoneIdentifier": ",".join(sorted(self._subnets.get(zone, f"subnet-{zone}") for zone in zones)),
            "HealthCheckType": "EC2",
            "HealthCheckGracePeriod": HEALTH_CHECK_GRACE,
            "TerminationPolicies": TERMINATION_POLICIES,
            # A spot instance at risk is replaced before its interruption.
            "CapacityRebalance": group["spot"] is not None and group["spot"]["rebalance"],
        }
        template = {"LaunchTemplateName": self._name(group), "Version": version}
        # Auto Scaling chooses among the types or markets.
        if group["spot"] is None and len(group["instance_types"]) == 1:
            return {**settings, "LaunchTemplate": template}
        return {
            **settings,
            "MixedInstancesPolicy": {
                "LaunchTemplate": {
                    "LaunchTemplateSpecification": template,
                    "Overrides": [{"InstanceType": instance_type} for instance_type in group["instance_types"]],
                },
                "InstancesDistribution": _distribution(group["spot"]),
            },
        }

    def _keep_group(self, group: Group, version: str, present: Mapping[str, Any] | None) -> None:
        name, wanted = self._name(group), self._settings(group, version)
        if present is None:
            self._changes.apply(
                f"Auto Scaling group {name}",
                None,
                {**wanted, "hooks": self._hooks_of(group), "tags": group["tags"]},
                lambda: self._create_group(name, wanted, group),
            )
            self._keep_metrics(name, {})
            self._keep_scaling(name, group, there=False)
            self._keep_warm_pool(name, group, None)
            return
        if present.get("Status"):
            raise ProvisionError(f"The Auto Scaling group {name} is being deleted: run this again when it is deleted.")
        pool = present.get("WarmPoolConfiguration")
        if group["warm_pool"] is None:
            # Before the group, since Auto Scaling refuses spot instances together with a warm pool.
            self._delete_warm_pool(name, pool)
            if pool is not None and group["spot"] is not None and not self._changes.check_mode:
                awaited(lambda: not self._has_warm_pool(name), f"the deletion of the warm pool of {name}", POOL_SECONDS)
        present_tags = tags.from_list(present.get("Tags", []))
        # Other sizes if the group was scaled or is being upgraded.
        size = _size(group, present)
        wanted.update(DesiredCapacity=size, MaxSize=max(group["max"], size))
        before = {key: _comparable(key, present.get(key)) for key in wanted}
        differing = [key for key in wanted if not contains(before[key], wanted[key])]
        if differing:
            self._changes.apply(
                f"Auto Scaling group {name}",
                {key: before[key] for key in differing},
                {key: wanted[key] for key in differing},
                lambda: _once_launchable(
                    lambda: self._autoscaling.update_auto_scaling_group(
                        AutoScalingGroupName=name, **{key: wanted[key] for key in differing}
                    )
                ),
            )
        self._keep_group_tags(name, group["tags"], present.get("Tags", []))
        # After the size, so that the tag never has a size that was not applied.
        self._keep_desired(name, group, present_tags)
        self._keep_hooks(name, group)
        self._keep_metrics(name, present)
        self._keep_scaling(name, group, there=True)
        self._keep_warm_pool(name, group, pool)

    def _hooks_of(self, group: Group) -> list[dict[str, Any]]:
        """The group's hooks. The launching hook waits for the agents, which abandon a launch that takes too long."""
        longer = (group["launch_seconds"] or 0) + LAUNCH_MARGIN
        launching, *others = self._hooks
        return [{**launching, "HeartbeatTimeout": max(launching["HeartbeatTimeout"], longer)}, *map(dict, others)]

    def _create_group(self, name: str, wanted: Mapping[str, Any], group: Group) -> None:
        _once_launchable(
            lambda: self._autoscaling.create_auto_scaling_group(
                AutoScalingGroupName=name,
                LifecycleHookSpecificationList=self._hooks_of(group),
                Tags=[*_group_tags(name, group["tags"]), *_desired_tag(name, wanted["DesiredCapacity"])],
                **wanted,
            )
        )

    def _keep_group_tags(self, name: str, wanted: Mapping[str, str], present: Sequence[Mapping[str, Any]]) -> None:
        before = tags.from_list([tag for tag in present if tag.get("PropagateAtLaunch")])  # type: ignore[misc]
        self._changes.add_tags(
            f"Auto Scaling group {name}",
            before,
            wanted,
            lambda missing: self._autoscaling.create_or_update_tags(Tags=_group_tags(name, missing)),
        )

    def _keep_desired(self, name: str, group: Group, present: Mapping[str, str]) -> None:
        before, after = present.get(tags.DESIRED), str(group["desired"])
        if before == after or TAG in present:
            return
        self._changes.apply(
            f"tag {tags.DESIRED} of {name}",
            None if before is None else {"value": before},
            {"value": after},
            lambda: self._autoscaling.create_or_update_tags(Tags=_desired_tag(name, group["desired"])),
        )

    def _keep(
        self, resource: str, present: Mapping[str, Any] | None, wanted: Mapping[str, Any], put: Callable[..., Any]
    ) -> None:
        """Call ``put`` unless ``present`` has all that is wanted."""
        if present is None or not contains(present, wanted):
            before = {key: present.get(key) for key in wanted} if present else None
            self._changes.apply(resource, before, wanted, lambda: put(**wanted))

    def _keep_hooks(self, name: str, group: Group) -> None:
        found = self._autoscaling.describe_lifecycle_hooks(AutoScalingGroupName=name)["LifecycleHooks"]
        by_name = {hook["LifecycleHookName"]: hook for hook in found}
        put = partial(self._autoscaling.put_lifecycle_hook, AutoScalingGroupName=name)
        for hook in self._hooks_of(group):
            own = hook["LifecycleHookName"]
            self._keep(f"lifecycle hook {own} of {name}", by_name.get(own), hook, put)

    def _keep_warm_pool(self, name: str, group: Group, present: Mapping[str, Any] | None) -> None:
        """Create, update or delete the group's warm pool. After the hooks, since instances of the pool wait at them."""
        pool = group["warm_pool"]
        if pool is None:
            return
        if present is not None and present.get("Status"):
            raise ProvisionError(f"The warm pool of {name} is being deleted: run this again when it is deleted.")
        wanted = {"MinSize": pool["min"], "MaxGroupPreparedCapacity": pool["max"], "PoolState": "Stopped"}
        put = partial(self._autoscaling.put_warm_pool, AutoScalingGroupName=name)
        self._keep(f"warm pool of {name}", present, wanted, put)

    def _delete_warm_pool(self, name: str, present: Mapping[str, Any] | None) -> None:
        if present is None or present.get("Status"):
            return
        self._changes.apply(
            f"warm pool of {name}",
            {key: present.get(key) for key in ("MinSize", "MaxGroupPreparedCapacity", "PoolState")},
            None,
            # By force, since its instances need not be drained.
            lambda: self._autoscaling.delete_warm_pool(AutoScalingGroupName=name, ForceDelete=True),
        )

    def _has_warm_pool(self, name: str) -> bool:
        return any("WarmPoolConfiguration" in group for group in groups_named(self._autoscaling, [name]))

    def _keep_scaling(self, name: str, group: Group, *, there: bool) -> None:
        """Create, update or delete the scaling policy, which follows the agents' metric."""
        if group["role"] != WORKER:
            return
        own = {"AutoScalingGroupName": name, "PolicyName": SCALING_POLICY}
        found = []
        if there:
            asked = {"AutoScalingGroupName": name, "PolicyNames": [SCALING_POLICY]}
            found = self._autoscaling.describe_policies(**asked)["ScalingPolicies"]
        present = found[0] if found else None
        wanted = self._tracking(group)
        resource = f"scaling policy {SCALING_POLICY} of {name}"
        if wanted is not None:
            self._keep(resource, present, wanted, partial(self._autoscaling.put_scaling_policy, **own))
        elif present is not None:
            self._changes.apply(
                resource,
                {"TargetTrackingConfiguration": present.get("TargetTrackingConfiguration")},
                None,
                lambda: self._autoscaling.delete_policy(**own),
            )

    def _tracking(self, group: Group) -> dict[str, Any] | None:
        """The policy in Auto Scaling's form."""
        if group["scaling"] is None:
            return None
        return {
            "PolicyType": "TargetTrackingScaling",
            "EstimatedInstanceWarmup": WARMUP,
            "TargetTrackingConfiguration": {
                "CustomizedMetricSpecification": {
                    "Namespace": metrics_namespace(self._cluster),
                    "MetricName": metrics.RESERVATION.cloudwatch,
                    "Dimensions": [metrics.dimension(metrics.RESERVATION, group["name"])],
                    # For a moment two agents may act as the leader's.
                    "Statistic": "Maximum",
                    "Unit": metrics.RESERVATION.unit,
                },
                "TargetValue": float(group["scaling"]["target"]),
                "DisableScaleIn": False,
            },
        }

    def _keep_metrics(self, name: str, present: Mapping[str, Any]) -> None:
        """Enable the group metrics, if there are alarms."""
        collected = {metric["Metric"] for metric in present.get("EnabledMetrics", [])}
        if not self._measured or collected.issuperset(GROUP_METRICS):
            return
        self._changes.apply(
            f"metrics of the Auto Scaling group {name}",
            {"collected": sorted(collected)} if collected else None,
            {"collected": sorted(collected.union(GROUP_METRICS))},
            lambda: self._autoscaling.enable_metrics_collection(
                AutoScalingGroupName=name, Metrics=GROUP_METRICS, Granularity="1Minute"
            ),
        )

    def _report(self, group: Group, version: Any, present: Mapping[str, Any] | None) -> dict[str, Any]:
        instances = (present or {}).get("Instances", [])
        size = group["desired"] if present is None else _size(group, present)
        warm = warm_pools.instances(self._autoscaling, present) if present else []
        outdated = [
            instance["InstanceId"] for instance in [*instances, *warm] if warm_pools.outdated(instance, str(version))
        ]
        return {
            "name": group["name"],
            "role": group["role"],
            "desired": group["desired"],
            "size": size,
            "scaled": size != group["desired"] and group["scaling"] is None,
            "template_version": version,
            "instances": [instance["InstanceId"] for instance in instances],
            "warm": sorted(instance["InstanceId"] for instance in warm),
            "outdated": sorted(outdated),
        }


def _distribution(spot: Mapping[str, Any] | None) -> dict[str, Any]:
    if spot is None:
        return {"OnDemandBaseCapacity": 0, "OnDemandPercentageAboveBaseCapacity": 100}
    return {
        "OnDemandBaseCapacity": spot["on_demand_base"],
        "OnDemandPercentageAboveBaseCapacity": 100 - spot["share"],
        "SpotAllocationStrategy": spot["strategy"],
    }


def _size(group: Group, present: Mapping[str, Any]) -> int:
    """The group's desired capacity.

    A scaled group keeps its size, within min and max, until `desired` changes in the configuration. A group with
    `scaling` keeps it even then.
    """
    own, size = tags.from_list(present.get("Tags", [])), int(present["DesiredCapacity"])
    if TAG not in own and own.get(tags.DESIRED) != str(group["desired"]) and group["scaling"] is None:
        size = group["desired"]
    return max(group["min"], size if TAG in own else min(size, group["max"]))


def _comparable(key: str, value: Any) -> Any:
    if key == "VPCZoneIdentifier":
        return ",".join(sorted((value or "").split(",")))
    if key == "CapacityRebalance":
        return bool(value)
    return value


def _group_tags(name: str, own_tags: Mapping[str, str], *, propagate: bool = True) -> list[dict[str, Any]]:
    """Tags in Auto Scaling's form, by default also for the instances."""
    more = {"ResourceId": name, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": propagate}
    return [{**tag, **more} for tag in tags.to_list(own_tags)]


def _desired_tag(name: str, desired: int) -> list[dict[str, Any]]:
    return _group_tags(name, {tags.DESIRED: str(desired)}, propagate=False)


def _once_launchable(call: Any) -> Any:
    """Retry until Auto Scaling sees an instance profile and a template that were just created."""

    def not_yet(error: Exception) -> bool:
        message = str(error).lower().replace(" ", "")
        unseen = "instanceprofile" in message or ("specifiedlaunchtemplate" in message and "notexist" in message)
        return code(error) == "ValidationError" and unseen

    return once_visible(call, not_yet)


def contains(present: Any, wanted: Any) -> bool:
    """Whether ``present`` has all that is wanted; mappings may have more keys."""
    if isinstance(wanted, Mapping):
        return isinstance(present, Mapping) and all(contains(present.get(key), wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return (
            isinstance(present, list)
            and len(present) == len(wanted)
            and all(contains(*pair) for pair in zip(present, wanted))
        )
    return bool(present == wanted)
