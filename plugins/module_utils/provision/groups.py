"""Launch templates, Auto Scaling groups, their lifecycle hooks and warm pools, and what scales them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from .._core import metrics
from .._core.cluster import WORKER
from .._core.names import metrics_namespace
from .._core.usual import TAG
from . import tags, templates, warm_pools
from .changes import Changes
from .errors import ProvisionError
from .shell import Aws, code, once_visible
from .templates import Group, Spot

# Replaced and scaled-in instances are those of an old template first.
TERMINATION_POLICIES = ["OldestLaunchTemplate", "OldestInstance"]
HEALTH_CHECK_GRACE = 120
SCALING_POLICY = "needed-nodes"
# Seconds in service before target tracking counts an instance. Few: what is measured is a part of the instances that
# the group is to have, whether they serve yet or not, and so needs no time to settle.
WARMUP = 30


@dataclass(frozen=True)
class Hook:
    """A lifecycle hook: Auto Scaling waits there until the leader's agent says to go on."""

    name: str
    transition: str
    # Seconds without a heartbeat after which Auto Scaling goes on by itself, with the result.
    timeout: int
    result: str

    def arguments(self) -> dict[str, Any]:
        """As Auto Scaling wants it."""
        return {
            "LifecycleHookName": self.name,
            "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{self.transition}",
            "HeartbeatTimeout": self.timeout,
            "DefaultResult": self.result,
        }


