"""Every alarm goes off for its cause, and returns to OK without it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.lab.site import CLUSTER, Site

TOPIC = f"arn:aws:sns:eu-west-1:123456789012:{CLUSTER}-alarms"
NOTIFICATIONS = "alarm-notifications"
# Alarms on metrics of the agents, and on metrics of AWS.
OF_AGENTS = {"quorum-margin", "node-down", "tasks-unschedulable", "certificate", "backup-age"}
OF_AWS = {"dead-letters", "status-manager", "capacity-manager", "capacity-worker"}
EVERYTHING = OF_AGENTS | OF_AWS | {"agent-silent", "status-worker", "flaws"}
# Causes that no test here makes.
UNTRIED = {"status-worker", "flaws"}
OLD = "backups/20200101T000000Z-i-0123456789abcdef0.json"
FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"


class Alarms:
    """The cluster's alarms, and the notifications of their topic."""

    def __init__(self, site: Site) -> None:
        self._site, self._cloudwatch, self._sqs = site, site.aws("cloudwatch"), site.aws("sqs")
        self.url = self._sqs.create_queue(QueueName=NOTIFICATIONS)["QueueUrl"]
        self.notified: set[tuple[str, str]] = set()

    def states(self) -> dict[str, str]:
        found = self._cloudwatch.describe_alarms(AlarmNamePrefix=f"{CLUSTER}/")["MetricAlarms"]
        return {alarm["AlarmName"].partition("/")[2]: alarm["StateValue"] for alarm in found}

    def become(self, names: set[str], state: str, seconds: float = 180) -> None:
        """Wait until these alarms are in a state, and have sent their notifications."""

        def missing() -> set[str]:
            self._receive()
            states = self.states()
            return {
                name
                for name in names
                if states[name] != state or (state == "ALARM" and (name, state) not in self.notified)
            }

        self._site.wait(f"{', '.join(sorted(names))} to be {state}", lambda: not missing(), seconds)

    def _receive(self) -> None:
        for received in self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", []):
            message = json.loads(json.loads(received["Body"])["Message"])
            self.notified.add((message["AlarmName"].partition("/")[2], message["NewStateValue"]))


@pytest.fixture(scope="module")
def alarms(site: Site) -> Iterator[Alarms]:
    site.settle()
    site.forget_calls()
    found, sns = Alarms(site), site.aws("sns")
    endpoint = f"arn:aws:sqs:eu-west-1:123456789012:{NOTIFICATIONS}"
    subscription = sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=endpoint)["SubscriptionArn"]
    try:
        yield found
    finally:
        sns.unsubscribe(SubscriptionArn=subscription)
        site.aws("sqs").delete_queue(QueueUrl=found.url)


def test_a_healthy_cluster_has_no_alarm(alarms: Alarms) -> None:
    assert set(alarms.states()) == EVERYTHING
    alarms.become(EVERYTHING, "OK")


def test_every_metric_of_the_dashboard_is_measured(site: Site, alarms: Alarms) -> None:
    cloudwatch = site.aws("cloudwatch")
    body = json.loads(cloudwatch.get_dashboard(DashboardName=f"{CLUSTER}-swarm")["DashboardBody"])
    shown = {tuple(metric) for widget in body["widgets"] for metric in widget["properties"].get("metrics", ())}
    listed = cloudwatch.list_metrics()["Metrics"]
    measured = {
        (
            metric["Namespace"],
            metric["MetricName"],
            *(word for dimension in metric["Dimensions"] for word in dimension.values()),
        )
        for metric in listed
    }
    # Before the first backup, its age is the swarm's.
    assert shown - measured == set()
    (shown_alarms,) = [widget["properties"]["alarms"] for widget in body["widgets"] if widget["type"] == "alarm"]
    assert {alarm.partition("/")[2] for alarm in shown_alarms} == EVERYTHING


def test_other_nodes_read_the_metrics_of_every_manager(site: Site, alarms: Alarms) -> None:
    worker = site.pick("worker")

    def read(address: str) -> dict[tuple[str, ...], float]:
        page = site.must(worker, "python3", "-c", FETCH, f"http://{address}:9324/metrics")
        samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
        return {(sample.name, *sample.labels.values()): sample.value for sample in samples}

    pages = {instance["instance_id"]: read(instance["private_ip"]) for instance in site.instances("manager")}
    assert all(page[("swarm_certificate_left_seconds",)] > 80 * 86400 for page in pages.values())
    (leader,) = [instance for instance, page in pages.items() if page[("swarm_agent_leading",)]]
    assert leader == site.pick("leader")
    address = next(
        instance["private_ip"] for instance in site.instances("manager") if instance["instance_id"] == leader
    )
    # The metrics of the last pass, at most half a minute old.
    whole = {
        ("swarm_raft_voters",): 3,
        ("swarm_quorum_margin",): 1,
        ("swarm_nodes_ready",): 4,
        ("swarm_nodes_down",): 0,
        ("swarm_service_tasks_running", "example_web"): 6,
        ("swarm_queue_messages", "dead"): 0,
    }
    site.wait("the leader's metrics to show the whole cluster", lambda: whole.items() <= read(address).items())


