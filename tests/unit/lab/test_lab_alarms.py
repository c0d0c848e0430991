"""The lab's alarms behave as CloudWatch's do."""

from __future__ import annotations

import ast
import json
from types import SimpleNamespace
from typing import Any

import pytest

from lab.aws.cloudwatch import alarms
from tests.unit.lab.fakes import ACCOUNT_ID, REGION, LittleAws, allow, document, until

NAMESPACE, TOPIC = "swarm.aws/example", f"arn:aws:sns:{REGION}:{ACCOUNT_ID}:example-alarms"
OURS = {"Namespace": NAMESPACE, "MetricName": "NodesDown", "Statistic": "Maximum", "Period": 10}


def alarm(**changed: Any) -> Any:
    defaults = {
        "comparison_operator": "GreaterThanOrEqualToThreshold",
        "threshold": 1.0,
        "evaluation_periods": 3,
        "datapoints_to_alarm": 3,
        "treat_missing_data": "missing",
        "state_value": "OK",
    }
    return SimpleNamespace(**{**defaults, **changed})


@pytest.mark.parametrize(
    ("points", "changed", "state"),
    [
        ([1, 1, 1, 0, 0], {}, "ALARM"),
        ([1, 1, 0, 1, 1], {}, "OK"),
        ([1, 1, 0], {"datapoints_to_alarm": 2}, "ALARM"),
        # A late value does not matter, because enough values precede it.
        ([None, 1, 1, 1, 0], {}, "ALARM"),
        ([None, None, None, None, None], {}, "INSUFFICIENT_DATA"),
        ([None, None, None, None, None], {"treat_missing_data": "breaching"}, "ALARM"),
        ([None, None, None, None, None], {"treat_missing_data": "notBreaching", "state_value": "ALARM"}, "OK"),
        ([None, None, None, None, None], {"treat_missing_data": "ignore", "state_value": "ALARM"}, "ALARM"),
        ([None, None, None, 1, 1], {"treat_missing_data": "breaching"}, "ALARM"),
        ([None, None, None, 0, 1], {"treat_missing_data": "breaching"}, "OK"),
        ([None, None, None, 1, 1], {"state_value": "ALARM"}, "ALARM"),
        ([None, None, None, 0, 0], {"state_value": "ALARM"}, "OK"),
        ([0.5] * 3, {"comparison_operator": "LessThanThreshold"}, "ALARM"),
    ],
)
def test_an_alarms_state_follows_its_points(points: list[float | None], changed: dict[str, Any], state: str) -> None:
    assert alarms.judged(alarm(**changed), points) == state


def test_metric_math_is_calculated_and_unknown_functions_are_refused() -> None:
    values = {"desired": 3.0, "serving": 1.0}
    assert alarms.calculated(ast.parse("(desired - serving) * 2", mode="eval").body, values) == 4
    with pytest.raises(ValueError, match="does not support the expression"):
        alarms.calculated(ast.parse("FILL(desired, 0)", mode="eval").body, values)


class Watched:
    """An account with an alarm's topic, and a queue that subscribes to it."""

    def __init__(self, aws: LittleAws) -> None:
        self.cloudwatch, self.sqs, sns = aws.client("cloudwatch"), aws.client("sqs"), aws.client("sns")
        self.url = self.sqs.create_queue(QueueName="received")["QueueUrl"]
        ours = {"ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT_ID}:alarm:example/*"}}
        publishing = {**allow("sns:Publish", on=TOPIC, when=ours), "Principal": {"Service": "cloudwatch.amazonaws.com"}}
        sns.create_topic(Name="example-alarms", Attributes={"Policy": document(publishing)})
        sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:received")

    def put(self, name: str, **more: Any) -> None:
        defaults = {"EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold", "Threshold": 1}
        self.cloudwatch.put_metric_alarm(AlarmName=name, **defaults, AlarmActions=[TOPIC], OKActions=[TOPIC], **more)

    def state(self, name: str) -> str:
        return self.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]

    def becomes(self, name: str, state: str, seconds: float = 30) -> None:
        until(lambda: self.state(name) == state, f"{name} to be {state}", seconds)

    def received(self) -> list[tuple[str, str]]:
        found = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", [])
        messages = [json.loads(json.loads(message["Body"])["Message"]) for message in found]
        return [(message["AlarmName"], message["NewStateValue"]) for message in messages]


def test_an_alarm_notifies_its_topic_if_the_topic_allows_it(aws: LittleAws) -> None:
    watched = Watched(aws)
    watched.put("other/node-down", **OURS)
    watched.put("example/node-down", **OURS)
    assert watched.state("example/node-down") == "INSUFFICIENT_DATA"
    watched.cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=[{"MetricName": "NodesDown", "Value": 2}])
    for name in ("other/node-down", "example/node-down"):
        watched.becomes(name, "ALARM")
    assert until(watched.received, "the message") == [("example/node-down", "ALARM")]


def test_metrics_of_aws_itself_set_off_alarms(aws: LittleAws) -> None:
    watched = Watched(aws)
    dead = watched.sqs.create_queue(QueueName="example-events-dead")["QueueUrl"]
    watched.put(
        "example/dead-letters",
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": "example-events-dead"}],
        Statistic="Maximum",
        Period=60,
    )
    watched.becomes("example/dead-letters", "OK")
    watched.sqs.send_message(QueueUrl=dead, MessageBody="poison")
    watched.becomes("example/dead-letters", "ALARM")