class Fleet:
    """Brings the node groups of a cluster to what they should be. Waits for no instance."""

    def __init__(
        self, aws: Aws, cluster: str, own_tags: Mapping[str, str], hooks: Sequence[Hook], changes: Changes
    ) -> None:
        self._ec2, self._autoscaling, self._changes = aws.ec2, aws.autoscaling, changes
        self._cluster, self._tags, self._hooks = cluster, own_tags, hooks

    def keep(self, groups: Sequence[Group]) -> dict[str, Any]:
        """Keep the groups; tell of each how far it is, and which groups there are besides."""
        # Before the first write, since it refuses user data that is too long.
        wanted = {group.name: templates.data(group, self._group_tags(group)) for group in groups}
        present_templates = self._templates(groups)
        present_groups = self._groups()
        report = []
        for group in groups:
            version = self._keep_template(group, wanted[group.name], present_templates.get(self._name(group)))
            present = present_groups.pop(self._name(group), None)
            self._keep_group(group, version, present)
            report.append(self._report(group, version, present))
        return {"groups": report, "unknown_groups": sorted(present_groups)}

    def _name(self, group: Group) -> str:
        return f"{self._cluster}-{group.name}"

    def _group_tags(self, group: Group) -> dict[str, str]:
        return group.instance_tags(self._cluster, self._tags)

    # Launch templates

    def _templates(self, groups: Sequence[Group]) -> dict[str, Mapping[str, Any]]:
        filters = [{"Name": "launch-template-name", "Values": [self._name(group) for group in groups]}]
        found = self._ec2.describe_launch_templates(Filters=filters)["LaunchTemplates"]
        return {template["LaunchTemplateName"]: template for template in found}

    def _keep_template(self, group: Group, wanted: Mapping[str, Any], present: Mapping[str, Any] | None) -> int:
        """Keep the group's template and return the number of the version that says what is wanted."""
        name, own_tags = self._name(group), tags.of_cluster(self._cluster, self._tags)
        resource = f"launch template {name}"
        if present is None:
            self._changes.apply(
                resource,
                None,
                {**templates.readable(wanted), "tags": own_tags},
                lambda: self._ec2.create_launch_template(
                    LaunchTemplateName=name,
                    LaunchTemplateData=wanted,
                    TagSpecifications=tags.specification("launch-template", own_tags),
                ),
            )
            return 1
        before = tags.from_list(present.get("Tags", []))
        self._changes.add_tags(
            resource,
            before,
            own_tags,
            lambda missing: self._ec2.create_tags(Resources=[present["LaunchTemplateId"]], Tags=tags.to_list(missing)),
        )
        latest: int = present["LatestVersionNumber"]
        data = self._ec2.describe_launch_template_versions(LaunchTemplateName=name, Versions=[str(latest)])[
            "LaunchTemplateVersions"
        ][0]["LaunchTemplateData"]
        if templates.same(data, wanted):
            return latest
        if templates.readable(data) != templates.readable(wanted):
            before_data, after_data = templates.readable(data), templates.readable(wanted)
        else:
            before_data, after_data = templates.user_data(data), templates.user_data(wanted)
        answer = self._changes.apply(
            resource,
            before_data,
            after_data,
            lambda: self._ec2.create_launch_template_version(LaunchTemplateName=name, LaunchTemplateData=wanted),
        )
        return answer["LaunchTemplateVersion"]["VersionNumber"] if answer else latest + 1

    # Auto Scaling groups

    def _groups(self) -> dict[str, Mapping[str, Any]]:
        pages = self._autoscaling.get_paginator("describe_auto_scaling_groups").paginate(
            Filters=tags.of_cluster_filter(self._cluster)
        )
        return {group["AutoScalingGroupName"]: group for page in pages for group in page["AutoScalingGroups"]}

    def _settings(self, group: Group, version: int) -> dict[str, Any]:
        """What the group should be, in the words of Auto Scaling."""
        settings: dict[str, Any] = {
            "MinSize": group.minimum,
            "DesiredCapacity": group.desired,
            "MaxSize": group.maximum,
            "VPCZoneIdentifier": ",".join(sorted(group.subnets)),
            "HealthCheckType": "EC2",
            "HealthCheckGracePeriod": HEALTH_CHECK_GRACE,
            "TerminationPolicies": TERMINATION_POLICIES,
            # A replacement is started before a spot instance at risk is taken.
            "CapacityRebalance": group.spot is not None and group.spot.rebalance,
        }
        template = {"LaunchTemplateName": self._name(group), "Version": str(version)}
        if not group.mixed:
            return {**settings, "LaunchTemplate": template}
        return {
            **settings,
            "MixedInstancesPolicy": {
                "LaunchTemplate": {
                    "LaunchTemplateSpecification": template,
                    "Overrides": [{"InstanceType": one} for one in group.instance_types],
                },
                "InstancesDistribution": _distribution(group.spot),
            },
        }

    def _keep_group(self, group: Group, version: int, present: Mapping[str, Any] | None) -> None:
        name, wanted = self._name(group), self._settings(group, version)
        own_tags = self._group_tags(group)
        if present is None:
            hooks = [hook.arguments() for hook in self._hooks]
            self._changes.apply(
                f"Auto Scaling group {name}",
                None,
                {**wanted, "hooks": hooks, "tags": own_tags},
                lambda: self._create_group(name, wanted, own_tags),
            )
            self._keep_scaling(name, group, there=False)
            self._keep_warm_pool(name, group, None)
            return
        if present.get("Status"):
            raise ProvisionError(f"The Auto Scaling group {name} is being deleted: run this again when it is gone.")
        pool = present.get("WarmPoolConfiguration")
        if group.warm_pool is None:
            # Before the group: Auto Scaling takes no spot instances beside a warm pool.
            self._delete_warm_pool(name, pool)
        present_tags = tags.from_list(present.get("Tags", []))
        wanted.update(_sizes(group, present))
        before = {key: _comparable(key, present.get(key)) for key in wanted}
        differing = [key for key in wanted if not templates.contains(before[key], wanted[key])]
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
        self._keep_group_tags(name, own_tags, present.get("Tags", []))
        # After the size itself, so that one that was not applied is not taken for one that was.
        self._keep_desired(name, group, present_tags)
        self._keep_hooks(name)
        self._keep_scaling(name, group, there=True)
        self._keep_warm_pool(name, group, pool)

    def _create_group(self, name: str, wanted: Mapping[str, Any], own_tags: Mapping[str, str]) -> None:
        _once_launchable(
            lambda: self._autoscaling.create_auto_scaling_group(
                AutoScalingGroupName=name,
                LifecycleHookSpecificationList=[hook.arguments() for hook in self._hooks],
                Tags=[*_group_tag_list(name, own_tags), _desired_tag(name, wanted["DesiredCapacity"])],
                **wanted,
            )
        )

    def _keep_group_tags(self, name: str, wanted: Mapping[str, str], present: Sequence[Mapping[str, Any]]) -> None:
        before = tags.from_list([tag for tag in present if tag.get("PropagateAtLaunch")])  # type: ignore[misc]
        self._changes.add_tags(
            f"Auto Scaling group {name}",
            before,
            wanted,
            lambda missing: self._autoscaling.create_or_update_tags(Tags=_group_tag_list(name, missing)),
        )

    def _keep_desired(self, name: str, group: Group, present: Mapping[str, str]) -> None:
        before, after = present.get(tags.DESIRED), str(group.desired)
        if before == after or TAG in present:
            return
        self._changes.apply(
            f"tag {tags.DESIRED} of {name}",
            None if before is None else {"value": before},
            {"value": after},
            lambda: self._autoscaling.create_or_update_tags(Tags=[_desired_tag(name, group.desired)]),
        )

    def _keep_hooks(self, name: str) -> None:
        found = self._autoscaling.describe_lifecycle_hooks(AutoScalingGroupName=name)["LifecycleHooks"]
        by_name = {hook["LifecycleHookName"]: hook for hook in found}
        for hook in self._hooks:
            wanted, present = hook.arguments(), by_name.get(hook.name)
            if present is not None and templates.contains(present, wanted):
                continue
            self._changes.apply(
                f"lifecycle hook {hook.name} of {name}",
                {key: present.get(key) for key in wanted} if present else None,
                wanted,
                lambda wanted=wanted: self._autoscaling.put_lifecycle_hook(AutoScalingGroupName=name, **wanted),  # type: ignore[misc]
            )

    def _keep_warm_pool(self, name: str, group: Group, present: Mapping[str, Any] | None) -> None:
        """Keep the group's warm pool, if it is to have one. After its hooks, at which what comes there waits."""
        if group.warm_pool is None:
            return
        if present is not None and present.get("Status"):
            raise ProvisionError(f"The warm pool of {name} is being deleted: run this again when it is gone.")
        least, most = group.warm_pool
        wanted = {"MinSize": least, "MaxGroupPreparedCapacity": most, "PoolState": "Stopped"}
        if present is not None and templates.contains(present, wanted):
            return
        self._changes.apply(
            f"warm pool of {name}",
            {key: present.get(key) for key in wanted} if present else None,
            wanted,
            lambda: self._autoscaling.put_warm_pool(AutoScalingGroupName=name, **wanted),
        )

    def _delete_warm_pool(self, name: str, present: Mapping[str, Any] | None) -> None:
        if present is None or present.get("Status"):
            return
        self._changes.apply(
            f"warm pool of {name}",
            {key: present.get(key) for key in ("MinSize", "MaxGroupPreparedCapacity", "PoolState")},
            None,
            # By force, since nothing that is in there has to be waited for.
            lambda: self._autoscaling.delete_warm_pool(AutoScalingGroupName=name, ForceDelete=True),
        )

    def _keep_scaling(self, name: str, group: Group, *, there: bool) -> None:
        """Keep the policy by which Auto Scaling follows what agents measure; without a target there is to be none."""
        if group.role != WORKER:
            return
        found: Sequence[Mapping[str, Any]] = ()
        if there:
            found = self._autoscaling.describe_policies(AutoScalingGroupName=name, PolicyNames=[SCALING_POLICY])[
                "ScalingPolicies"
            ]
        present = found[0] if found else None
        wanted = self._tracking(group)
        resource = f"scaling policy {SCALING_POLICY} of {name}"
        if wanted is None:
            if present is not None:
                self._changes.apply(
                    resource,
                    {"TargetTrackingConfiguration": present.get("TargetTrackingConfiguration")},
                    None,
                    lambda: self._autoscaling.delete_policy(AutoScalingGroupName=name, PolicyName=SCALING_POLICY),
                )
            return
        if present is not None and templates.contains(present, wanted):
            return
        self._changes.apply(
            resource,
            {key: present.get(key) for key in wanted} if present else None,
            wanted,
            lambda: self._autoscaling.put_scaling_policy(
                AutoScalingGroupName=name, PolicyName=SCALING_POLICY, **wanted
            ),
        )

    def _tracking(self, group: Group) -> dict[str, Any] | None:
        """The policy in the words of Auto Scaling."""
        if group.scaling_target is None:
            return None
        return {
            "PolicyType": "TargetTrackingScaling",
            "EstimatedInstanceWarmup": WARMUP,
            "TargetTrackingConfiguration": {
                "CustomizedMetricSpecification": {
                    "Namespace": metrics_namespace(self._cluster),
                    "MetricName": metrics.RESERVATION.cloudwatch,
                    "Dimensions": [metrics.dimension(metrics.RESERVATION, group.name)],
                    # For a moment two agents may take themselves for the leader's.
                    "Statistic": "Maximum",
                    "Unit": metrics.RESERVATION.unit,
                },
                "TargetValue": float(group.scaling_target),
                "DisableScaleIn": False,
            },
        }

    # What is left to do

    def _report(self, group: Group, version: int, present: Mapping[str, Any] | None) -> dict[str, Any]:
        instances = (present or {}).get("Instances", [])
        size = group.desired if present is None else _size(group, present)
        warm = warm_pools.instances(self._autoscaling, present) if present else []
        behind = [one["InstanceId"] for one in [*instances, *warm] if warm_pools.behind(one, str(version))]
        return {
            "name": group.name,
            "role": group.role,
            "desired": group.desired,
            "size": size,
            "scaled": size != group.desired and group.scaling_target is None,
            "template_version": version,
            "instances": [one["InstanceId"] for one in instances],
            "warm": sorted(one["InstanceId"] for one in warm),
            "behind": sorted(behind),
        }


