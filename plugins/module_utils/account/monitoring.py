"""The CloudWatch alarms and the dashboard of a cluster."""

from __future__ import annotations

import math
from typing import Any, Iterator, Mapping

BELOW, AT_LEAST, ABOVE = (f"{name}Threshold" for name in ("LessThan", "GreaterThanOrEqualTo", "GreaterThan"))
WAITING = "ApproximateNumberOfMessagesVisible"
SIZES = {"desired": "GroupDesiredCapacity", "serving": "GroupInServiceInstances"}
# The alarms' descriptions; {} is a port, a queue or a group.
DESCRIPTIONS = {
    "agent-silent": "No manager's agent is working: no agent runs, or no leader is known: docs/restore.md.",
    "flaws": "The bucket lacks the cluster's record or policy.json, a manager's clock is wrong, the leader's agent is "
    "silent, or Auto Scaling cannot launch instances: playbooks/status.yml shows which, and why.",
    "quorum-margin": "The loss of one more manager stops the swarm from making decisions: playbooks/status.yml shows "
    "which manager is lost.",
    "node-down": "A node is unreachable: playbooks/status.yml shows which.",
    "tasks-unschedulable": "The scheduler has no node for tasks of a service: playbooks/status.yml shows them and "
    "the reason.",
    "certificate": "A manager's certificate expires soon and was not renewed: playbooks/rotate.yml.",
    "tls": "A TLS certificate on port {} of the record's addresses expires soon: renew and deploy it.",
    "backup-age": "The newest backup is older than twice backup_hours: journalctl -u swarm-backup on the managers "
    "shows why.",
    "dead-letters": "A message in the event queue could not be handled; it is in {}.",
    "status": "EC2's status checks of an instance of the group {} or of its host fail.",
    "capacity": "The group {} has fewer instances in service than desired: playbooks/status.yml shows why.",
}


def alarms_and_dashboard(cluster: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, Any] | None]:
    """The alarms' settings by their names, and the dashboard's body; none if the configuration asks for no alarms."""
    if not cluster["monitoring"] or not cluster["monitoring"]["alarms"]:
        return {}, None
    resources = MonitoringResources(cluster)
    return {alarm["name"]: alarm["settings"] for alarm in resources.alarms()}, resources.dashboard()


