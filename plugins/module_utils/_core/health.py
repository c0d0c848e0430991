"""The cluster's state in one sentence."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence

from . import interruptions, ipvs, node_matching, report
from .cluster import Cluster, Instance, Node
from .counting import counted
from .decision import Decision
from .policy import Policy

HEALTHY, CHANGING, ATTENTION, UNHEALTHY, UNKNOWN = "healthy", "changing", "attention", "unhealthy", "unknown"
# Clauses that the sentence names.
MOST = 2


def health(observed: Cluster, policy: Policy, decision: Decision, now: float) -> Dict[str, str]:
    """The state, and a sentence such as ``Healthy: 4 of 4 nodes, 15 of 15 tasks``; ``now`` is in epoch seconds."""
    rows = report.services(observed)
    if observed.nodes is None or observed.instances is None or rows is None:
        silent = "EC2 and Auto Scaling do" if observed.instances is None else "this manager's engine does"
        return {"state": UNKNOWN, "sentence": f"Unknown: {silent} not answer"}
    joined = node_matching.join(observed)
    removals = interruptions.of(observed, joined, policy, now)
    living = [instance for instance in observed.instances if not instance.gone and not instance.warmed]
    kept = [instance for instance in living if instance.id not in removals]
    away: List[str] = []
    joining: List[str] = []
    for instance in kept:
        node = joined.node_of.get(instance.id)
        if node is None or not (node.ready or node.unconfirmed):
            (away if instance.in_service else joining).append(_away(instance, node))
    wanted = max(len(kept), sum(observed.desired.values()))
    running, tasks = (sum(row[count] for row in rows) for count in ("running", "wanted"))
    short = [row for row in rows if row["running"] < row["wanted"]]
    stuck = {service.name for service in observed.services or () if service.failing or service.why_pending}
    steady = [row for row in short if row["name"] in stuck or not (row["starting"] or row["updating"])]
    wrong = [
        *away,
        *(f"launches of the group {group} fail" for group in sorted(observed.launch_failures)),
        *(f"{row['name']} runs {row['running']} of {counted(row['wanted'], 'task')}" for row in steady),
    ]
    removing = [f"{instance.id} is being removed" for instance in living if instance.id in removals]
    changes = [*removing, *joining, *(f"{row['name']} is starting" for row in short if row not in steady)]
    if wanted > len(living):
        changes.append(f"Auto Scaling starts {counted(wanted - len(living), 'instance')}")
    if decision.in_flight and not changes:
        changes = [f"waiting for {awaited}" for awaited in decision.awaited]
        changes = changes or [action.change.sentence for action in decision.actions]
    lacking = [found for found, node in joined.node_of.items() if node.engine_labels.get(ipvs.LABEL) == ipvs.LACKS]
    unreachable = ipvs.missing(lacking, [service.name for service in observed.services or () if service.balanced])
    notes = [sentence.rstrip(".") for sentence in (*decision.refused, *decision.notes, *unreachable)]
    found = [(UNHEALTHY, wrong), (ATTENTION, notes), (CHANGING, changes), (HEALTHY, [])]
    state, clauses = next((state, clauses) for state, clauses in found if clauses or state == HEALTHY)
    counts = f"{len(kept) - len(away) - len(joining)} of {counted(wanted, 'node')}, "
    counts += f"{running} of {counted(tasks, 'task')}" if tasks else "no tasks"
    title = {ATTENTION: "Needs attention"}.get(state, state.capitalize())
    return {"state": state, "sentence": "; ".join(filter(None, [f"{title}: {counts}", _listed(clauses)]))}


def _away(instance: Instance, node: Optional[Node]) -> str:
    if not instance.in_service:
        return f"{instance.id} is joining"
    if node is None:
        return f"{instance.id} is not in the swarm"
    return f"{instance.id} is {'unreachable' if node.state == 'ready' else node.state}"


def _listed(clauses: Sequence[str]) -> str:
    named: List[str] = list(clauses[:MOST])
    return ", ".join([*named, f"and {len(clauses) - MOST} more"] if len(clauses) > MOST else named)
