"""Auto Scaling's groups, members, hooks, policies and activities."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lab.aws import world
from lab.aws.errors import invalid
from lab.aws.instances import LabInstance
from lab.state import ACCOUNT_ID, REGION

LAUNCHING, TERMINATING = "autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"
# The prefix of the lifecycle states in a warm pool.
WARMED = "Warmed:"
MAX_WAIT = 172800
"""Seconds that an action waits at most, even with heartbeats."""


@dataclass
class Hook:
    """A lifecycle hook; its settings have the API's names."""

    settings: dict[str, Any]

    @classmethod
    def of(cls, given: Mapping[str, Any], present: Hook | None = None) -> Hook:
        """A hook from the API's parameters; missing parameters keep their values. Raises AwsError."""
        before = present.settings if present else {"HeartbeatTimeout": 3600, "DefaultResult": "ABANDON"}
        settings = {**before, **{key: value for key, value in given.items() if value}}
        if "LifecycleTransition" not in settings:
            raise invalid("LifecycleTransition is required for a new lifecycle hook")
        if not 30 <= settings["HeartbeatTimeout"] <= 7200:
            raise invalid("HeartbeatTimeout must be between 30 and 7200 seconds")
        return cls(settings)

    @property
    def name(self) -> str:
        return str(self.settings["LifecycleHookName"])

    @property
    def transition(self) -> str:
        return str(self.settings["LifecycleTransition"])

    @property
    def global_timeout(self) -> float:
        return min(MAX_WAIT, 100 * float(self.settings["HeartbeatTimeout"]))


@dataclass
class Action:
    """A hook that a member waits for."""

    hook: Hook
    token: str = field(default_factory=lambda: str(uuid.uuid4()))
    began: float = field(default_factory=time.monotonic)
    heartbeat: float = field(default_factory=time.monotonic)
    result: str | None = None

    def timed_out(self, now: float) -> bool:
        timeout = self.hook.settings["HeartbeatTimeout"]
        return bool(now >= min(self.heartbeat + timeout, self.began + self.hook.global_timeout))


@dataclass
class Activity:
    """A scaling activity; moto's serializer reads its attributes."""

    auto_scaling_group_name: str
    description: str
    cause: str
    activity_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    start_time: datetime = field(default_factory=lambda: datetime.now(UTC))
    end_time: datetime | None = None
    status_code: str = "InProgress"
    status_message: str | None = None
    progress: int = 50
    details: str = "{}"

    def end(self, status: str = "Successful", message: str | None = None) -> None:
        self.status_code, self.status_message, self.progress = status, message, 100
        self.end_time = datetime.now(UTC)

    def fail(self, reason: str) -> None:
        """End a launch, for Auto Scaling's reason."""
        self.description += f".  Status Reason: {reason}"
        self.end("Failed", reason)


@dataclass
class Member:
    """An instance of a group, in one of Auto Scaling's lifecycle states."""

    group: Group
    instance: LabInstance
    template: dict[str, str] | None
    activity: Activity
    state: str = "Pending"
    health: str = "Healthy"
    actions: dict[str, Action] = field(default_factory=dict)
    in_service_since: float | None = None
    at_risk: bool = False
    """EC2 has sent a rebalance recommendation or an interruption warning."""

    @property
    def counts(self) -> bool:
        """Whether it counts as capacity of the group."""
        return self.state == "InService" or self.state.startswith("Pending")

    @property
    def terminating(self) -> bool:
        return self.state.removeprefix(WARMED).startswith("Terminat")

    @property
    def warmed(self) -> bool:
        """Whether it is in the warm pool."""
        return self.state.startswith(WARMED)

    def describe(self) -> dict[str, Any]:
        """The API's description within its group."""
        return {
            "InstanceId": self.instance.id,
            "InstanceType": self.instance.instance_type,
            "AvailabilityZone": self.instance.placement.zone,
            "LifecycleState": self.state,
            "HealthStatus": self.health,
            "LaunchTemplate": self.template,
            "ProtectedFromScaleIn": False,
        }


@dataclass
class ScalingPolicy:
    """A target tracking policy; its settings have the API's names."""

    name: str
    settings: dict[str, Any]
    changed_at: float | None = None
    """When it last changed the group's size, on the monotonic clock."""


