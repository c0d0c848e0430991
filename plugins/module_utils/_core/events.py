"""The messages that EventBridge and Auto Scaling put into the queue.

They wake the agent, and some of them announce when an instance ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Mapping, Optional, Tuple

from .cluster import Interruption
from .parsing import decoded

SPOT, REBALANCE, MAINTENANCE = "spot interruption", "rebalance recommendation", "scheduled maintenance"
STATE = "state changed"
KNOWN = {
    # A manager sends this itself when the operator requests a removal.
    "Removal Requested": "removal requested",
    "EC2 Instance-launch Lifecycle Action": "launching",
    "EC2 Instance-terminate Lifecycle Action": "terminating",
    "EC2 Instance Launch Successful": "launched",
    "EC2 Instance Launch Unsuccessful": "not launched",
    "EC2 Instance Terminate Successful": "terminated",
    "EC2 Instance Terminate Unsuccessful": "not terminated",
    "EC2 Instance State-change Notification": STATE,
    "EC2 Spot Instance Interruption Warning": SPOT,
    "EC2 Instance Rebalance Recommendation": REBALANCE,
    "AWS Health Event": MAINTENANCE,
}
TEST = "autoscaling:TEST_NOTIFICATION"
# Seconds from EC2's warning until it takes a spot instance back.
SPOT_NOTICE = 120.0
# The statuses of scheduled maintenance that is over.
_OVER = ("closed", "completed", "cancelled", "canceled")


@dataclass(frozen=True)
class Event:
    """An event, and its instance if it names one, which need not be of this cluster."""

    kind: str
    instance: Optional[str] = None
    # The interruptions that it announces.
    interruptions: Tuple[Interruption, ...] = ()


def unhandled(identifier: str, why: str) -> str:
    """A sentence about a message that cannot be handled."""
    return f"The message {identifier} in the queue is left for the dead-letter queue: {why}."


def parse(body: str, now: float = 0.0) -> Optional[Event]:
    """Read a message; None if its kind is unknown, and a person should look at it. ``now`` is in epoch seconds."""
    try:
        message = decoded(body)
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
    return Event(KNOWN[kind], _instance(detail), _interruptions(KNOWN[kind], message, detail, now))


def _interruptions(
    kind: str, message: Mapping[str, Any], detail: Mapping[str, Any], now: float
) -> Tuple[Interruption, ...]:
    instance = _instance(detail)
    if kind == SPOT and instance:
        said = _iso(message.get("time"))
        return (Interruption(instance, kind, (now if said is None else said) + SPOT_NOTICE),)
    if kind == REBALANCE and instance:
        return (Interruption(instance, kind),)
    if kind == MAINTENANCE and detail.get("eventTypeCategory") == "scheduledChange":
        if detail.get("statusCode") in _OVER:
            return ()
        return tuple(Interruption(affected, kind, _rfc(detail.get("startTime"))) for affected in _affected(detail))
    return ()


def _affected(detail: Mapping[str, Any]) -> Tuple[str, ...]:
    entities = detail.get("affectedEntities")
    values = (
        [entity.get("entityValue") for entity in entities if isinstance(entity, dict)]
        if isinstance(entities, list)
        else []
    )
    return tuple(value for value in values if isinstance(value, str) and value.startswith("i-"))


def _iso(value: Any) -> Optional[float]:
    """A time as EventBridge writes it, such as 2024-01-27T06:02:51Z."""
    try:
        return datetime.fromisoformat(str(value).replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return None


def _rfc(value: Any) -> Optional[float]:
    """A time as AWS Health writes it, such as Sat, 27 Jan 2024 06:02:51 GMT."""
    try:
        return parsedate_to_datetime(str(value)).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


def _instance(detail: Mapping[str, Any]) -> Optional[str]:
    for key in ("EC2InstanceId", "instance-id"):
        value = detail.get(key)
        if isinstance(value, str) and value.startswith("i-"):
            return value
    return None
