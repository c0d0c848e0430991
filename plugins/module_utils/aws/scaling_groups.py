"""Auto Scaling groups, as Auto Scaling describes them."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Any, Iterable, Mapping, Optional, Tuple

from . import tags

# Number of past activities to search for failed launches.
ACTIVITIES = 20
# Auto Scaling replaces an instance whose launch failed sooner than this.
REPEATED_SECONDS = 60.0
# Seconds for which launches may fail before a command gives up, since they may succeed in another zone.
PATIENCE = 45.0
_FAILED, _ENDED = "Failed", ("Failed", "Successful")
# An instance's ID in an activity's description. That of a failed launch may name an image: '[ami-0…]'.
_INSTANCE = re.compile(r"\bi-[0-9a-f]")


def groups_of(autoscaling: Any, cluster: str, *filters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The cluster's groups, limited by additional filters."""
    return _groups(autoscaling, Filters=[*tags.of_cluster_filter(cluster), *filters])


def groups_named(autoscaling: Any, names: Iterable[str]) -> list[Mapping[str, Any]]:
    """The groups that have these names and exist, of any cluster."""
    return _groups(autoscaling, AutoScalingGroupNames=list(names))


def _groups(autoscaling: Any, **arguments: Any) -> list[Mapping[str, Any]]:
    pages = autoscaling.get_paginator("describe_auto_scaling_groups").paginate(**arguments)
    return [group for page in pages for group in page["AutoScalingGroups"]]


def template_of(group: Mapping[str, Any]) -> Mapping[str, Any]:
    """The launch template of a group or of its mixed instances policy."""
    mixed = (group.get("MixedInstancesPolicy") or {}).get("LaunchTemplate", {})
    return group.get("LaunchTemplate") or mixed.get("LaunchTemplateSpecification") or {}


def launch_failure(autoscaling: Any, group: Mapping[str, Any]) -> Optional[Tuple[str, float]]:
    """Auto Scaling's reason why a group's launches fail, and since when, in epoch seconds.

    None if the group has its desired capacity, or if its last launch did not fail.
    """
    serving = sum(instance["LifecycleState"] == "InService" for instance in group["Instances"])
    if serving >= group["DesiredCapacity"]:
        return None
    launches = launches_of(autoscaling, group)
    ended = [activity for activity in launches if activity["StatusCode"] in _ENDED]
    failed = list(takewhile(lambda activity: activity["StatusCode"] == _FAILED, ended))
    if not failed:
        return None
    if launches[0] is not failed[0] and not _repeats(launches[0], failed[0]):
        return None
    return reason(failed[0]), failed[-1]["StartTime"].timestamp()


def _repeats(present: Mapping[str, Any], failed: Mapping[str, Any]) -> bool:
    """Whether a launch under way will probably fail as the last instance did, which ended a moment before."""
    pause = (present["StartTime"] - failed["EndTime"]).total_seconds()
    return bool(_INSTANCE.search(failed["Description"])) and pause < REPEATED_SECONDS


def launches_of(autoscaling: Any, group: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The activities that launch a group's instances, the newest first."""
    activities = autoscaling.describe_scaling_activities(
        AutoScalingGroupName=group["AutoScalingGroupName"], MaxRecords=ACTIVITIES
    )["Activities"]
    return [activity for activity in activities if activity["Description"].startswith("Launching")]


def reason(activity: Mapping[str, Any]) -> str:
    """Auto Scaling's words about a failed activity."""
    return str(activity.get("StatusMessage") or activity["Description"])
