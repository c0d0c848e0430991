"""The Docker API's services and tasks as the core's services."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, FrozenSet, List, Mapping, Sequence, Tuple

from .._core import ipvs
from .._core.cluster import Needs, Service
from .._core.parsing import SHAPE_ERRORS, whole
from .docker_time import moment

# States of a task: on its way to running, failed, and ended.
_STARTING = ("new", "pending", "assigned", "accepted", "preparing", "ready", "starting")
_FAILED = ("failed", "rejected")
_ENDED = ("complete", "failed", "shutdown", "rejected", "orphaned", "remove")
_NANOSECONDS = 1e9
# States of an update that is in progress, or would resume if the specification were written again.
_UNDER_WAY = ("updating", "rollback_started")
_PAUSED = ("paused", "rollback_paused")
# Docker's default.
_STOP_SECONDS = 10.0
# A node fails a service after so many failures within so many seconds. A swarm remembers five tasks, and a task that
# never gets healthy takes its start period, such as two minutes, and a few checks.
_FAILURES, _FAILING_SECONDS = 3, 600.0


def read(services: Sequence[Mapping[str, Any]], tasks: Sequence[Mapping[str, Any]]) -> Tuple[Service, ...]:
    """The services, sorted by name. An unreadable service has only its name and its flaw."""
    of_service: Dict[str, List[Mapping[str, Any]]] = {}
    for task in tasks:
        if isinstance(task, Mapping):
            of_service.setdefault(str(task.get("ServiceID")), []).append(task)
    found = (_service_or_flaw(service, of_service) for service in services)
    return tuple(sorted(found, key=lambda service: service.name))


def _service_or_flaw(service: Mapping[str, Any], tasks: Mapping[str, Sequence[Mapping[str, Any]]]) -> Service:
    try:
        return _service(service, tasks.get(str(service["ID"]), []))
    except SHAPE_ERRORS as error:
        spec = service.get("Spec") if isinstance(service, Mapping) else None
        known = spec.get("Name") if isinstance(spec, Mapping) else None
        name = str(known or (isinstance(service, Mapping) and service.get("ID")) or "without a name")
        reason = (
            f"the engine's answer has {'no ' + str(error) if isinstance(error, KeyError) else 'an unexpected shape'}"
        )
        return Service("", name, "unreadable", flaw=f"The service {name} cannot be read and is left out: {reason}.")


def _count(value: Any) -> int:
    """The engine's value as a count. Raises ValueError if it is not a count."""
    found = whole(value)
    if found is None:
        raise ValueError("not a count")
    return found


def _service(service: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]) -> Service:
    spec = service["Spec"]
    mode, replicas = _mode(spec["Mode"])
    healthy: Counter[str] = Counter()
    starting: Counter[str] = Counter()
    stopping: Counter[str] = Counter()
    pending, why = 0, ""
    for task in tasks:
        node, state = str(task.get("NodeID") or ""), task["Status"]["State"]
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
            pending, why = pending + 1, str(task["Status"].get("Err") or why)
    stopping.pop("", None)
    container = spec["TaskTemplate"].get("ContainerSpec") or {}
    grace = container.get("StopGracePeriod")
    stop_seconds = _STOP_SECONDS if grace is None else _count(grace) / _NANOSECONDS
    over, done = _over(spec["TaskTemplate"], tasks)
    update = (service.get("UpdateStatus") or {}).get("State")
    return Service(
        id=str(service["ID"]),
        name=str(spec["Name"]),
        mode=mode,
        replicas=replicas,
        # A service that runs once must not run again because its node is removed.
        start_first=(spec.get("UpdateConfig") or {}).get("Order") == "start-first"
        and (spec["TaskTemplate"].get("RestartPolicy") or {}).get("Condition") != "none",
        # 0 means all at once to Docker; its default is 1.
        parallelism=_count((spec.get("UpdateConfig") or {}).get("Parallelism", 1)),
        health_checked=health_checked(container.get("Healthcheck") or {}),
        balanced=ipvs.needed(spec),
        updating=update in _UNDER_WAY,
        paused=update in _PAUSED,
        labels={str(key): str(value) for key, value in (spec.get("Labels") or {}).items()},
        stop_seconds=stop_seconds,
        needs=_needs(service),
        healthy=dict(healthy),
        starting=dict(starting),
        stopping=dict(stopping),
        image=str(container.get("Image") or ""),
        over=over,
        done=done,
        failing=_failing(tasks, healthy),
        renewable=mode != "job" and update not in (*_UNDER_WAY, *_PAUSED) and not over,
        pending=pending,
        why_pending=" ".join(why.split()),
    )


