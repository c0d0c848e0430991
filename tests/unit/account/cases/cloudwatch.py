"""The alarms and the dashboard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.plugins.modules import cloudwatch_alarms, cloudwatch_dashboard

from tests.unit.account.account import ACCOUNT_ID, REGION
from tests.unit.account.cases.case import CLUSTER, TAGS, Case

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT_ID}:{CLUSTER}-alarms"
DOWN, CAPACITY = f"{CLUSTER}/node-down", f"{CLUSTER}/capacity-manager"
GROUP = f"{CLUSTER}-manager"
DASHBOARD = f"{CLUSTER}-swarm"


def stat(identifier: str, metric: str) -> dict[str, Any]:
    dimensions = [{"Name": "AutoScalingGroupName", "Value": GROUP}]
    found = {"Namespace": "AWS/AutoScaling", "MetricName": metric, "Dimensions": dimensions}
    return {
        "Id": identifier,
        "ReturnData": False,
        "MetricStat": {"Metric": found, "Period": 60, "Stat": "Minimum"},
    }


COMMON = {
    "AlarmDescription": "Something is wrong.",
    "EvaluationPeriods": 5,
    "DatapointsToAlarm": 5,
    "TreatMissingData": "missing",
    "ActionsEnabled": True,
    "AlarmActions": [TOPIC],
    "OKActions": [TOPIC],
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "Threshold": 1.0,
}
OURS = {"Namespace": f"swarm.aws/{CLUSTER}", "MetricName": "NodesDown", "Statistic": "Minimum", "Period": 60}
MATH = [
    {"Id": "missing", "Expression": "desired - serving", "Label": "Missing", "ReturnData": True},
    stat("desired", "GroupDesiredCapacity"),
    stat("serving", "GroupInServiceInstances"),
]
ALARMS: Mapping[str, Any] = {
    "cluster_name": CLUSTER,
    "tags": TAGS,
    "alarms": [
        {"name": DOWN, "settings": {**COMMON, **OURS}},
        {"name": CAPACITY, "settings": {**COMMON, "Metrics": MATH}},
    ],
}
BODY = {"widgets": [{"type": "text", "x": 0, "y": 0, "properties": {"markdown": "# The swarm"}}]}


def alarms(aws: AwsSession) -> Any:
    found = aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    for alarm in found:
        alarm["Tags"] = aws.client("cloudwatch").list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
        for key in ("AlarmConfigurationUpdatedTimestamp", "StateUpdatedTimestamp", "StateTransitionedTimestamp"):
            alarm.pop(key, None)
    return found


def dashboards(aws: AwsSession) -> Any:
    return [
        json.loads(aws.client("cloudwatch").get_dashboard(DashboardName=entry["DashboardName"])["DashboardBody"])
        for entry in aws.client("cloudwatch").list_dashboards()["DashboardEntries"]
    ]


def alter(aws: AwsSession, name: str, **changed: Any) -> None:
    settings = next(alarm["settings"] for alarm in ALARMS["alarms"] if alarm["name"] == name)
    aws.client("cloudwatch").put_metric_alarm(AlarmName=name, **{**settings, **changed})


def add_alarm(aws: AwsSession) -> None:
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName=f"{CLUSTER}/left-over", Tags=[{"Key": "swarm.aws/cluster", "Value": CLUSTER}], **COMMON, **OURS
    )


ALARMS_CASE = Case(
    module=cloudwatch_alarms,
    prepare=lambda _: ALARMS,
    look=alarms,
    drifts={
        "an alarm was deleted": lambda aws: aws.client("cloudwatch").delete_alarms(AlarmNames=[DOWN]),
        "an alarm goes off later": lambda aws: alter(aws, DOWN, EvaluationPeriods=9, DatapointsToAlarm=9),
        "an alarm wakes nobody": lambda aws: aws.client("cloudwatch").disable_alarm_actions(AlarmNames=[DOWN]),
        "an alarm calculates otherwise": lambda aws: alter(
            aws, CAPACITY, Metrics=[{**MATH[0], "Expression": "serving - desired"}, *MATH[1:]]
        ),
        "an alarm lost a tag": lambda aws: aws.client("cloudwatch").untag_resource(
            ResourceARN=f"arn:aws:cloudwatch:{REGION}:{ACCOUNT_ID}:alarm:{DOWN}", TagKeys=["team"]
        ),
        "an alarm is left over": add_alarm,
    },
)
DASHBOARD_CASE = Case(
    module=cloudwatch_dashboard,
    prepare=lambda _: {"name": DASHBOARD, "body": BODY},
    look=dashboards,
    drifts={
        "the dashboard was deleted": lambda aws: aws.client("cloudwatch").delete_dashboards(DashboardNames=[DASHBOARD]),
        "the dashboard was altered": lambda aws: aws.client("cloudwatch").put_dashboard(
            DashboardName=DASHBOARD, DashboardBody='{"widgets": []}'
        ),
    },
)