class MonitoringResources:
    """The alarms and the dashboard of a cluster, whose configuration is as the preflight leaves it."""

    def __init__(self, cluster: Mapping[str, Any]) -> None:
        self._cluster, self._names = cluster, cluster["names"]
        # The operator's topic, or the cluster's.
        self._topic = cluster["monitoring"]["topic_arn"] or self._arn("sns", self._names["alarm_topic"])
        self._groups = {group["name"]: f"{cluster['cluster_name']}-{group['name']}" for group in cluster["node_groups"]}
        self._period = cluster["monitoring"]["period_seconds"]
        # AWS's own metrics have one value a minute.
        self._aws_period = max(60, self._period)
        # Managers other than the leader send their metrics once in five periods, and at least every five minutes;
        # twice that, in whole minutes, misses no value.
        self._certificate_period = max(math.ceil(min(300, 5 * self._period) * 2 / 60) * 60, self._period * 2)

    def alarms(self) -> Iterator[dict[str, Any]]:
        """The alarms, each with its ``name``, and its ``settings`` for PutMetricAlarm."""
        own, aws = self._own_metric, self._aws_metric
        left = self._cluster["monitoring"]["certificate_days"] * 86400
        yield self._alarm("agent-silent", 5, own("Passes", "Sum", BELOW, 1), missing="breaching")
        yield self._alarm("flaws", 1, own("Flaws", "Maximum", AT_LEAST, 1))
        if sum(group["desired"] for group in self._cluster["node_groups"] if group["role"] == "manager") >= 3:
            yield self._alarm("quorum-margin", 3, own("QuorumMargin", "Minimum", BELOW, 1))
        yield self._alarm("node-down", 5, own("NodesDown", "Minimum", AT_LEAST, 1))
        yield self._alarm("tasks-unschedulable", 5, own("TasksUnschedulable", "Minimum", AT_LEAST, 1))
        certificate = own("CertificateLeft", "Minimum", BELOW, left)
        yield self._alarm("certificate", 1, {**certificate, "Period": self._certificate_period})
        for port in map(str, self._cluster["monitoring"]["tls_ports"]):
            certificate = own("TlsCertificateLeft", "Minimum", BELOW, left)
            yield self._alarm("tls", 1, {**certificate, **_dimension("Port", port)}, port, port)
        if self._cluster["backup_hours"]:
            yield self._alarm("backup-age", 3, own("BackupAge", "Maximum", ABOVE, self._cluster["backup_hours"] * 7200))
        dead = self._names["dead_letter_queue"]
        yield self._alarm("dead-letters", 1, aws("SQS", WAITING, "QueueName", dead), "", dead, "notBreaching")
        for group, name in self._groups.items():
            status = aws("EC2", "StatusCheckFailed", "AutoScalingGroupName", name)
            yield self._alarm("status", 3, status, group, name, "notBreaching")
            yield self._alarm("capacity", 10, self._missing_instances(name), group, name)

    def dashboard(self) -> dict[str, Any]:
        """The dashboard's body: the alarms, and rows of three graphs below them."""
        arns = [self._arn("cloudwatch", f"alarm:{alarm['name']}") for alarm in self.alarms()]
        properties = {"title": f"Alarms of the swarm {self._cluster['cluster_name']}", "alarms": arns}
        alarms = {"type": "alarm", "x": 0, "y": 0, "width": 24, "height": 3, "properties": properties}
        return {"widgets": [alarms, *(self._widget(*graph) for graph in enumerate(self._graphs()))]}

    def _arn(self, service: str, resource: str) -> str:
        where = (self._cluster[key] for key in ("region", "account_id"))
        return ":".join(["arn", self._cluster["partition"], service, *where, resource])

    def _alarm(
        self, kind: str, periods: int, metric: Mapping[str, Any], suffix: str = "", subject: str = "", missing: str = ""
    ) -> dict[str, Any]:
        """An alarm after ``periods`` periods in a row; ``missing`` is how missing data is treated."""
        settings = {
            "AlarmDescription": DESCRIPTIONS[kind].format(subject),
            "EvaluationPeriods": periods,
            "DatapointsToAlarm": periods,
            "TreatMissingData": missing or "missing",
            "ActionsEnabled": True,
            "AlarmActions": [self._topic],
            "OKActions": [self._topic],
        }
        name = self._names["alarm_prefix"] + "-".join(filter(None, (kind, suffix)))
        return {"name": name, "settings": {**settings, **metric}}

    def _own_metric(self, name: str, statistic: str, comparison: str, threshold: int) -> dict[str, Any]:
        """A metric that the managers' agents send."""
        return {
            "Namespace": self._names["metrics_namespace"],
            "MetricName": name,
            "Statistic": statistic,
            "Period": self._period,
            "ComparisonOperator": comparison,
            "Threshold": float(threshold),
        }

    def _aws_metric(self, service: str, name: str, dimension: str, value: str) -> dict[str, Any]:
        """A metric of AWS, which should be 0."""
        own = self._own_metric(name, "Maximum", AT_LEAST, 1)
        return {**own, "Namespace": f"AWS/{service}", "Period": self._aws_period, **_dimension(dimension, value)}

    def _missing_instances(self, group: str) -> dict[str, Any]:
        difference = {"Expression": " - ".join(SIZES), "Label": "Missing instances", "ReturnData": True}
        metrics = [{"Id": "missing", **difference}]
        for identifier, name in SIZES.items():
            metric = {"Namespace": "AWS/AutoScaling", "MetricName": name, **_dimension("AutoScalingGroupName", group)}
            stat = {"Metric": metric, "Period": self._aws_period, "Stat": "Minimum"}
            metrics.append({"Id": identifier, "MetricStat": stat, "ReturnData": False})
        return {"ComparisonOperator": AT_LEAST, "Threshold": 1.0, "Metrics": metrics}

    def _graphs(self) -> Iterator[tuple[str, list[list[str]], str, int]]:
        """The title, metrics, statistic and period in seconds of each graph."""
        own, queues = self._names["metrics_namespace"], (self._names["queue"], self._names["dead_letter_queue"])
        for title, statistic, *names in (
            ("Managers", "Minimum", "QuorumMargin"),
            ("Nodes", "Maximum", "NodesReady", "NodesDown"),
            ("Tasks without a node", "Maximum", "TasksUnschedulable"),
            ("Agent passes", "Sum", "Passes"),
            ("Pass duration", "Maximum", "PassDuration"),
            ("Wrong addresses in the record, and other flaws", "Maximum", "RecordDifferences", "Flaws"),
            ("Age of the newest backup", "Maximum", "BackupAge"),
        ):
            yield title, [[own, name] for name in names], statistic, self._period
        certificates = [[own, "CertificateLeft"]]
        for port in self._cluster["monitoring"]["tls_ports"]:
            certificates.append([own, "TlsCertificateLeft", "Port", str(port)])
        yield "Time until certificates expire", certificates, "Minimum", self._certificate_period
        depths = [["AWS/SQS", WAITING, "QueueName", queue] for queue in queues]
        yield "Events and dead letters", depths, "Maximum", self._aws_period
        for group in self._groups.values():
            sizes = [*(("AutoScaling", name) for name in SIZES.values()), ("EC2", "StatusCheckFailed")]
            metrics = [[f"AWS/{service}", name, "AutoScalingGroupName", group] for service, name in sizes]
            yield f"Group {group}", metrics, "Maximum", self._aws_period

    def _widget(self, number: int, graph: tuple[str, list[list[str]], str, int]) -> dict[str, Any]:
        title, metrics, statistic, period = graph
        properties = {"title": title, "view": "timeSeries", "stat": statistic, "period": period, "metrics": metrics}
        place = {"x": number % 3 * 8, "y": 3 + number // 3 * 6, "width": 8, "height": 6}
        return {"type": "metric", **place, "properties": {"region": self._cluster["region"], **properties}}


def _dimension(name: str, value: str) -> dict[str, Any]:
    return {"Dimensions": [{"Name": name, "Value": value}]}
