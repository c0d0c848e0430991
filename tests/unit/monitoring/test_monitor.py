"""The agent's monitor, without its threads but for the last test."""

from __future__ import annotations

import io
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import replace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import metrics
from ansible_collections.swarm.aws.plugins.module_utils._core.actions import CompleteLifecycle
from ansible_collections.swarm.aws.plugins.module_utils._core.aws_time import AwsTime
from ansible_collections.swarm.aws.plugins.module_utils._core.backoff import Failure
from ansible_collections.swarm.aws.plugins.module_utils._core.change import Change
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.metrics import Sample, sample
from ansible_collections.swarm.aws.plugins.module_utils._core.plan import decide
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Group, Monitoring, Policy, Scaling
from ansible_collections.swarm.aws.plugins.module_utils._core.reconcile import Pass
from ansible_collections.swarm.aws.runtime.swarm_agent.log import Log
from ansible_collections.swarm.aws.runtime.swarm_agent.monitor import Monitor
from prometheus_client.parser import text_string_to_metric_families

from lab.waiting import until
from tests.unit.core import memory_cluster

NAMESPACE = "swarm.aws/example"
POLICY = replace(memory_cluster.POLICY, queue="example-events", monitoring=Monitoring(NAMESPACE, period=60))
EVERYTHING = {
    "BackupAge",
    "CertificateLeft",
    "Flaws",
    "NodesDown",
    "NodesReady",
    "PassDuration",
    "Passes",
    "QuorumMargin",
    "RecordDifferences",
    "TasksUnschedulable",
}


SCALING = replace(
    memory_cluster.POLICY,
    groups={**memory_cluster.POLICY.groups, "worker": Group("worker", scaling=Scaling(1, 4))},
    monitoring=Monitoring(),
)


class FakeSources:
    """Tells what a test says, and keeps what CloudWatch was told."""

    def __init__(self) -> None:
        self.sent: list[dict[str, float]] = []
        self.resolutions: list[int] = []
        self.asked: list[str] = []
        self.broken = ""

    def address(self) -> str:
        return "127.0.0.1"

    def certificate(self) -> float:
        self._note("certificate")
        return 5000.0

    def backup(self) -> tuple[float | None, float]:
        self._note("backup")
        return 400.0, 0.0

    def depths(self, queue: str) -> dict[str, int]:
        self._note("depths")
        assert queue == "example-events"
        return {"events": 2, "dead": 1}

    def shown_until(self, name: str, addresses: Sequence[str], port: int) -> float:
        self._note("shown")
        assert (name, port) == ("www.example.com", 443) and len(addresses) == 3
        return 3000.0

    def put(self, namespace: str, samples: Sequence[Sample], resolution: int) -> None:
        self._note("put")
        assert namespace == NAMESPACE
        told = sorted((sample.family.cloudwatch, sample.value) for sample in samples if sample.family.cloudwatch)
        # The largest of several samples with the same name.
        self.sent.append(dict(told))
        self.resolutions.append(resolution)

    def _note(self, what: str) -> None:
        self.asked.append(what)
        if self.broken == what:
            raise Unavailable(f"No {what} today.")


class Bench:
    """A monitor with its sources, its time and its log."""

    def __init__(self) -> None:
        self.sources, self.now, self.said = FakeSources(), 1000.0, io.StringIO()
        self.clock = AwsTime(lambda: self.now, lambda: self.now)
        self.monitor = Monitor(self.sources, Log(self.said), self.clock, lambda: self.now)

    def passed(self, policy: Policy = POLICY, *, for_another: bool = False, **more: object) -> None:
        nodes = [memory_cluster.node(number, leader=number == 1) for number in (1, 2, 3)]
        observed = memory_cluster.observed(
            [memory_cluster.instance(number) for number in (1, 2, 3)], nodes, memory_cluster.record(1, 2, 3)
        )
        if policy.scales:
            nodes.append(memory_cluster.node(4, "worker"))
            instances = (*(observed.instances or ()), memory_cluster.instance(4, "worker"))
            observed = replace(observed, nodes=tuple(nodes), instances=instances, desired={"worker": 2})
        self.monitor.passed(Pass(observed, decide(observed, policy, 0), **more), policy, 0.5, for_another=for_another)  # type: ignore[arg-type]

    def after(self, seconds: float) -> dict[str, float]:
        """What was sent once so many seconds are over; nothing if nothing was."""
        before = len(self.sources.sent)
        self.now += seconds
        self.monitor.tick()
        return self.sources.sent[-1] if len(self.sources.sent) > before else {}

    def lines(self) -> list[str]:
        return [json.loads(line)["message"] for line in self.said.getvalue().splitlines()]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_leader_sends_every_metric_once_a_period(bench: Bench) -> None:
    bench.passed()
    bench.passed()
    sent = bench.after(0)
    assert set(sent) == EVERYTHING
    assert (sent["Passes"], sent["QuorumMargin"], sent["BackupAge"], sent["CertificateLeft"]) == (2, 1, 600, 4000)
    assert bench.after(59) == {}
    bench.passed()
    assert bench.after(1)["Passes"] == 1, "since the last time"
    assert bench.sources.resolutions == [60, 60]