class Group:
    """An Auto Scaling group; its settings have the API's names."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.settings: dict[str, Any] = {
            "DefaultCooldown": 300,
            "HealthCheckType": "EC2",
            "HealthCheckGracePeriod": 0,
            "TerminationPolicies": ["Default"],
            "NewInstancesProtectedFromScaleIn": False,
            "CapacityRebalance": False,
            **settings,
        }
        self.created = datetime.now(UTC)
        self.arn = (
            f"arn:aws:autoscaling:{REGION}:{ACCOUNT_ID}:autoScalingGroup:{uuid.uuid4()}:autoScalingGroupName/{name}"
        )
        self.tags: list[dict[str, Any]] = []
        self.members: list[Member] = []
        self.hooks: dict[str, Hook] = {}
        self.policies: dict[str, ScalingPolicy] = {}
        self.suspended: set[str] = set()
        self.metrics: set[str] = set()
        self.warm_pool: dict[str, Any] | None = None
        """PutWarmPool's parameters."""
        self.deleting = False
        self.no_launch_before = 0.0
        """Monotonic time before which nothing is launched, after a failed launch."""

    @property
    def desired(self) -> int:
        return 0 if self.deleting else int(self.settings["DesiredCapacity"])

    @property
    def subnets(self) -> list[str]:
        return [word.strip() for word in self.settings.get("VPCZoneIdentifier", "").split(",") if word.strip()]

    @property
    def zones(self) -> list[str]:
        by_id = {subnet.id: subnet.availability_zone for subnet in world.ec2().describe_subnets()}
        return sorted({by_id[subnet] for subnet in self.subnets if subnet in by_id})

    @property
    def warm_size(self) -> int:
        """The desired size of the warm pool."""
        if self.warm_pool is None or self.warm_pool.get("Status") or self.deleting:
            return 0
        prepared = self.warm_pool.get("MaxGroupPreparedCapacity")
        most = int(self.settings["MaxSize"] if prepared in (None, -1) else prepared)
        return max(int(self.warm_pool.get("MinSize", 0)), most - self.desired)

    @property
    def distribution(self) -> Mapping[str, Any]:
        """The distribution over on-demand and spot capacity; empty if there is none."""
        distribution: Mapping[str, Any] = self.settings.get("MixedInstancesPolicy", {}).get("InstancesDistribution", {})
        return distribution

    @property
    def spot(self) -> bool:
        """Whether it may have spot instances."""
        return bool(self.distribution.get("OnDemandPercentageAboveBaseCapacity", 100) < 100)

    def tag(self, given: Mapping[str, Any]) -> None:
        """Set a tag in the API's format."""
        self.untag(given["Key"])
        defaults = {"Value": "", "PropagateAtLaunch": False}
        own = {"ResourceId": self.name, "ResourceType": "auto-scaling-group"}
        self.tags.append({**defaults, **given, **own})

    def untag(self, key: str) -> None:
        self.tags = [tag for tag in self.tags if tag["Key"] != key]

    def instance_tags(self) -> dict[str, str]:
        """The tags of its instances at launch."""
        own = {tag["Key"]: tag["Value"] for tag in self.tags if tag.get("PropagateAtLaunch")}
        return {**own, "aws:autoscaling:groupName": self.name}

    def describe(self) -> dict[str, Any]:
        """The API's description."""
        return {
            **self.settings,
            "AutoScalingGroupName": self.name,
            "AutoScalingGroupARN": self.arn,
            "AvailabilityZones": self.zones,
            "LoadBalancerNames": [],
            "TargetGroupARNs": [],
            "Instances": [member.describe() for member in self.members if not member.warmed],
            **({"WarmPoolConfiguration": self.warm_pool, "WarmPoolSize": self.warm_size} if self.warm_pool else {}),
            "CreatedTime": self.created,
            "SuspendedProcesses": [
                {"ProcessName": process, "SuspensionReason": "User suspended"} for process in self.suspended
            ],
            "EnabledMetrics": [{"Metric": metric, "Granularity": "1Minute"} for metric in sorted(self.metrics)],
            "Tags": sorted(self.tags, key=lambda tag: str(tag["Key"])),
            "Status": "Delete in progress" if self.deleting else None,
            "ServiceLinkedRoleARN": f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/autoscaling.amazonaws.com/"
            "AWSServiceRoleForAutoScaling",
        }
