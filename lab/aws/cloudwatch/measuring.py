"""AWS's own metrics of queues, groups and instances."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from moto.cloudwatch.models import MetricDatum
from moto.core.utils import utcnow

from lab.aws import world

# No alarm uses older data.
KEPT = timedelta(minutes=30)


def measure() -> None:
    """Measure once. The caller holds the world's lock."""
    backend = world.cloudwatch()
    oldest = utcnow() - KEPT
    backend.metric_data[:] = [datum for datum in backend.metric_data if naive(datum.timestamp) >= oldest]
    backend.metric_data += _all()


def naive(moment: Any) -> Any:
    """A time without its time zone, which is UTC, because moto compares naive times."""
    return moment.replace(tzinfo=None)


def _all() -> Iterator[MetricDatum]:
    for name, queue in world.sqs().queues.items():
        dimensions = {"QueueName": name}
        yield _datum("AWS/SQS", "ApproximateNumberOfMessagesVisible", len(queue.messages), dimensions)
    for group in world.autoscaling().groups.values():
        dimensions = {"AutoScalingGroupName": group.name}
        serving = sum(member.state == "InService" for member in group.members)
        for metric, value in (("GroupDesiredCapacity", group.desired), ("GroupInServiceInstances", serving)):
            if metric in group.metrics:
                yield _datum("AWS/AutoScaling", metric, value, dimensions)
        for member in group.members:
            failed = float(member.instance.cut_off or member.instance.hung or not member.instance.alive)
            yield _datum("AWS/EC2", "StatusCheckFailed", failed, dimensions)
            yield _datum("AWS/EC2", "StatusCheckFailed", failed, {"InstanceId": member.instance.id})


def _datum(namespace: str, name: str, value: float, dimensions: dict[str, str]) -> MetricDatum:
    listed = [{"Name": key, "Value": dimension} for key, dimension in dimensions.items()]
    return MetricDatum(namespace, name, float(value), listed, utcnow(), "Count")