def test_the_scaling_metric_is_sent_without_monitoring(bench: Bench) -> None:
    bench.passed(SCALING)
    assert bench.after(0) == {"CapacityReservation": 50}
    assert bench.sources.asked == ["put"]
    assert bench.after(59) == {}
    bench.passed(SCALING)
    assert bench.after(1) == {"CapacityReservation": 50}
    assert bench.after(180) == {}, "of what nobody has seen for a while Auto Scaling is told nothing"
    bench.monitor.stands_by(SCALING)
    assert bench.after(60) == {}


def test_the_scaling_metric_is_sent_with_the_others(bench: Bench) -> None:
    bench.passed(replace(SCALING, queue=POLICY.queue, monitoring=POLICY.monitoring))
    assert set(bench.after(0)) == {*EVERYTHING, "CapacityReservation"}


def test_a_scaling_metric_that_cannot_be_sent_is_logged_once(bench: Bench) -> None:
    bench.sources.broken = "put"
    bench.passed(SCALING)
    assert bench.after(0) == bench.after(60) == {}
    assert bench.lines() == ["No put today."]


def test_short_periods_have_high_resolution(bench: Bench) -> None:
    bench.passed(replace(POLICY, monitoring=Monitoring(NAMESPACE, period=10)))
    assert bench.after(0) and bench.sources.resolutions == [1]


def test_without_new_passes_only_their_absence_is_sent(bench: Bench) -> None:
    bench.passed()
    assert bench.after(0)["NodesReady"] == 3
    late = bench.after(180)
    assert late["Passes"] == 0
    assert set(late) == {"Passes", "CertificateLeft", "Flaws"}, "nothing that may not be true any more"
    assert "swarm_nodes_ready" not in bench.monitor.text()


def test_a_follower_sends_its_own_certificate_less_often(bench: Bench) -> None:
    bench.monitor.stands_by(POLICY)
    assert bench.after(0) == {"CertificateLeft": 4000, "Flaws": 0}
    assert bench.after(60) == {}
    assert bench.after(300) != {}
    assert set(bench.sources.asked) == {"certificate", "put"}


@pytest.mark.fault(45)
def test_fault_45_every_manager_reports_its_wrong_clock(bench: Bench) -> None:
    bench.monitor.stands_by(POLICY)
    assert bench.after(0)["Flaws"] == 0
    bench.clock.observe(bench.now - 600, 0.0)
    assert bench.after(300)["Flaws"] == 1
    assert "swarm_clock_difference_seconds 599" in bench.monitor.text()


@pytest.mark.fault(44)
def test_fault_44_a_deputy_of_a_silent_leader_reports_it(bench: Bench) -> None:
    bench.passed(for_another=True)
    assert bench.after(0)["Flaws"] == 1
    bench.monitor.stands_by(POLICY)
    assert bench.after(300)["Flaws"] == 0


def test_a_former_leader_forgets_what_it_measured(bench: Bench) -> None:
    bench.passed()
    bench.after(0)
    bench.monitor.stands_by(POLICY)
    text = bench.monitor.text()
    assert "swarm_agent_leading 0" in text and "swarm_agent_passes_total 1" in text
    assert "swarm_quorum_margin" not in text and "swarm_queue_messages" not in text