def test_every_alarm_goes_off_for_its_cause(site: Site, alarms: Alarms) -> None:
    follower = site.pick("follower")
    with contextlib.ExitStack() as slow:
        for group in ("manager", "worker"):
            slow.enter_context(_launch_is_missing(site, f"{CLUSTER}-{group}"))
        with contextlib.ExitStack() as causes:
            causes.enter_context(_certificates_last(site, 100))
            causes.enter_context(_poison(site))
            causes.enter_context(_homeless_service(site))
            causes.enter_context(_old_backup(site))
            site.control("partition", follower)
            causes.callback(site.control, "heal", follower)
            alarms.become(OF_AGENTS | {"dead-letters", "status-manager"}, "ALARM")
        alarms.become(OF_AGENTS | {"dead-letters", "status-manager"}, "OK")
        with site.agents_stopped():
            alarms.become({"agent-silent", "capacity-manager", "capacity-worker"}, "ALARM")
    alarms.become(EVERYTHING, "OK")
    assert {name for name, state in alarms.notified if state == "ALARM"} - UNTRIED == EVERYTHING - UNTRIED
    site.settle()


def test_no_call_of_the_managers_to_cloudwatch_and_sqs_was_refused(site: Site, alarms: Alarms) -> None:
    def calls() -> list[dict[str, Any]]:
        return [call for call in site.calls() if call["service"] in ("cloudwatch", "sqs") and call["caller"] != "lab"]

    asked = {"PutMetricData", "GetQueueAttributes"}
    site.wait("the managers to have measured", lambda: asked <= {call["action"] for call in calls()})
    assert [call for call in calls() if not call["allowed"]] == []


@contextlib.contextmanager
def _certificates_last(site: Site, days: int) -> Iterator[None]:
    """Set the certificate alarm's threshold in days. All certificates are valid for 90 days."""
    cloudwatch = site.aws("cloudwatch")
    (found,) = cloudwatch.describe_alarms(AlarmNames=[f"{CLUSTER}/certificate"])["MetricAlarms"]
    known = cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    original = {key: value for key, value in found.items() if key in known}
    cloudwatch.put_metric_alarm(**{**original, "Threshold": days * 86400.0})
    try:
        yield
    finally:
        cloudwatch.put_metric_alarm(**original)


@contextlib.contextmanager
def _poison(site: Site) -> Iterator[None]:
    """Send an invalid message, which is received again at once instead of after a minute."""
    sqs = site.aws("sqs")
    url, dead = (sqs.get_queue_url(QueueName=f"{CLUSTER}-events{name}")["QueueUrl"] for name in ("", "-dead"))
    original = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
    sqs.send_message(QueueUrl=url, MessageBody="nobody can read this")
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=original)
        sqs.purge_queue(QueueUrl=dead)


@contextlib.contextmanager
def _homeless_service(site: Site) -> Iterator[None]:
    """Create a service whose constraint no node fulfils."""
    constraint = ["--constraint", "node.labels.there==nowhere"]
    image = ["python:3.13-slim", "sleep", "600"]
    site.must(site.pick("leader"), "docker", "service", "create", "-d", "--name", "homeless", *constraint, *image)
    try:
        yield
    finally:
        site.must(site.managers()[0], "docker", "service", "rm", "homeless")


@contextlib.contextmanager
def _old_backup(site: Site) -> Iterator[None]:
    """Replace the backups by a backup that is years old, and stop the timers."""
    s3, timer = site.aws("s3"), "swarm-backup.timer"
    managers = site.managers()
    for manager in managers:
        site.must(manager, "systemctl", "stop", timer)
    listed = s3.list_objects_v2(Bucket=site.bucket, Prefix="backups/").get("Contents", [])
    original = {entry["Key"]: s3.get_object(Bucket=site.bucket, Key=entry["Key"])["Body"].read() for entry in listed}
    for key in original:
        s3.delete_object(Bucket=site.bucket, Key=key)
    s3.put_object(Bucket=site.bucket, Key=OLD, Body=b"{}")
    try:
        yield
    finally:
        s3.delete_object(Bucket=site.bucket, Key=OLD)
        for key, body in original.items():
            s3.put_object(Bucket=site.bucket, Key=key, Body=body)
        for manager in managers:
            site.on(manager, "systemctl", "start", timer)


@contextlib.contextmanager
def _launch_is_missing(site: Site, group: str) -> Iterator[None]:
    """Set a group's desired capacity 1 higher, without the launch."""
    autoscaling, where = site.aws("autoscaling"), {"AutoScalingGroupName": group}
    (found,) = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    original = found["DesiredCapacity"]
    autoscaling.suspend_processes(**where, ScalingProcesses=["Launch"])
    autoscaling.set_desired_capacity(**where, DesiredCapacity=original + 1)
    try:
        yield
    finally:
        autoscaling.set_desired_capacity(**where, DesiredCapacity=original)
        autoscaling.resume_processes(**where, ScalingProcesses=["Launch"])
