"""The metrics of a cluster, measured once for Prometheus and CloudWatch.

Prometheus's names follow its conventions: base units, `_total` for counters. CloudWatch charges for each metric, so
only the metrics of alarms and the dashboard have a name there.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from . import report, scaling
from .cluster import Cluster
from .decision import Decision
from .errors import unexpected
from .policy import Policy
from .quorum import Quorum

GAUGE, COUNTER = "gauge", "counter"
# States of nodes that do not answer the managers.
_AWAY = ("down", "disconnected")


@dataclass(frozen=True)
class Family:
    """A metric."""

    name: str
    help: str
    kind: str = GAUGE
    # Its name and unit in CloudWatch; empty if it is not sent there.
    cloudwatch: str = ""
    unit: str = "Count"
    # Its dimension in CloudWatch, if it has one. The value is that of its only label.
    dimension: str = ""


@dataclass(frozen=True)
class Sample:
    """A measurement."""

    family: Family
    value: float
    labels: Tuple[Tuple[str, str], ...] = ()


VOTERS = Family("swarm_raft_voters", "Managers with a vote in Raft.")
REACHABLE = Family("swarm_raft_reachable", "Reachable voters.")
MARGIN = Family(
    "swarm_quorum_margin",
    "Number of managers that may fail before the quorum is lost; negative once it is lost.",
    cloudwatch="QuorumMargin",
)
NODES = Family("swarm_nodes", "Nodes by role, state and availability.")
NODES_READY = Family("swarm_nodes_ready", "Ready nodes.", cloudwatch="NodesReady")
NODES_DOWN = Family("swarm_nodes_down", "Nodes that do not answer the managers.", cloudwatch="NodesDown")
TASKS_RUNNING = Family("swarm_service_tasks_running", "Healthy tasks of a service.")
TASKS_WANTED = Family("swarm_service_tasks_wanted", "Tasks that a service should have.")
TASKS_UNSCHEDULABLE = Family(
    "swarm_service_tasks_unschedulable", "Tasks of a service for which the scheduler has no node."
)
ALL_UNSCHEDULABLE = Family(
    "swarm_tasks_unschedulable", "Tasks for which the scheduler has no node.", cloudwatch="TasksUnschedulable"
)
NODES_NEEDED = Family("swarm_group_nodes_needed", "Nodes that a scaling group needs for the swarm's tasks.")
RESERVATION = Family(
    "swarm_group_capacity_reservation",
    "Nodes that a scaling group needs, in percent of its desired capacity.",
    cloudwatch="CapacityReservation",
    unit="Percent",
    dimension="NodeGroup",
)
RECORD_ADDRESSES = Family("swarm_record_addresses", "Addresses in the cluster's record.")
RECORD_DIFFERENCES = Family(
    "swarm_record_differences",
    "Surplus and missing addresses of the cluster's record.",
    cloudwatch="RecordDifferences",
)
BUCKET_FLAWS = Family(
    "swarm_bucket_flaws",
    "Missing or invalid objects in the bucket: the cluster's record, the policy.",
    cloudwatch="Flaws",
)
LAUNCH_FAILURES = Family(
    "swarm_launch_failures", "Node groups whose launches fail in Auto Scaling.", cloudwatch="Flaws"
)
INTERRUPTIONS = Family("swarm_interruptions", "Instances that are being removed, by state: waiting or held.")
PLANNED = Family("swarm_actions_planned", "Actions that the last pass planned.")
BACKUP_AT = Family("swarm_backup_timestamp_seconds", "Time of the newest backup; 0 if there is none.")
BACKUP_AGE = Family(
    "swarm_backup_age_seconds",
    "Age of the newest backup; without one, of the swarm.",
    cloudwatch="BackupAge",
    unit="Seconds",
)
QUEUE = Family("swarm_queue_messages", "Messages in a queue: events, or dead for the dead letters.")
CERTIFICATE = Family("swarm_certificate_expiry_timestamp_seconds", "Time at which this node's certificate expires.")
CERTIFICATE_LEFT = Family(
    "swarm_certificate_left_seconds",
    "Remaining validity of this node's certificate.",
    cloudwatch="CertificateLeft",
    unit="Seconds",
)
CLOCK_OFF = Family("swarm_clock_difference_seconds", "Difference between this node's clock and AWS's time.")
AGENT_FLAWS = Family(
    "swarm_agent_flaws",
    "Flaws of agents: this node's clock is wrong; the leader's agent is silent.",
    cloudwatch="Flaws",
)
TLS_LEFT = Family(
    "swarm_tls_certificate_left_seconds",
    "Shortest remaining validity of the certificates at a port of the record's addresses.",
    cloudwatch="TlsCertificateLeft",
    unit="Seconds",
    dimension="Port",
)
LEADING = Family("swarm_agent_leading", "Whether this node's agent acts.")
PASSES = Family("swarm_agent_passes_total", "Passes in which this agent was free to act.", COUNTER, cloudwatch="Passes")
PASS_AT = Family("swarm_agent_last_pass_timestamp_seconds", "End of this agent's last pass; 0 before the first.")
PASS_SECONDS = Family(
    "swarm_agent_pass_seconds", "Duration of this agent's last pass.", cloudwatch="PassDuration", unit="Seconds"
)
ACTIONS = Family("swarm_agent_actions_total", "Actions of this agent, by kind.", COUNTER)
POSTPONED = Family("swarm_agent_postponed_total", "Planned actions that the check before them refused.", COUNTER)
FAILURES = Family("swarm_agent_failures_total", "Failed requests, by service.", COUNTER)
FAMILIES = tuple(value for value in tuple(globals().values()) if isinstance(value, Family))


def sample(family: Family, value: float, **labels: str) -> Sample:
    """A measurement with its labels, such as ``role="manager"``."""
    return Sample(family, float(value), tuple(sorted(labels.items())))


def measure(
    observed: Cluster,
    policy: Policy,
    decision: Decision,
    policy_flaw: str = "",
    tell: Callable[[str, str], None] = lambda part, why: None,
) -> List[Sample]:
    """The measurements of a pass. Parts that could not be observed are left out.

    ``policy_flaw`` says why the last valid policy is used instead of the bucket's, if so. ``tell`` gets the name of
    each part and why it could not be measured, empty if it was.
    """
    found: List[Sample] = []
    parts: Mapping[str, Callable[[], Iterable[Sample]]] = {
        "nodes": partial(_nodes, observed),
        "tasks": partial(_tasks, observed),
        "capacities": partial(_capacities, observed, policy),
        "record": partial(_record, observed, policy, decision),
        "bucket": partial(_bucket, decision, policy_flaw),
        "plan": partial(_plan, decision),
        "launches": partial(_launches, observed),
    }
    for part, samples in parts.items():
        try:
            found += list(samples())
            tell(part, "")
        except Exception as error:
            # The other parts are measured nevertheless, and the pass goes on.
            tell(part, unexpected(error))
    return found


def _plan(decision: Decision) -> Iterator[Sample]:
    yield sample(INTERRUPTIONS, len(set(decision.waits) - set(decision.held)), state="waiting")
    yield sample(INTERRUPTIONS, len(decision.held), state="held")
    yield sample(PLANNED, len(decision.actions))


def _launches(observed: Cluster) -> Iterator[Sample]:
    if observed.instances is not None:
        yield sample(LAUNCH_FAILURES, len(observed.launch_failures))


def _bucket(decision: Decision, policy_flaw: str) -> Iterator[Sample]:
    if decision.record_flawed is not None or policy_flaw:
        yield sample(BUCKET_FLAWS, bool(decision.record_flawed) + bool(policy_flaw))


def _nodes(observed: Cluster) -> Iterator[Sample]:
    if observed.nodes is None:
        return
    raft = Quorum.of(observed.nodes)
    yield sample(VOTERS, raft.voters)
    yield sample(REACHABLE, raft.reachable)
    yield sample(MARGIN, raft.margin)
    kinds = Counter((node.role, node.state, node.availability) for node in observed.nodes)
    for (role, state, availability), count in sorted(kinds.items()):
        yield sample(NODES, count, role=role, state=state, availability=availability)
    yield sample(NODES_READY, sum(node.ready for node in observed.nodes))
    # A node whose heartbeat a new leader has not received yet is neither ready nor down.
    yield sample(NODES_DOWN, sum(node.state in _AWAY for node in observed.nodes))


def _tasks(observed: Cluster) -> Iterator[Sample]:
    rows = report.services(observed)
    if rows is None:
        return
    homeless = 0
    for row in rows:
        # Before the scheduler has tried, a task without a node has no reason.
        without = row["pending"] if row["why_pending"] else 0
        homeless += without
        yield sample(TASKS_RUNNING, row["running"], service=row["name"])
        yield sample(TASKS_WANTED, row["wanted"], service=row["name"])
        yield sample(TASKS_UNSCHEDULABLE, without, service=row["name"])
    yield sample(ALL_UNSCHEDULABLE, homeless)


def _capacities(observed: Cluster, policy: Policy) -> Iterator[Sample]:
    for name, capacity in scaling.capacities(observed, policy).items():
        yield sample(NODES_NEEDED, capacity.needed, group=name)
        yield sample(RESERVATION, capacity.reservation, group=name)


def _record(observed: Cluster, policy: Policy, decision: Decision) -> Iterator[Sample]:
    standing = report.standing(observed, policy, decision)
    if standing is None or standing["addresses"] is None:
        return
    yield sample(RECORD_ADDRESSES, len(standing["addresses"]))
    if standing["wanted"] is not None:
        yield sample(RECORD_DIFFERENCES, len(set(standing["addresses"]) ^ set(standing["wanted"])))


def exposition(samples: Iterable[Sample]) -> str:
    """Measurements in Prometheus's text format, version 0.0.4."""
    by_family: Dict[Family, List[Sample]] = {}
    for sample in samples:
        by_family.setdefault(sample.family, []).append(sample)
    lines: List[str] = []
    for family, found in by_family.items():
        lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
        lines += [f"{family.name}{_labels(measured.labels)} {measured.value:.17g}" for measured in found]
    return "\n".join(lines) + "\n"