def _distribution(spot: Spot | None) -> dict[str, Any]:
    if spot is None:
        return {"OnDemandBaseCapacity": 0, "OnDemandPercentageAboveBaseCapacity": 100}
    return {
        "OnDemandBaseCapacity": spot.on_demand_base,
        "OnDemandPercentageAboveBaseCapacity": 100 - spot.share,
        "SpotAllocationStrategy": spot.strategy,
    }


def _size(group: Group, present: Mapping[str, Any]) -> int:
    """How many instances the group is to have now.

    What was scaled stays as it is until `desired` is changed in the configuration, within its min and max. One that
    follows the swarm's tasks stays even then.
    """
    own, size = tags.from_list(present.get("Tags", [])), int(present["DesiredCapacity"])
    if TAG not in own and own.get(tags.DESIRED) != str(group.desired) and group.scaling_target is None:
        size = group.desired
    return max(group.minimum, size if TAG in own else min(size, group.maximum))


def _sizes(group: Group, present: Mapping[str, Any]) -> dict[str, int]:
    """What of the wanted settings is another number, since the group was scaled or is being upgraded."""
    size = _size(group, present)
    return {"DesiredCapacity": size, "MaxSize": max(group.maximum, size)}


def _comparable(key: str, value: Any) -> Any:
    if key == "VPCZoneIdentifier":
        return ",".join(sorted((value or "").split(",")))
    if key == "CapacityRebalance":
        return bool(value)
    return value


def _group_tag_list(name: str, own_tags: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {**tag, "ResourceId": name, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": True}
        for tag in tags.to_list(own_tags)
    ]


def _desired_tag(name: str, desired: int) -> dict[str, Any]:
    """Not for the instances."""
    return {
        "Key": tags.DESIRED,
        "Value": str(desired),
        "ResourceId": name,
        "ResourceType": "auto-scaling-group",
        "PropagateAtLaunch": False,
    }


def _once_launchable(call: Any) -> Any:
    """Call until Auto Scaling sees the instance profile and the template, which may have been made a moment ago."""

    def not_yet(error: Exception) -> bool:
        message = str(error).lower().replace(" ", "")
        unseen = "instanceprofile" in message or ("launchtemplate" in message and "notexist" in message)
        return code(error) == "ValidationError" and unseen

    return once_visible(call, not_yet)
