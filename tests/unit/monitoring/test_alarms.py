"""What the module cloudwatch makes of a configuration, held against CloudWatch's model and what the agents measure."""

from __future__ import annotations

from typing import Any

import botocore.session
from ansible_collections.swarm.aws.plugins.module_utils._core import metrics
from ansible_collections.swarm.aws.plugins.module_utils.account.monitoring import alarms_and_dashboard
from botocore.validate import ParamValidator

from tests.unit.configuration.configuration import complete

TOPIC = "arn:aws:sns:eu-west-1:123456789012:example-alarms"
PORTS = [{"port": 443}, {"port": 8443}]
# Of the metrics that the agents send, those that alarms look at; the others explain them.
ALARMING = {
    "Flaws",
    "Passes",
    "QuorumMargin",
    "NodesDown",
    "TasksUnschedulable",
    "CertificateLeft",
    "BackupAge",
}


def alarms(**changed: Any) -> dict[str, dict[str, Any]]:
    """The settings of the example's alarms by their names, without the cluster's, with some keys changed."""
    found = alarms_and_dashboard(complete(**changed))[0]
    return {name.partition("/")[2]: settings for name, settings in found.items()}


def widgets(**changed: Any) -> list[dict[str, Any]]:
    """The widgets of its dashboard."""
    dashboard = alarms_and_dashboard(complete(**changed))[1]
    assert dashboard
    return list(dashboard["widgets"])


def sources(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """What an alarm looks at: each has a namespace, a metric and a period."""
    if "Metrics" not in settings:
        return [settings]
    parts = [metric["MetricStat"] for metric in settings["Metrics"] if "MetricStat" in metric]
    return [{**part["Metric"], "Period": part["Period"]} for part in parts]


def test_every_alarm_is_valid_in_cloudwatch() -> None:
    shape = botocore.session.get_session().get_service_model("cloudwatch").operation_model("PutMetricAlarm").input_shape
    for name, settings in alarms().items():
        report = ParamValidator().validate({"AlarmName": name, **settings}, shape)
        assert not report.has_errors(), f"{name}: {report.generate_report()}"
        assert settings["AlarmActions"] == settings["OKActions"] == [TOPIC]


def test_alarms_only_use_metrics_that_the_agents_send() -> None:
    looked_at = [source for settings in alarms().values() for source in sources(settings)]
    ours = {metric["MetricName"] for metric in looked_at if metric["Namespace"] == "swarm.aws/example"}
    assert ours == ALARMING
    shown = {
        metric[1]
        for widget in widgets()
        for metric in widget["properties"].get("metrics", ())
        if metric[0] == "swarm.aws/example"
    }
    assert shown == {family.cloudwatch for family in metrics.FAMILIES if family.cloudwatch and not family.dimension}


def test_each_tls_port_has_an_alarm_and_a_line_in_the_graph() -> None:
    changed = {"monitoring": {"tls_ports": [443, 8443], "certificate_days": 7}, "published_ports": PORTS}
    named = alarms(**changed)
    for port in ("443", "8443"):
        dimension = metrics.dimension(metrics.TLS_LEFT, port)
        settings = named[f"tls-{port}"]
        assert (settings["MetricName"], settings["Dimensions"]) == (metrics.TLS_LEFT.cloudwatch, [dimension])
        assert (settings["Threshold"], settings["ComparisonOperator"]) == (7 * 86400, "LessThanThreshold")
        shown = [widget["properties"].get("metrics", ()) for widget in widgets(**changed)]
        assert ["swarm.aws/example", "TlsCertificateLeft", "Port", port] in [
            metric for graph in shown for metric in graph
        ]


def test_a_single_manager_without_backups_has_fewer_alarms() -> None:
    few = alarms(node_groups=[{"name": "all", "role": "manager", "desired": 1}], backup_hours=0)
    assert set(alarms()) - set(few) >= {"quorum-margin", "backup-age"}
    assert {"agent-silent", "status-all", "capacity-all"} <= set(few)


def test_short_periods_apply_to_metrics_of_the_agents_only() -> None:
    for period, certificate in ((10, 120), (60, 600), (600, 1200)):
        for name, settings in alarms(monitoring={"period_seconds": period}).items():
            for source in sources(settings):
                wanted = period if source["Namespace"].startswith("swarm.aws/") else max(60, period)
                assert source["Period"] == (certificate if name == "certificate" else wanted)


def test_alarms_notify_the_operators_topic() -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:pager"
    found = alarms(monitoring={"topic_arn": topic})
    assert {tuple(alarm[key]) for alarm in found.values() for key in ("AlarmActions", "OKActions")} == {(topic,)}


def test_no_two_widgets_overlap() -> None:
    groups = [{"name": f"g{number}", "role": "manager", "desired": 1} for number in range(5)]
    places = [
        (widget["x"] + x, widget["y"] + y)
        for widget in widgets(node_groups=groups)
        for x in range(widget["width"])
        for y in range(widget["height"])
    ]
    assert len(places) == len(set(places)) and max(x for x, _ in places) < 24
