"""Alarms, the topic that they go to, the dashboard, what Auto Scaling measures for them, and the log group."""

from __future__ import annotations

import json
from typing import Any, Iterator, Mapping, Sequence

from . import tags
from .changes import Changes
from .errors import ProvisionError
from .shell import Aws, unless_missing

NO_DASHBOARD = ("ResourceNotFound", "DashboardNotFoundError")
NO_TOPIC = ("NotFound", "NotFoundException")
# Which of a group's metrics are collected, for nothing.
GROUP_METRICS = ("GroupDesiredCapacity", "GroupInServiceInstances")
EMAIL = "email"


def alarm_prefix(cluster: str) -> str:
    """How the names of a cluster's alarms begin; no cluster's name has a slash."""
    return f"{cluster}/"


def topic_name(cluster: str) -> str:
    """Name of the topic that a cluster's alarms go to."""
    return f"{cluster}-alarms"


def topic_arn(aws: Aws, cluster: str, account: str) -> str:
    """ARN of that topic, whether it is there or not."""
    return f"arn:{aws.ec2.meta.partition}:sns:{aws.region}:{account}:{topic_name(cluster)}"


def log_group_name(cluster: str) -> str:
    """Name of the log group that a cluster's nodes send their journals to."""
    return f"/swarm/{cluster}"


def dashboard_name(cluster: str) -> str:
    """Name of a cluster's dashboard."""
    return f"{cluster}-swarm"


def alarms_of(aws: Aws, cluster: str) -> Iterator[tuple[Mapping[str, Any], dict[str, str]]]:
    """The alarms that carry the cluster's tag, each with its tags."""
    for alarm in named_alarms(aws, cluster).values():
        own = tags.from_list(aws.cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"])
        if own.get(tags.CLUSTER) == cluster:
            yield alarm, own


def named_alarms(aws: Aws, cluster: str) -> dict[str, Mapping[str, Any]]:
    """The alarms whose names begin like those of the cluster, by name."""
    pages = aws.cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=alarm_prefix(cluster))
    return {one["AlarmName"]: one for page in pages for one in page["MetricAlarms"]}


