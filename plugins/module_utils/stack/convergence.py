"""Wait until a stack has converged, and report the state of each service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from .._core.counting import counted
from . import images, published_ports
from .service_spec import whole
from .stack_engine import StackEngine
from .stack_error import StackError
from .verdict import FAILED, GOOD, PROGRESSING, Case, Verdict

_LOG_LINES = 5
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class StackClock:
    """The time in epoch seconds, and sleep."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


@dataclass
class State:
    """The state of a stack."""

    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    awaited: list[str] = field(default_factory=list)
    """Phrases about the services that are still progressing."""
    problem: str = ""
    """The failure, as a sentence; empty if there is none."""


def wait(engine: StackEngine, stack: str, clock: StackClock, *, since: float, timeout: float, look_for: float) -> State:
    """Wait until every service has converged or any has failed.

    ``timeout`` counts in seconds from ``since``, in epoch seconds; a service that is still progressing then has failed.
    Returns after ``look_for`` seconds at most. Raises StackError if there is no such stack.
    """
    began = clock.now()
    while True:
        now = clock.now()
        verdicts = _verdicts(engine, stack, now, since)
        late = now - since >= timeout
        states = {verdict.state for verdict in verdicts.values()}
        if states <= {*GOOD} or states - {*GOOD, PROGRESSING} or late or now - began >= look_for:
            break
        clock.sleep(_POLL_SECONDS)
    if late:
        verdicts = {name: _overdue(verdict, timeout) for name, verdict in verdicts.items()}
    return _state(engine, stack, verdicts)


def _overdue(verdict: Verdict, timeout: float) -> Verdict:
    if verdict.state != PROGRESSING:
        return verdict
    return replace(verdict, state=FAILED, why=f"not within {timeout:.0f} s: {verdict.why}")


def _verdicts(engine: StackEngine, stack: str, now: float, since: float) -> dict[str, Verdict]:
    services = engine.services(stack)
    if not services:
        raise StackError(f"The swarm has no stack '{stack}': deploy it, or check its name.")
    tasks: dict[str, list[dict[str, Any]]] = {}
    for task in engine.tasks(stack):
        tasks.setdefault(task["ServiceID"], []).append(task)
    up = {node["ID"]: node["Description"]["Hostname"] for node in engine.nodes() if node["Status"]["State"] == "ready"}
    releases = engine.releases(stack)
    deployed = releases[-1].services if releases else {}
    found = {}
    for name, service in services.items():
        before, after = deployed.get(name, ("", {}))
        found[name] = Case(service, tasks.get(service["ID"], []), up, now, since).verdict(before, whole(after))
    return found


def _state(engine: StackEngine, stack: str, verdicts: dict[str, Verdict]) -> State:
    state = State()
    services = engine.services(stack)
    for name, verdict in sorted(verdicts.items()):
        spec = services[name]["Spec"] if name in services else {}
        image = (spec.get("TaskTemplate") or {}).get("ContainerSpec", {}).get("Image", "")
        state.services[name] = {
            "verdict": verdict.state,
            "wanted": verdict.wanted,
            "running": verdict.running,
            "image": image.partition("@")[0],
            "digest": images.digest_of(image),
            "ports": published_ports.of_service(services[name]) if spec else [],
            "why": verdict.why,
        }
    bad = {name: found for name, found in sorted(verdicts.items()) if found.state not in (*GOOD, PROGRESSING)}
    if not bad:
        late = {name: found for name, found in sorted(verdicts.items()) if found.state == PROGRESSING}
        state.awaited = [f"{name} ({found.why})" for name, found in late.items()]
        return state
    reasons = []
    for name, verdict in bad.items():
        lines = engine.log(verdict.task, _LOG_LINES) if verdict.task else []
        state.services[name]["log"] = lines
        text = f"{name} {verdict.state} ({verdict.running} of {counted(verdict.wanted, 'task')} running): {verdict.why}"
        reasons.append(text + (f"; its log ends: {' | '.join(lines)}" if lines else ""))
    state.problem = f"The stack '{stack}' did not converge: {'; '.join(reasons)}."
    return state
