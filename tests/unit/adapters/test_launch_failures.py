"""Auto Scaling's reason why a group's launches fail, from its activities."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.plan import decide
from ansible_collections.swarm.aws.plugins.module_utils.adapters.autoscaling import AutoScalingGroups
from ansible_collections.swarm.aws.plugins.module_utils.aws import scaling_groups
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession

from tests.unit.core.memory_cluster import POLICY, instance, node, observed

NEW, INSTANCE = "Launching a new EC2 instance", "Launching a new EC2 instance: i-0123456789abcdef0"
QUOTA = "You have requested more vCPU capacity than your current vCPU limit of 5 allows."
GROUP: dict[str, Any] = {"AutoScalingGroupName": "example-worker", "DesiredCapacity": 2, "Instances": []}


def activity(at: float, code: str, description: str = NEW, message: str = "") -> dict[str, Any]:
    moment = datetime.fromtimestamp(at, UTC)
    said = {"StatusCode": code, "Description": description, "StatusMessage": message}
    return {**said, "StartTime": moment, "EndTime": moment}


def found(*activities: dict[str, Any], **group: Any) -> Any:
    """What is told of a group with these activities, the newest first."""
    answer = {"Activities": list(activities)}
    client = SimpleNamespace(describe_scaling_activities=lambda **_: answer)
    return scaling_groups.launch_failure(client, {**GROUP, **group})


@pytest.mark.parametrize(
    "activities",
    [
        [],
        [activity(2, "Successful"), activity(1, "Failed", message=QUOTA)],
        [activity(2, "InProgress"), activity(1, "Failed", message="Your requested instance type is not supported")],
        [activity(90, "InProgress"), activity(1, "Failed", INSTANCE, "abandoned before an upgrade was cancelled")],
        [activity(1, "Failed", "Terminating EC2 instance: i-0123456789abcdef0")],
    ],
)
def test_a_group_whose_last_launch_has_not_failed_has_no_reason(activities: list[dict[str, Any]]) -> None:
    assert found(*activities) is None


def test_the_newest_reason_is_told_since_the_first_failure_in_a_row() -> None:
    failures = [activity(30, "Failed", message=QUOTA), activity(20, "Failed", message="another")]
    terminated = activity(40, "Successful", "Terminating EC2 instance: i-0123456789abcdef0")
    assert found(terminated, *failures, activity(10, "Successful"), activity(5, "Failed")) == (QUOTA, 20)


def test_instances_that_end_before_they_boot_are_a_failure_also_meanwhile() -> None:
    key = "Termination Reason: Client.InternalError: Client error on launch"
    assert found(activity(9, "InProgress", INSTANCE), activity(8, "Failed", INSTANCE, key)) == (key, 8)


def test_a_failure_without_a_message_is_told_by_its_description() -> None:
    assert found(activity(1, "Failed", f"{NEW}.  Status Reason: none")) == (f"{NEW}.  Status Reason: none", 1)


def test_a_complete_group_is_not_asked() -> None:
    serving = [{"LifecycleState": "InService"}] * 2
    assert scaling_groups.launch_failure(None, {**GROUP, "Instances": serving}) is None


def test_a_manager_that_may_not_read_activities_still_sees_the_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    group = {**GROUP, "MinSize": 0, "MaxSize": 4, "Tags": [{"Key": "swarm.aws/group", "Value": "worker"}]}
    denied: list[str] = []

    def activities(**_: Any) -> Any:
        denied.append("DescribeScalingActivities")
        raise ValueError("denied")

    pages = SimpleNamespace(paginate=lambda **_: [{"AutoScalingGroups": [group]}])
    client = SimpleNamespace(get_paginator=lambda name: pages, describe_scaling_activities=activities)
    aws = AwsSession.on_node("eu-west-1")
    monkeypatch.setattr(aws, "client", lambda service: client)
    (seen,) = AutoScalingGroups(aws, "example", lambda: 0.0).groups()
    assert (seen.group, seen.launch_failure, denied) == ("worker", None, ["DescribeScalingActivities"])


def test_the_reason_is_a_note_of_the_leader() -> None:
    seen = replace(observed([instance(1)], [node(1, leader=True)]), launch_failures={"worker": QUOTA})
    assert decide(seen, POLICY, 0).notes == [f"Auto Scaling cannot launch instances of the group worker: {QUOTA}"]
