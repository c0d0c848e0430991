"""Instances that wait in the warm pools of Auto Scaling groups, which the groups do not tell of themselves."""

from __future__ import annotations

from typing import Any, Mapping

from .._core.cluster import WARMED
from ..aws.aws_session import listed


def instances(autoscaling: Any, group: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those in the warm pool of a group, as Auto Scaling describes it and them. No request for one without a pool."""
    if "WarmPoolConfiguration" not in group:
        return []
    name = group["AutoScalingGroupName"]
    return list(listed(autoscaling, "describe_warm_pool", "Instances", AutoScalingGroupName=name))


def ending(instance: Mapping[str, Any]) -> bool:
    """Whether Auto Scaling ends an instance, out of a group or out of its warm pool."""
    state: str = instance.get("LifecycleState", "")
    return state.removeprefix(WARMED).startswith("Terminat")


def behind(instance: Mapping[str, Any], version: str) -> bool:
    """Whether an instance that does not end is of another version of the launch template."""
    return instance.get("LaunchTemplate", {}).get("Version") != version and not ending(instance)