class Builder:
    """Brings what watches a cluster to what it should be."""

    def __init__(self, aws: Aws, cluster: str, account: str, own_tags: Mapping[str, str], changes: Changes) -> None:
        self._aws, self._cluster, self._changes = aws, cluster, changes
        self._cloudwatch, self._sns = aws.cloudwatch, aws.sns
        self._tags = tags.of_cluster(cluster, own_tags)
        self._topic_arn = topic_arn(aws, cluster, account)

    # The topic

    def topic(self, policy: Mapping[str, Any] | None, emails: Sequence[str]) -> None:
        """Keep the topic and its subscriptions by e-mail; without a policy there is to be none.

        Other subscriptions are left alone, for people may subscribe to it on their own.
        """
        arn, name = self._topic_arn, topic_name(self._cluster)
        found = unless_missing(lambda: self._sns.get_topic_attributes(TopicArn=arn), *NO_TOPIC)
        before = tags.from_list(self._sns.list_tags_for_resource(ResourceArn=arn)["Tags"]) if found else {}
        if policy is None:
            if before.get(tags.CLUSTER) == self._cluster:
                self._changes.apply(
                    f"topic {name}", {"tags": before}, None, lambda: self._sns.delete_topic(TopicArn=arn)
                )
            return
        if found is None:
            self._changes.apply(
                f"topic {name}",
                None,
                {"policy": policy, "tags": self._tags},
                lambda: self._sns.create_topic(
                    Name=name, Attributes={"Policy": json.dumps(policy)}, Tags=tags.to_list(self._tags)
                ),
            )
        else:
            self._keep_topic(name, json.loads(found["Attributes"].get("Policy") or "{}"), policy, before)
        self._subscribe(name, emails, there=found is not None)

    def _keep_topic(
        self, name: str, present: Mapping[str, Any], policy: Mapping[str, Any], before: Mapping[str, str]
    ) -> None:
        arn = self._topic_arn
        if before.get(tags.CLUSTER, self._cluster) != self._cluster:
            raise ProvisionError(
                f"The topic {name} belongs to the cluster '{before[tags.CLUSTER]}': rename one of the two clusters."
            )
        if present != policy:
            self._changes.apply(
                f"topic {name}",
                {"policy": present},
                {"policy": policy},
                lambda: self._sns.set_topic_attributes(
                    TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(policy)
                ),
            )
        self._changes.add_tags(
            f"topic {name}",
            before,
            self._tags,
            lambda missing: self._sns.tag_resource(ResourceArn=arn, Tags=tags.to_list(missing)),
        )

    def _subscribe(self, name: str, emails: Sequence[str], *, there: bool) -> None:
        subscribed = set()
        if there:
            pages = self._sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=self._topic_arn)
            found = [one for page in pages for one in page["Subscriptions"]]
            subscribed = {one["Endpoint"] for one in found if one["Protocol"] == EMAIL}
        for address in emails:
            if address not in subscribed:
                self._changes.apply(
                    f"subscription of {address} to the topic {name}",
                    None,
                    {"protocol": EMAIL},
                    lambda address=address: self._sns.subscribe(  # type: ignore[misc]
                        TopicArn=self._topic_arn, Protocol=EMAIL, Endpoint=address
                    ),
                )

    # Alarms

    def alarms(self, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep the alarms, whose settings by name are PutMetricAlarm's; delete the cluster's others."""
        present = named_alarms(self._aws, self._cluster)
        for name, settings in wanted.items():
            self._keep_alarm(name, settings, present.get(name))
        gone = {name for name in present if name not in wanted}
        if gone:
            own = [one["AlarmName"] for one, _tags in alarms_of(self._aws, self._cluster)]
            for name in sorted(gone.intersection(own)):
                self._changes.apply(
                    f"alarm {name}",
                    {"description": present[name].get("AlarmDescription")},
                    None,
                    lambda name=name: self._cloudwatch.delete_alarms(AlarmNames=[name]),  # type: ignore[misc]
                )

    def _keep_alarm(self, name: str, settings: Mapping[str, Any], present: Mapping[str, Any] | None) -> None:
        if present is None:
            self._changes.apply(
                f"alarm {name}",
                None,
                {**settings, "tags": self._tags},
                lambda: self._cloudwatch.put_metric_alarm(AlarmName=name, Tags=tags.to_list(self._tags), **settings),
            )
            return
        before = {key: _of(settings[key], present.get(key)) for key in settings}
        differing = [key for key in settings if settings[key] != before[key]]
        if differing:
            # It replaces all of the settings; the tags stay.
            self._changes.apply(
                f"alarm {name}",
                {key: before[key] for key in differing},
                {key: settings[key] for key in differing},
                lambda: self._cloudwatch.put_metric_alarm(AlarmName=name, **settings),
            )
        arn = present["AlarmArn"]
        own = tags.from_list(self._cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"])
        self._changes.add_tags(
            f"alarm {name}",
            own,
            self._tags,
            lambda missing: self._cloudwatch.tag_resource(ResourceARN=arn, Tags=tags.to_list(missing)),
        )

    # The dashboard

    def dashboard(self, wanted: Mapping[str, Any] | None) -> None:
        """Keep the dashboard, or without a body have none."""
        name = dashboard_name(self._cluster)
        found = unless_missing(lambda: self._cloudwatch.get_dashboard(DashboardName=name), *NO_DASHBOARD)
        before = json.loads(found["DashboardBody"]) if found else None
        if before == wanted:
            return
        if wanted is None:
            self._changes.apply(
                f"dashboard {name}", before, None, lambda: self._cloudwatch.delete_dashboards(DashboardNames=[name])
            )
            return
        self._changes.apply(f"dashboard {name}", before, wanted, lambda: self._put_dashboard(name, wanted))

    def _put_dashboard(self, name: str, body: Mapping[str, Any]) -> None:
        answer = self._cloudwatch.put_dashboard(DashboardName=name, DashboardBody=json.dumps(body))
        complaints = answer.get("DashboardValidationMessages")
        if complaints:
            raise ProvisionError(
                f"CloudWatch does not take all of the dashboard {name}: {complaints[0].get('Message')}"
            )

    # The log group

    def log_group(self, retention_days: int | None) -> None:
        """Keep the log group, and have it keep what it has for so many days. Without them it is left as it is."""
        if retention_days is None:
            return
        name, logs = log_group_name(self._cluster), self._aws.logs
        found = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        present = next((one for one in found if one["logGroupName"] == name), None)
        if present is None:
            self._changes.apply(
                f"log group {name}",
                None,
                {"retention_days": retention_days, "tags": self._tags},
                lambda: self._create_log_group(name, retention_days),
            )
            return
        before = present.get("retentionInDays")
        if before != retention_days:
            self._changes.apply(
                f"log group {name}",
                {"retention_days": before},
                {"retention_days": retention_days},
                lambda: logs.put_retention_policy(logGroupName=name, retentionInDays=retention_days),
            )
        # By the ARN as tags want it, which other calls end with an asterisk.
        arn = present["arn"].removesuffix(":*")
        own = logs.list_tags_for_resource(resourceArn=arn)["tags"]
        self._changes.add_tags(
            f"log group {name}",
            own,
            self._tags,
            lambda missing: logs.tag_resource(resourceArn=arn, tags=missing),
        )

    def _create_log_group(self, name: str, retention_days: int) -> None:
        self._aws.logs.create_log_group(logGroupName=name, tags=self._tags)
        self._aws.logs.put_retention_policy(logGroupName=name, retentionInDays=retention_days)

    # Auto Scaling

    def group_metrics(self, names: Sequence[str]) -> None:
        """Have Auto Scaling measure how many instances groups have and are to have."""
        if not names:
            return
        pages = self._aws.autoscaling.get_paginator("describe_auto_scaling_groups").paginate(
            AutoScalingGroupNames=list(names)
        )
        found = {one["AutoScalingGroupName"]: one for page in pages for one in page["AutoScalingGroups"]}
        for name in names:
            present = {one["Metric"] for one in found.get(name, {}).get("EnabledMetrics", [])}
            missing = [one for one in GROUP_METRICS if one not in present]
            if missing:
                self._changes.apply(
                    f"metrics of the Auto Scaling group {name}",
                    {"collected": sorted(present)} if present else None,
                    {"collected": sorted({*present, *missing})},
                    lambda name=name: self._aws.autoscaling.enable_metrics_collection(  # type: ignore[misc]
                        AutoScalingGroupName=name, Metrics=list(GROUP_METRICS), Granularity="1Minute"
                    ),
                )


def _of(wanted: Any, present: Any) -> Any:
    """What is there in place of what is wanted, without what CloudWatch adds of its own."""
    if isinstance(wanted, Mapping) and isinstance(present, Mapping):
        return {key: _of(wanted[key], present.get(key)) for key in wanted}
    if isinstance(wanted, list) and isinstance(present, list) and len(wanted) == len(present):
        return [_of(*pair) for pair in zip(wanted, present)]
    return present
