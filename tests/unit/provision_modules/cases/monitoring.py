"""What watches the cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils.provision.shell import Aws
from ansible_collections.swarm.aws.plugins.modules import monitoring

from tests.unit.provision_modules.account import ACCOUNT_ID, REGION, Account
from tests.unit.provision_modules.cases import groups
from tests.unit.provision_modules.cases.case import CLUSTER, TAGS, Case

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT_ID}:{CLUSTER}-alarms"
DOWN, CAPACITY = f"{CLUSTER}/node-down", f"{CLUSTER}/capacity-manager"
GROUP = f"{CLUSTER}-manager"
LOGS = f"/swarm/{CLUSTER}"


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
STATEMENT = {
    "Sid": "Alarms",
    "Effect": "Allow",
    "Principal": {"Service": "cloudwatch.amazonaws.com"},
    "Action": "sns:Publish",
    "Resource": TOPIC,
}
PARAMS: Mapping[str, Any] = {
    "cluster_name": CLUSTER,
    "account_id": ACCOUNT_ID,
    "tags": TAGS,
    "topic": {
        "policy": {"Version": "2012-10-17", "Statement": [STATEMENT]},
        "emails": ["one@example.com", "two@example.com"],
    },
    "alarms": [
        {"name": DOWN, "settings": {**COMMON, **OURS}},
        {"name": CAPACITY, "settings": {**COMMON, "Metrics": MATH}},
    ],
    "dashboard": {"widgets": [{"type": "text", "x": 0, "y": 0, "properties": {"markdown": "# The swarm"}}]},
    "scaling_groups": [GROUP],
    "retention_days": 7,
}
NOTHING: Mapping[str, Any] = {key: PARAMS[key] for key in ("cluster_name", "account_id", "tags")}


def prepare(account: Account) -> Mapping[str, Any]:
    groups.CASE.run(account, groups.prepare(account))
    return PARAMS


def look(aws: Aws) -> Any:
    sns, cloudwatch, logs = aws.sns, aws.cloudwatch, aws.logs
    alarms = cloudwatch.describe_alarms()["MetricAlarms"]
    for one in alarms:
        one["Tags"] = cloudwatch.list_tags_for_resource(ResourceARN=one["AlarmArn"])["Tags"]
        for key in ("AlarmConfigurationUpdatedTimestamp", "StateUpdatedTimestamp", "StateTransitionedTimestamp"):
            one.pop(key, None)
    topics = [one["TopicArn"] for one in sns.list_topics()["Topics"]]
    return {
        "alarms": alarms,
        "topics": [
            {
                "arn": arn,
                "policy": json.loads(sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]),
                "tags": sns.list_tags_for_resource(ResourceArn=arn)["Tags"],
                "emails": [one["Endpoint"] for one in sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]],
            }
            for arn in topics
        ],
        "dashboards": [
            json.loads(cloudwatch.get_dashboard(DashboardName=one["DashboardName"])["DashboardBody"])
            for one in cloudwatch.list_dashboards()["DashboardEntries"]
        ],
        "logs": [
            {
                "name": one["logGroupName"],
                "days": one.get("retentionInDays"),
                "tags": logs.list_tags_for_resource(resourceArn=one["arn"].removesuffix(":*"))["tags"],
            }
            for one in logs.describe_log_groups()["logGroups"]
        ],
        "metrics": [
            [one["AutoScalingGroupName"], one["EnabledMetrics"]]
            for one in aws.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
        ],
    }


def alter(aws: Aws, name: str, **changed: Any) -> None:
    settings = next(one["settings"] for one in PARAMS["alarms"] if one["name"] == name)
    aws.cloudwatch.put_metric_alarm(AlarmName=name, **{**settings, **changed})


def unsubscribe(aws: Aws) -> None:
    found = aws.sns.list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"]
    aws.sns.unsubscribe(SubscriptionArn=found[0]["SubscriptionArn"])


def add_alarm(aws: Aws) -> None:
    aws.cloudwatch.put_metric_alarm(
        AlarmName=f"{CLUSTER}/left-over", Tags=[{"Key": "swarm.aws/cluster", "Value": CLUSTER}], **COMMON, **OURS
    )


CASE = Case(
    module=monitoring,
    prepare=prepare,
    planned=PARAMS,
    look=look,
    drifts={
        "an alarm was deleted": lambda aws: aws.cloudwatch.delete_alarms(AlarmNames=[DOWN]),
        "an alarm goes off later": lambda aws: alter(aws, DOWN, EvaluationPeriods=9, DatapointsToAlarm=9),
        "an alarm wakes nobody": lambda aws: aws.cloudwatch.disable_alarm_actions(AlarmNames=[DOWN]),
        "an alarm calculates otherwise": lambda aws: alter(
            aws, CAPACITY, Metrics=[{**MATH[0], "Expression": "serving - desired"}, *MATH[1:]]
        ),
        "an alarm lost a tag": lambda aws: aws.cloudwatch.untag_resource(
            ResourceARN=f"arn:aws:cloudwatch:{REGION}:{ACCOUNT_ID}:alarm:{DOWN}", TagKeys=["team"]
        ),
        "an alarm is left over": add_alarm,
        "the topic was deleted": lambda aws: aws.sns.delete_topic(TopicArn=TOPIC),
        "the topic lost a tag": lambda aws: aws.sns.untag_resource(ResourceArn=TOPIC, TagKeys=["team"]),
        "nobody may publish": lambda aws: aws.sns.set_topic_attributes(
            TopicArn=TOPIC, AttributeName="Policy", AttributeValue=json.dumps({"Version": "2012-10-17"})
        ),
        "a subscription was lost": unsubscribe,
        "the dashboard was deleted": lambda aws: aws.cloudwatch.delete_dashboards(DashboardNames=[f"{CLUSTER}-swarm"]),
        "the dashboard was altered": lambda aws: aws.cloudwatch.put_dashboard(
            DashboardName=f"{CLUSTER}-swarm", DashboardBody='{"widgets": []}'
        ),
        "the log group was deleted": lambda aws: aws.logs.delete_log_group(logGroupName=LOGS),
        "the log group keeps what it has for ever": lambda aws: aws.logs.delete_retention_policy(logGroupName=LOGS),
        "the log group lost a tag": lambda aws: aws.logs.untag_resource(
            resourceArn=f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:{LOGS}", tagKeys=["team"]
        ),
        "the group's metrics are not collected": lambda aws: aws.autoscaling.disable_metrics_collection(
            AutoScalingGroupName=GROUP
        ),
    },
)
