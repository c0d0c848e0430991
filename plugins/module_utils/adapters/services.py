"""Services and their tasks as the Docker API tells them, in the core's terms."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from .._core.cluster import Needs, Service

# States of a task on its way to running, and of one that has not ended.
_STARTING = ("new", "pending", "assigned", "accepted", "preparing", "ready", "starting")
_ENDED = ("complete", "failed", "shutdown", "rejected", "orphaned", "remove")
_NANOSECONDS = 1e9
# Docker's own, where a service says nothing.
_STOP_SECONDS = 10.0


def read(services: Sequence[Mapping[str, Any]], tasks: Sequence[Mapping[str, Any]]) -> Tuple[Service, ...]:
    """The services, sorted by name."""
    of_service: Dict[str, List[Mapping[str, Any]]] = {}
    for task in tasks:
        of_service.setdefault(task.get("ServiceID", ""), []).append(task)
    found = (_service(one, of_service.get(one["ID"], [])) for one in services)
    return tuple(sorted(found, key=lambda one: one.name))


def _service(service: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]) -> Service:
    spec = service["Spec"]
    mode, replicas = _mode(spec["Mode"])
    healthy: Counter[str] = Counter()
    starting: Counter[str] = Counter()
    stopping: Counter[str] = Counter()
    pending, why = 0, ""
    for task in tasks:
        node, state = task.get("NodeID") or "", task["Status"]["State"]
        wanted = task["DesiredState"] in ("running", "ready", "complete")
        if state in _ENDED:
            continue
        if not wanted:
            stopping[node] += 1
        elif state == "running":
            healthy[node] += 1
        elif node:
            starting[node] += 1
        elif state in _STARTING:
            pending, why = pending + 1, task["Status"].get("Err") or why
    stopping.pop("", None)
    container = spec["TaskTemplate"].get("ContainerSpec") or {}
    grace = container.get("StopGracePeriod")
    return Service(
        id=service["ID"],
        name=spec["Name"],
        mode=mode,
        replicas=replicas,
        start_first=(spec.get("UpdateConfig") or {}).get("Order") == "start-first",
        updating=(service.get("UpdateStatus") or {}).get("State") in ("updating", "rollback_started"),
        labels=dict(spec.get("Labels") or {}),
        stop_seconds=_STOP_SECONDS if grace is None else grace / _NANOSECONDS,
        needs=_needs(service),
        healthy=dict(healthy),
        starting=dict(starting),
        stopping=dict(stopping),
        pending=pending,
        why_pending=" ".join(why.split()),
    )


def _mode(mode: Mapping[str, Any]) -> Tuple[str, int]:
    if "Replicated" in mode:
        return "replicated", int((mode["Replicated"] or {}).get("Replicas", 1))
    return ("global" if "Global" in mode else "job"), 0


def _needs(service: Mapping[str, Any]) -> Needs:
    template = service["Spec"]["TaskTemplate"]
    placement = template.get("Placement") or {}
    reserved = (template.get("Resources") or {}).get("Reservations") or {}
    ports = (service["Spec"].get("EndpointSpec") or {}).get("Ports") or []
    return Needs(
        constraints=tuple(placement.get("Constraints") or ()),
        most_per_node=int(placement.get("MaxReplicas") or 0),
        memory=int(reserved.get("MemoryBytes") or 0),
        cpus=int(reserved.get("NanoCPUs") or 0),
        host_ports=tuple(
            int(one["PublishedPort"]) for one in ports if one.get("PublishMode") == "host" and one.get("PublishedPort")
        ),
    )
