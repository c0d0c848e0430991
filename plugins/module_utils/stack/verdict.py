"""Whether a service is as its specification says, judged from what the engine reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CONVERGED, PROGRESSING, FAILED = "converged", "progressing", "failed"
_ENDED_BADLY = ("failed", "rejected")
# Rejected means that the node could not even prepare the task (no such image, bad mount): trying again rarely helps.
_ENOUGH_REJECTIONS = 3
# Long enough for the scheduler to have made a global service's tasks.
_SCHEDULING_SECONDS = 10.0


@dataclass(frozen=True)
class Verdict:
    """How one service is doing, and why."""

    state: str
    desired: int
    running: int
    reason: str = ""
    task: str | None = None
    """The task whose log says more, if there is one."""


def judge(
    service: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]], nodes: Mapping[str, str], waited: float
) -> Verdict:
    """Judge a service by its tasks.

    ``nodes`` maps the IDs of nodes that are up to their names. ``waited`` is how many seconds ago it was deployed.
    """
    mode = service["Spec"]["Mode"]
    wanted = [task for task in tasks if task["DesiredState"] in ("running", "ready", "complete")]
    current = [task for task in wanted if _is_current(task, service)]
    done = "complete" if "ReplicatedJob" in mode or "GlobalJob" in mode else "running"
    running = sum(1 for task in current if task["Status"]["State"] == done and task.get("NodeID") in nodes)
    desired = _desired(mode, wanted)
    update = (service.get("UpdateStatus") or {}).get("State", "")
    trouble = _trouble(tasks, nodes)
    task = _failing(tasks)
    task_id = task["ID"] if task else None

    if update in ("paused", "rollback_paused", "rollback_completed"):
        return Verdict(FAILED, desired, running, f"{_UPDATES[update]}: {trouble or _message(service)}", task_id)
    if update in ("updating", "rollback_started"):
        return Verdict(PROGRESSING, desired, running, trouble or _UPDATES[update], task_id)
    if not desired and "Global" in mode and not tasks:
        reason = "no node " + (
            f"meets its constraints ({_constraints(service)})" if _constraints(service) else "takes it"
        )
        return Verdict(PROGRESSING if waited < _SCHEDULING_SECONDS else FAILED, 0, 0, reason)
    if running >= desired and len(wanted) - len(current) <= 0:
        return Verdict(CONVERGED, desired, running)
    if _rejections(tasks, service) >= _ENOUGH_REJECTIONS and not running:
        return Verdict(FAILED, desired, running, trouble, task_id)
    return Verdict(PROGRESSING, desired, running, trouble or f"{running} of {desired} tasks run", task_id)


_UPDATES = {
    "paused": "the update was paused",
    "rollback_paused": "the update failed, and so did going back",
    "rollback_completed": "the update failed and was rolled back",
    "rollback_started": "the update failed and is being rolled back",
    "updating": "the update is under way",
}


def _desired(mode: Mapping[str, Any], wanted: Sequence[Mapping[str, Any]]) -> int:
    if "Replicated" in mode:
        return int(mode["Replicated"].get("Replicas", 1))
    if "ReplicatedJob" in mode:
        return int((mode["ReplicatedJob"] or {}).get("TotalCompletions", 1))
    return len({task.get("NodeID") for task in wanted})


def _is_current(task: Mapping[str, Any], service: Mapping[str, Any]) -> bool:
    """Whether a task is of the service's present specification; where it may run is not asked of tasks that run."""
    return bool(_substance(task["Spec"]) == _substance(service["Spec"]["TaskTemplate"]))


def _substance(spec: Any) -> Any:
    """A task's specification without what the engine fills in for services only, or writes in two ways."""
    if isinstance(spec, dict):
        kept = {key: _substance(value) for key, value in spec.items() if key not in ("Placement", "Runtime")}
        return {key: value for key, value in kept.items() if value}
    return [_substance(item) for item in spec] if isinstance(spec, list) else spec


def _failing(tasks: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The latest task that ended badly."""
    failed = [task for task in tasks if task["Status"]["State"] in _ENDED_BADLY]
    return max(failed, key=lambda task: str(task["CreatedAt"]), default=None)


def _trouble(tasks: Sequence[Mapping[str, Any]], nodes: Mapping[str, str]) -> str:
    """The latest task error, or what keeps tasks from being placed; empty when nothing is known to be wrong."""
    failed = _failing(tasks)
    if failed:
        status = failed["Status"]
        code = (status.get("ContainerStatus") or {}).get("ExitCode")
        where = nodes.get(failed.get("NodeID", ""), "a node that is gone")
        text = status.get("Err") or status.get("Message") or "no reason given"
        return f"a task on {where} {status['State']}: {text}" + (
            f" (exit code {code})" if code and "exit" not in text else ""
        )
    waiting = [task for task in tasks if task["Status"]["State"] == "pending" and task["Status"].get("Err")]
    if waiting:
        return f"{len(waiting)} tasks find no node: {waiting[-1]['Status']['Err']}"
    return ""


def _rejections(tasks: Sequence[Mapping[str, Any]], service: Mapping[str, Any]) -> int:
    return sum(1 for task in tasks if task["Status"]["State"] == "rejected" and _is_current(task, service))


def _message(service: Mapping[str, Any]) -> str:
    return str((service.get("UpdateStatus") or {}).get("Message") or "no reason given")


def _constraints(service: Mapping[str, Any]) -> str:
    placement = service["Spec"]["TaskTemplate"].get("Placement") or {}
    return ", ".join(placement.get("Constraints") or [])