def _over(template: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]) -> Tuple[FrozenSet[str], int]:
    """The places whose task ended and is not restarted, and how many of these tasks were meant to end.

    An update of the service would start them again.
    """
    policy = template.get("RestartPolicy") or {}
    condition = policy.get("Condition", "any")
    if condition == "any" and not policy.get("MaxAttempts"):
        return frozenset(), 0
    ended: Dict[str, str] = {}
    live = set()
    for task in sorted(tasks, key=lambda listed: str(listed.get("CreatedAt"))):
        place, state = str(task.get("Slot") or task.get("NodeID")), task["Status"]["State"]
        # Without restarts, even a task that was told to stop gets no successor.
        if state in (_ENDED if condition == "none" else ("complete", *_FAILED)):
            ended[place] = state
        elif task["DesiredState"] in ("running", "ready", "complete"):
            live.add(place)
    over = frozenset(ended.keys() - live)
    done = (condition == "none" or (condition == "on-failure" and ended[place] == "complete") for place in over)
    return over, sum(done)


def _failing(tasks: Sequence[Mapping[str, Any]], healthy: Mapping[str, int]) -> FrozenSet[str]:
    """Nodes on which no task is healthy and the last tasks failed in quick succession."""
    ended: Dict[str, List[Tuple[float, str]]] = {}
    for task in tasks:
        node, status = str(task.get("NodeID") or ""), task["Status"]
        if node and status["State"] in _ENDED and not healthy.get(node):
            ended.setdefault(node, []).append((moment(status.get("Timestamp")), status["State"]))
    found = set()
    for node, all_of_node in ended.items():
        last = sorted(all_of_node)[-_FAILURES:]
        soon = last[-1][0] - last[0][0] <= _FAILING_SECONDS
        if len(last) == _FAILURES and soon and all(state in _FAILED for _at, state in last):
            found.add(node)
    return frozenset(found)


def health_checked(check: Mapping[str, Any]) -> bool:
    """Whether a check is set and not turned off. A check in the image is not visible here."""
    return (check.get("Test") or ["NONE"])[0] != "NONE"


def _mode(mode: Mapping[str, Any]) -> Tuple[str, int]:
    if "Replicated" in mode:
        return "replicated", _count((mode["Replicated"] or {}).get("Replicas", 1))
    return ("global" if "Global" in mode else "job"), 0


def _needs(service: Mapping[str, Any]) -> Needs:
    template = service["Spec"]["TaskTemplate"]
    placement = template.get("Placement") or {}
    reserved = (template.get("Resources") or {}).get("Reservations") or {}
    ports = (service["Spec"].get("EndpointSpec") or {}).get("Ports") or []
    return Needs(
        constraints=tuple(map(str, placement.get("Constraints") or ())),
        most_per_node=_count(placement.get("MaxReplicas") or 0),
        memory=_count(reserved.get("MemoryBytes") or 0),
        cpus=_count(reserved.get("NanoCPUs") or 0),
        host_ports=tuple(
            _count(port["PublishedPort"])
            for port in ports
            if port.get("PublishMode") == "host" and port.get("PublishedPort")
        ),
        spread=tuple(
            str(preference["Spread"]["SpreadDescriptor"])
            for preference in placement.get("Preferences") or ()
            if preference.get("Spread")
        ),
    )
