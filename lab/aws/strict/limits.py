"""Refusals that go away by themselves, and the limit of a filter: what depends on how and when a client calls."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from moto.core.utils import get_service_model

from lab.aws import account
from lab.aws.calls import Call
from lab.aws.errors import AwsError

_THROTTLED = {
    "autoscaling": ("Throttling", 400),
    "cloudwatch": ("Throttling", 400),
    "ec2": ("RequestLimitExceeded", 503),
    "elbv2": ("Throttling", 400),
    "iam": ("Throttling", 400),
    "route53": ("Throttling", 400),
    "s3": ("SlowDown", 503),
    "sns": ("Throttling", 400),
    "sts": ("Throttling", 400),
}
"""Each service's own code and status; the others say ThrottlingException."""


class Limits:
    """Refuses calls of an account. Callers hold the world's lock."""

    def __init__(self) -> None:
        self._random = random.Random(account.current.seed)
        self._changed: dict[tuple[str, str], float] = {}

    def throttle(self, call: Call) -> None:
        """Raises AwsError for a small share of the calls, which the account's seed chooses."""
        if call.service and self._random.random() < account.current.throttled:
            code, status = _THROTTLED.get(call.service, ("ThrottlingException", 400))
            raise AwsError(code, "Rate exceeded", status)

    def check(self, call: Call) -> None:
        """Raises AwsError for too many values in filters, and for a change right after another of the same resource."""
        most = account.current.filter_values
        filters = call.parameters.get("Filters") or [] if call.service == "ec2" else []
        if most is not None and sum(len(given.get("Values") or []) for given in filters) > most:
            message = f"The maximum number of filter values specified on a single call is {most}"
            raise AwsError("FilterLimitExceeded", message)
        now = time.monotonic()
        for changed in _changed(call):
            if now - self._changed.get(changed, -account.current.busy_seconds) < account.current.busy_seconds:
                raise _busy(call)
            self._changed[changed] = now


def _changed(call: Call) -> Iterator[tuple[str, str]]:
    """The Auto Scaling group or the event rule that a call changes."""
    given = call.parameters
    if call.service == "autoscaling" and not call.action.startswith("Describe"):
        names = {given.get("AutoScalingGroupName"), *(tag.get("ResourceId") for tag in given.get("Tags") or [])}
        yield from (("autoscaling", name) for name in names if name)
    if call.service == "events" and call.action in ("PutRule", "PutTargets", "RemoveTargets", "DeleteRule"):
        yield "events", str(given.get("Rule") or given.get("Name"))


def _busy(call: Call) -> AwsError:
    """The operation's own code in the SDK's model of the service."""
    if call.service == "events":
        message = "There is concurrent modification on a rule, target, archive, or replay."
        return AwsError("ConcurrentModificationException", message)
    errors = get_service_model("autoscaling").operation_model(call.action).error_shapes
    if any(error.error_code == "ScalingActivityInProgress" for error in errors):
        return AwsError("ScalingActivityInProgress", "A scaling activity is in progress and blocks this action.")
    return AwsError("ResourceContention", "You already have a pending update to an Auto Scaling resource.", 500)