def test_the_leader_measures_the_certificates_that_clients_see(bench: Bench) -> None:
    policy = replace(POLICY, monitoring=Monitoring(NAMESPACE, period=60, tls_ports=(443,)))
    bench.passed(policy)
    sent = bench.after(0)
    assert set(sent) == {*EVERYTHING, "TlsCertificateLeft"} and sent["TlsCertificateLeft"] == 2000
    assert 'swarm_tls_certificate_left_seconds{port="443"} 2000' in bench.monitor.text()
    bench.passed(policy)
    assert "TlsCertificateLeft" in bench.after(60)
    assert bench.sources.asked.count("shown") == 1, "it changes slowly"
    bench.monitor.stands_by(policy)
    assert "swarm_tls_certificate" not in bench.monitor.text()


def test_an_unsent_metric_is_logged_once_and_passes_keep_counting(bench: Bench) -> None:
    bench.sources.broken = "put"
    bench.passed()
    assert bench.after(0) == bench.after(60) == {}
    assert bench.lines() == ["No put today."]
    bench.sources.broken = ""
    bench.passed()
    assert bench.after(60)["Passes"] == 2


def test_an_unavailable_source_leaves_its_metric_out(bench: Bench) -> None:
    bench.sources.broken = "backup"
    bench.passed()
    assert set(bench.after(0)) == EVERYTHING - {"BackupAge"}
    assert bench.lines() == ["No backup today."]


@pytest.mark.fault(47)
def test_fault_47_a_failing_metric_leaves_the_others(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise KeyError("a secret")

    monkeypatch.setattr(metrics, "_tasks", fails)
    monkeypatch.setattr(bench.sources, "backup", fails)
    bench.passed()
    bench.passed()
    assert set(bench.after(0)) == EVERYTHING - {"BackupAge", "TasksUnschedulable"}
    told = [line.partition(" in ")[0] for line in bench.lines()]
    assert told == [
        "The metrics of the tasks are left out: an unexpected KeyError",
        "The metrics of the backup are left out: an unexpected KeyError",
    ]
    assert "secret" not in bench.said.getvalue()


@pytest.mark.fault(47)
def test_fault_47_no_number_that_cloudwatch_refuses_is_sent() -> None:
    found = [sample(metrics.BACKUP_AGE, float("nan")), sample(metrics.CERTIFICATE_LEFT, 5)]
    assert [datum["MetricName"] for datum in metrics.data(found, 60)] == ["CertificateLeft"]


def test_slowly_changing_values_are_read_less_often(bench: Bench) -> None:
    for _ in range(10):
        bench.passed()
        bench.after(60)
    assert bench.sources.asked.count("depths") == 10
    assert bench.sources.asked.count("backup") == bench.sources.asked.count("certificate") == 2


def test_without_a_policy_nothing_is_read_or_sent(bench: Bench) -> None:
    bench.monitor.stands_by(None)
    bench.passed(memory_cluster.POLICY)
    assert bench.after(0) == {} and bench.sources.asked == []


def test_actions_and_failures_are_counted(bench: Bench) -> None:
    action = CompleteLifecycle("i-1", "g", "hook", "CONTINUE", "Terminating:Wait")
    change = Change("instance i-1", "waiting", "gone")
    bench.passed(done=[(action, change)], failures=[Failure("dns", "no")], postponed=["later"])
    text = bench.monitor.text()
    for line in (
        'swarm_agent_actions_total{action="CompleteLifecycle"} 1',
        'swarm_agent_failures_total{service="dns"} 1',
        "swarm_agent_postponed_total 1",
    ):
        assert line in text.splitlines()


@pytest.mark.real("a server: the page is read over HTTP")
def test_only_prometheus_is_served_at_the_port_of_the_policy(bench: Bench) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with bench.monitor:
        bench.passed(replace(POLICY, monitoring=Monitoring(port=port)))

        def page() -> str:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                    return answer.read().decode()
            except OSError:
                return ""

        until("the metrics to be served", lambda: "swarm_queue_messages" in page(), seconds=60)
        found = {family.name for family in text_string_to_metric_families(page())}
        assert {"swarm_quorum_margin", "swarm_agent_passes", "swarm_certificate_left_seconds"} <= found
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
    assert page() == ""
    assert bench.sources.sent == [], "CloudWatch was not asked for"
