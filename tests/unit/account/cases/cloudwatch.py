"""The alarms and the dashboard."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils.account.monitoring import alarms_and_dashboard
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.plugins.modules import cloudwatch

from tests.unit.account.account import ACCOUNT_ID, REGION
from tests.unit.account.cases.case import CLUSTER, TAGS, Case
from tests.unit.configuration.configuration import complete, group

DOWN, CAPACITY = f"{CLUSTER}/node-down", f"{CLUSTER}/capacity-manager"
DASHBOARD = f"{CLUSTER}-swarm"
CONFIGURATION = complete(cluster_tags=TAGS, node_groups=[group()])
SETTINGS = alarms_and_dashboard(CONFIGURATION)[0]


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
    aws.client("cloudwatch").put_metric_alarm(AlarmName=name, **{**SETTINGS[name], **changed})


def calculate_otherwise(aws: AwsSession) -> None:
    difference, *metrics = SETTINGS[CAPACITY]["Metrics"]
    alter(aws, CAPACITY, Metrics=[{**difference, "Expression": "serving - desired"}, *metrics])


def add_alarm(aws: AwsSession) -> None:
    tag = {"Key": "swarm.aws/cluster", "Value": CLUSTER}
    aws.client("cloudwatch").put_metric_alarm(AlarmName=f"{CLUSTER}/left-over", Tags=[tag], **SETTINGS[DOWN])


CASE = Case(
    module=cloudwatch,
    prepare=lambda _: {"configuration": CONFIGURATION},
    look=lambda aws: [alarms(aws), dashboards(aws)],
    drifts={
        "an alarm was deleted": lambda aws: aws.client("cloudwatch").delete_alarms(AlarmNames=[DOWN]),
        "an alarm goes off later": lambda aws: alter(aws, DOWN, EvaluationPeriods=9, DatapointsToAlarm=9),
        "an alarm wakes nobody": lambda aws: aws.client("cloudwatch").disable_alarm_actions(AlarmNames=[DOWN]),
        "an alarm calculates otherwise": calculate_otherwise,
        "an alarm lost a tag": lambda aws: aws.client("cloudwatch").untag_resource(
            ResourceARN=f"arn:aws:cloudwatch:{REGION}:{ACCOUNT_ID}:alarm:{DOWN}", TagKeys=["team"]
        ),
        "an alarm is left over": add_alarm,
        "the dashboard was deleted": lambda aws: aws.client("cloudwatch").delete_dashboards(DashboardNames=[DASHBOARD]),
        "the dashboard was altered": lambda aws: aws.client("cloudwatch").put_dashboard(
            DashboardName=DASHBOARD, DashboardBody='{"widgets": []}'
        ),
    },
)
