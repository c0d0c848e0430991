"""The lab's target tracking scales out quickly, scales in slowly, and never twice for the same load."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lab.aws.autoscaling.group import Group, ScalingPolicy
from lab.aws.autoscaling.tracking import FURTHER_BACK, HIGH, LOW, REST, wanted

NOW = 10_000.0


def group(desired: int, serving: int | None = None, warming: int = 0) -> Group:
    found = Group("example-worker", {"MinSize": 1, "MaxSize": 6, "DesiredCapacity": desired})
    ages = [1000.0] * (desired if serving is None else serving) + [1.0] * warming
    found.members = [SimpleNamespace(state="InService", in_service_since=NOW - age) for age in ages]  # type: ignore[misc]
    return found


def policy(target: int = 100, **more: Any) -> ScalingPolicy:
    tracking = {"TargetValue": target, **more}
    return ScalingPolicy("needed-nodes", {"EstimatedInstanceWarmup": 30, "TargetTrackingConfiguration": tracking})


def always(value: float) -> list[float | None]:
    return [value] * (LOW + FURTHER_BACK)


@pytest.mark.parametrize(
    ("desired", "value", "target", "expected"),
    [
        (2, 100.0, 100, 2),
        (2, 150.0, 100, 3),
        (3, 233.333, 100, 6),  # it needs seven instances and may have six
        (4, 100.0, 80, 5),
        (3, 33.333, 100, 1),
        (3, 66.666, 100, 2),
        (1, 0.0, 100, 1),
        # Above nine tenths of the target it does not scale in.
        (6, 91.0, 100, 6),
    ],
)
def test_the_size_follows_the_ratio(desired: int, value: float, target: int, expected: int) -> None:
    assert wanted(group(desired), policy(target), always(value), NOW) == expected


def test_a_group_scales_out_after_3_minutes_and_in_after_15() -> None:
    at_once: list[float | None] = [200.0] * HIGH + [100.0] * LOW
    assert wanted(group(1), policy(), at_once, NOW) == 2
    assert wanted(group(1), policy(), at_once[1:], NOW) == 1
    assert wanted(group(2), policy(), [50.0] * (LOW - 1) + [100.0] * 3, NOW) == 2
    assert wanted(group(2), policy(), [None, *[50.0] * LOW], NOW) == 1
    assert wanted(group(2), policy(DisableScaleIn=True), always(50.0), NOW) == 2
    assert wanted(group(2), policy(), [None] * LOW, NOW) == 2


def test_warming_instances_do_not_count() -> None:
    assert wanted(group(2, serving=1, warming=1), policy(), always(200.0), NOW) == 2
    assert wanted(group(2, serving=2), policy(), always(200.0), NOW) == 4
    changed = policy()
    changed.changed_at = NOW - REST / 2
    assert wanted(group(2), changed, always(200.0), NOW) == 2
