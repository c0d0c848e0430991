"""Evaluates alarms and notifies their topics.

Callers hold the world's lock. A window ends now, not on the minute. Metric math supports addition, subtraction,
multiplication and division of metrics and numbers.
"""

from __future__ import annotations

import ast
import json
import logging
import operator
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from moto.cloudwatch.models import Alarm, CloudWatchBackend
from moto.core.utils import utcnow

from lab.aws import world
from lab.aws.cloudwatch import AWS_SPEED
from lab.aws.cloudwatch.measuring import naive
from lab.aws.grafts import Grafts
from lab.aws.iam.policy import Access, lets
from lab.state import ACCOUNT_ID, REGION

log = logging.getLogger(__name__)
OK, ALARM, UNKNOWN = "OK", "ALARM", "INSUFFICIENT_DATA"
# CloudWatch looks at more periods than an alarm has, and takes the newest data points if some are missing.
FURTHER_BACK = 2
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "Minimum": min,
    "Maximum": max,
    "SampleCount": len,
    "Average": lambda values: sum(values) / len(values),
}
_CALCULATE: Mapping[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def install(grafts: Grafts) -> None:
    """Give new alarms the state INSUFFICIENT_DATA; changed alarms keep their state until the next evaluation."""
    grafts.around(CloudWatchBackend, "put_metric_alarm", _put_metric_alarm)


def _put_metric_alarm(put: Callable[..., Alarm], self: Any, name: str, *arguments: Any, **keywords: Any) -> Alarm:
    before = self.alarms.get(name)
    alarm = put(self, name, *arguments, **keywords)
    alarm.state_value = before.state_value if before else UNKNOWN
    return alarm


def look(measured: Measured) -> None:
    """Evaluate every alarm once."""
    now = utcnow()
    for alarm in list(world.cloudwatch().alarms.values()):
        if alarm.rule is not None:
            continue
        try:
            points = _points(alarm, now, measured)
        except ValueError as error:
            log.warning("the alarm %s cannot be evaluated: %s", alarm.name, error)
            continue
        state = judged(alarm, points)
        if state != alarm.state_value:
            _turn(alarm, state, points)


def judged(alarm: Alarm, points: Sequence[float | None]) -> str:
    """An alarm's state for the values of its periods, newest first; None is a period without data."""
    breaches = _COMPARE[alarm.comparison_operator]
    found = [breaches(value, float(alarm.threshold)) for value in points if value is not None]
    periods, enough = int(alarm.evaluation_periods), int(alarm.datapoints_to_alarm or alarm.evaluation_periods)
    missing = max(0, periods - len(found))
    if not missing:
        return ALARM if sum(found[:periods]) >= enough else OK
    treatment = alarm.treat_missing_data or "missing"
    if treatment == "breaching":
        return ALARM if sum(found) + missing >= enough else OK
    if sum(found) >= enough:
        return ALARM
    if treatment == "notBreaching":
        return OK
    if not found:
        return UNKNOWN if treatment == "missing" else str(alarm.state_value)
    # The missing values could change the result.
    return str(alarm.state_value) if sum(found) + missing >= enough and alarm.state_value != UNKNOWN else OK


# The times and values of each metric, by its namespace, its name and its dimensions.
Measured = Mapping[tuple[str, str, frozenset[tuple[str, str]]], Sequence[tuple[datetime, float]]]


def measurements() -> Measured:
    """All metric data in CloudWatch."""
    found = defaultdict(list)
    for datum in world.cloudwatch().metric_data:
        dimensions = frozenset((dimension.name, dimension.value) for dimension in datum.dimensions)
        found[datum.namespace, datum.name, dimensions].append((naive(datum.timestamp), datum.value))
    return found


@dataclass(frozen=True)
class Series:
    """A metric with a statistic and a period in seconds."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]
    statistic: str
    seconds: float

    @classmethod
    def of(cls, metric: Any, statistic: Any, period: Any) -> Series:
        """``metric`` is moto's metric, or an alarm on a metric."""
        dimensions = frozenset((str(dimension.name), str(dimension.value)) for dimension in metric.dimensions)
        speed = AWS_SPEED if metric.namespace.startswith("AWS/") else 1
        return cls(metric.namespace, metric.metric_name, dimensions, statistic, float(period) / speed)

    def value(self, number: int, now: datetime, measured: Measured) -> float | None:
        """The statistic of a period, counted back from now; None without data."""
        end = now - timedelta(seconds=self.seconds * number)
        start = end - timedelta(seconds=self.seconds)
        moments = measured.get((self.namespace, self.name, self.dimensions), ())
        found = [value for at, value in moments if start < at <= end]
        return float(_STATISTICS[self.statistic](found)) if found else None


def _points(alarm: Any, now: datetime, measured: Measured) -> list[float | None]:
    periods = range(int(alarm.evaluation_periods) + FURTHER_BACK)
    if not alarm.metric_data_queries:
        series = Series.of(alarm, alarm.statistic, alarm.period)
        return [series.value(number, now, measured) for number in periods]
    parts = {
        query.id: Series.of(query.metric_stat.metric, query.metric_stat.stat, query.metric_stat.period)
        for query in alarm.metric_data_queries
        if query.metric_stat
    }
    (returned,) = [query.expression for query in alarm.metric_data_queries if query.expression]
    tree = ast.parse(returned, mode="eval").body
    result: list[float | None] = []
    for number in periods:
        values = {name: series.value(number, now, measured) for name, series in parts.items()}
        result.append(None if None in values.values() else calculated(tree, values))
    return result


def calculated(tree: ast.expr, values: Mapping[str, Any]) -> float:
    """The value of an expression. Raises ValueError for an unsupported expression."""
    if isinstance(tree, ast.Name) and tree.id in values:
        return float(values[tree.id])
    if isinstance(tree, ast.Constant) and isinstance(tree.value, (int, float)):
        return float(tree.value)
    if isinstance(tree, ast.BinOp) and type(tree.op) in _CALCULATE:
        return _CALCULATE[type(tree.op)](calculated(tree.left, values), calculated(tree.right, values))
    raise ValueError(f"the lab's CloudWatch does not support the expression {ast.unparse(tree)}")


def _turn(alarm: Alarm, state: str, points: Sequence[float | None]) -> None:
    known = [f"{value:g}" for value in points if value is not None]
    reason = f"Threshold Crossed: the last values were [{', '.join(known)}], the threshold is {alarm.threshold:g}."
    if state == UNKNOWN:
        reason = "Insufficient Data: there are no values."
    before = alarm.state_value
    alarm.update_state(reason, json.dumps({"recentDatapoints": points}), state)
    log.info("the alarm %s is %s: %s", alarm.name, state, reason)
    actions = {ALARM: alarm.alarm_actions, OK: alarm.ok_actions, UNKNOWN: alarm.insufficient_data_actions}[state]
    for arn in actions if alarm.actions_enabled else ():
        _notify(alarm, arn, before)


def _notify(alarm: Alarm, arn: str, before: str) -> None:
    topic = world.sns().topics.get(arn)
    if topic is None:
        log.warning("the alarm %s notifies nobody: there is no topic %s", alarm.name, arn)
        return
    policies = [json.loads(topic.policy)]
    if not lets(policies, "cloudwatch.amazonaws.com", Access("sns:Publish", arn), alarm.alarm_arn):
        log.warning("the alarm %s may not publish to %s", alarm.name, arn)
        return
    message = {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": ACCOUNT_ID,
        "AlarmConfigurationUpdatedTimestamp": f"{alarm.configuration_updated_timestamp:%Y-%m-%dT%H:%M:%S.000+0000}",
        "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": f"{alarm.state_updated_timestamp:%Y-%m-%dT%H:%M:%S.000+0000}",
        "Region": REGION,
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": before,
        "Trigger": {
            "MetricName": alarm.metric_name,
            "Namespace": alarm.namespace,
            "Threshold": alarm.threshold,
            "EvaluationPeriods": alarm.evaluation_periods,
            "TreatMissingData": alarm.treat_missing_data,
        },
    }
    topic.publish(json.dumps(message, default=str), subject=f'{alarm.state_value}: "{alarm.name}" in {REGION}')