def data(samples: Sequence[Sample], resolution: int) -> List[Mapping[str, object]]:
    """CloudWatch's measurements for `PutMetricData`; ``resolution`` is 1 for periods below a minute, else 60."""
    return [
        {
            "MetricName": sample.family.cloudwatch,
            "Value": sample.value,
            "Unit": sample.family.unit,
            "StorageResolution": resolution,
            **(
                {"Dimensions": [dimension(sample.family, value) for _name, value in sample.labels]}
                if sample.labels
                else {}
            ),
        }
        for sample in samples
        # CloudWatch refuses the whole request if a value is not finite.
        if sample.family.cloudwatch and math.isfinite(sample.value)
    ]


def dimension(family: Family, value: str) -> Mapping[str, str]:
    """The dimension of a metric in CloudWatch's form."""
    return {"Name": family.dimension, "Value": value}


def left(until: Optional[float], now: float) -> List[Sample]:
    """The end of the node's certificate and the time left; nothing if not known. Both in epoch seconds."""
    if until is None:
        return []
    return [sample(CERTIFICATE, until), sample(CERTIFICATE_LEFT, until - now)]


def age(newest: Optional[float], since: Optional[float], now: float) -> List[Sample]:
    """The age of the newest backup, or without a backup of the swarm. All in epoch seconds; None is not known."""
    known = newest if newest is not None else since
    aged = [] if known is None else [sample(BACKUP_AGE, max(0.0, now - known))]
    return [sample(BACKUP_AT, newest or 0.0), *aged]


def _labels(labels: Sequence[Tuple[str, str]]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
