"""Instances in the warm pools of Auto Scaling groups, which the groups do not list."""

from __future__ import annotations

from typing import Any, Mapping

from .._core.cluster import WARMED
from ..aws.aws_session import listed


def instances(autoscaling: Any, group: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The instances in a group's warm pool, as Auto Scaling describes them. No request for a group without a pool."""
    if "WarmPoolConfiguration" not in group:
        return []
    name = group["AutoScalingGroupName"]
    return list(listed(autoscaling, "describe_warm_pool", "Instances", AutoScalingGroupName=name))


def ending(instance: Mapping[str, Any]) -> bool:
    """Whether Auto Scaling terminates an instance of a group or of its warm pool."""
    state: str = instance.get("LifecycleState", "")
    return state.removeprefix(WARMED).startswith("Terminat")


def outdated(instance: Mapping[str, Any], version: str) -> bool:
    """Whether an instance that is not terminating is outdated."""
    return instance.get("LaunchTemplate", {}).get("Version") != version and not ending(instance)
