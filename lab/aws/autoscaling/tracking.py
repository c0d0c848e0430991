"""Target tracking: groups whose desired capacity follows a metric, much as on AWS.

AWS creates two alarms for each policy, for three minutes above the target and for fifteen minutes well below it. The
lab creates no alarms, and its minutes pass as fast as those of AWS's own metrics.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from typing import Any

from moto.core.utils import utcnow

from lab.aws import world
from lab.aws.autoscaling.group import Group, ScalingPolicy
from lab.aws.cloudwatch import AWS_SPEED
from lab.aws.cloudwatch.alarms import FURTHER_BACK, Measured, Series

log = logging.getLogger(__name__)
MINUTE = 60 / AWS_SPEED
# Consecutive minutes above and below the target, and the share of the target below which AWS scales in.
HIGH, LOW, LOW_PART = 3, 15, 0.9
# Seconds after a change, until the metric shows its effect.
REST = 2 * MINUTE


def look(measured: Measured) -> None:
    """Evaluate every policy once. The caller holds the world's lock."""
    followed = [(group, policy) for group in world.autoscaling().groups.values() for policy in group.policies.values()]
    for group, policy in followed:
        points = _points(policy, measured)
        size = wanted(group, policy, points, time.monotonic())
        if size != group.desired and not group.deleting and "AlarmNotification" not in group.suspended:
            log.info("%s scales %s from %d to %d: %s", policy.name, group.name, group.desired, size, points)
            group.settings["DesiredCapacity"] = size
            policy.changed_at = time.monotonic()


def wanted(group: Group, policy: ScalingPolicy, points: Sequence[float | None], now: float) -> int:
    """The desired capacity for the metric's last minutes, newest first; None is a minute without data."""
    if policy.changed_at is not None and now - policy.changed_at < REST:
        return group.desired
    tracking = policy.settings["TargetTrackingConfiguration"]
    target, low, high = tracking["TargetValue"], group.settings["MinSize"], group.settings["MaxSize"]
    recent = _newest(points, HIGH)
    if len(recent) == HIGH and min(recent) > target:
        # Instances that warm up do not count, so that the group does not scale out twice for the same load.
        warmup = policy.settings.get("EstimatedInstanceWarmup") or group.settings["DefaultCooldown"]
        warm = [
            member for member in group.members if member.in_service_since and now - member.in_service_since >= warmup
        ]
        serving = sum(member.state == "InService" for member in warm)
        return max(group.desired, min(high, math.ceil(max(1, serving) * recent[0] / target)))
    longer = _newest(points, LOW)
    if not tracking.get("DisableScaleIn") and len(longer) == LOW and max(longer) < LOW_PART * target:
        return min(group.desired, max(low, math.ceil(group.desired * longer[0] / target)))
    return group.desired


def _newest(points: Sequence[float | None], count: int) -> list[float]:
    """The newest ``count`` values, from a few more minutes, because a publisher sometimes misses a minute."""
    return [point for point in points[: count + FURTHER_BACK] if point is not None][:count]


def _points(policy: ScalingPolicy, measured: Measured) -> list[float | None]:
    metric: dict[str, Any] = policy.settings["TargetTrackingConfiguration"]["CustomizedMetricSpecification"]
    dimensions = frozenset((dimension["Name"], dimension["Value"]) for dimension in metric.get("Dimensions") or ())
    series = Series(metric["Namespace"], metric["MetricName"], dimensions, metric["Statistic"], MINUTE)
    now = utcnow()
    return [series.value(number, now, measured) for number in range(LOW + FURTHER_BACK)]
