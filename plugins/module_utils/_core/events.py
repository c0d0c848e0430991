"""What EventBridge and Auto Scaling put into the queue. It only says that it is time to look."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Optional

KNOWN = {
    "EC2 Instance-launch Lifecycle Action": "launching",
    "EC2 Instance-terminate Lifecycle Action": "terminating",
    "EC2 Instance Launch Successful": "launched",
    "EC2 Instance Launch Unsuccessful": "not launched",
    "EC2 Instance Terminate Successful": "terminated",
    "EC2 Instance Terminate Unsuccessful": "not terminated",
    "EC2 Instance State-change Notification": "state changed",
    "EC2 Spot Instance Interruption Warning": "spot interruption",
    "EC2 Instance Rebalance Recommendation": "rebalance recommendation",
    "AWS Health Event": "scheduled maintenance",
}
TEST = "autoscaling:TEST_NOTIFICATION"


@dataclass(frozen=True)
class Event:
    """Something happened, to an instance as far as the event names one. It may be no instance of this cluster."""

    kind: str
    instance: Optional[str] = None


def parse(body: str) -> Optional[Event]:
    """Read a message; None if it is none that is known, and should be seen by a person."""
    try:
        message = json.loads(body)
    except ValueError:
        return None
    if not isinstance(message, dict):
        return None
    if message.get("Event") == TEST:
        return Event("test")
    kind = message.get("detail-type")
    detail = message.get("detail")
    if not isinstance(kind, str) or kind not in KNOWN or not isinstance(detail, dict):
        return None
    return Event(KNOWN[kind], _instance(detail))


def _instance(detail: Any) -> Optional[str]:
    for key in ("EC2InstanceId", "instance-id"):
        value = detail.get(key)
        if isinstance(value, str) and value.startswith("i-"):
            return value
    return None
