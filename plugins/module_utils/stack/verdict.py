"""Judge from the engine's reports whether a service has converged."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._core.counting import counted
from ..adapters.docker_time import moment
from ..adapters.services import health_checked
from .service_spec import digests, whole

CONVERGED, COMPLETE, PROGRESSING = "converged", "complete", "progressing"
ROLLED_BACK, PAUSED, FAILED = "rolled back", "paused", "failed"
GOOD = (CONVERGED, COMPLETE)
_ENDED_BADLY = ("failed", "rejected")
_ENDED = ("complete", "shutdown", *_ENDED_BADLY, "remove", "orphaned")
_JOBS = ("ReplicatedJob", "GlobalJob")
# Rejected: the node could not prepare the task (missing image, bad mount). A retry rarely helps, except while the node
# still has the networks of a stack that was just removed.
_ENOUGH_REJECTIONS = 3
_PASSING = re.compile(r"network|subnet|overlap", re.IGNORECASE)
# Long enough for the scheduler to create a service's tasks or to replace an ended task.
_SCHEDULING_SECONDS = 10.0
# Seconds that a task must run to count: Docker's default, and 5 more for each failed task before it, up to a limit.
_MONITOR_SECONDS = 5.0
_MONITORED_FAILURES = 5
_NANOSECONDS = 1e9


@dataclass(frozen=True)
class Verdict:
    """The state of a service, and the reason."""

    state: str
    wanted: int
    """The number of tasks that should run, or complete in a job."""
    running: int
    """The number of them that run, or have completed."""
    why: str = ""
    task: str | None = None
    """The task whose log has the details; None if there is none."""


class Case:
    """A service and its tasks."""

    def __init__(
        self,
        service: Mapping[str, Any],
        tasks: Sequence[Mapping[str, Any]],
        nodes: Mapping[str, str],
        now: float,
        since: float,
    ) -> None:
        """``nodes`` maps the IDs of nodes that are up to their names.

        ``now`` and ``since``, when the wait for the service began, are in epoch seconds.
        """
        self._service, self._nodes, self._now, self._waited = service, nodes, now, now - since
        self._template = service["Spec"]["TaskTemplate"]
        self._mode = service["Spec"]["Mode"]
        self._job = any(kind in self._mode for kind in _JOBS)
        self._tasks = [task for task in tasks if not self._job or _iteration(task) == self._iteration()]
        self._live = [task for task in self._tasks if _wanted(task) and task["Status"]["State"] not in _ENDED]
        self._current = [task for task in self._tasks if _is_current(task, service)]
        self._of_place: dict[str, list[Mapping[str, Any]]] = {}
        for task in sorted(self._current, key=lambda task: str(task["CreatedAt"])):
            self._of_place.setdefault(self._place(task), []).append(task)
        # A task that is not restarted is done when it has completed, also outside of jobs.
        self._once = self._job or self._restarts in ("none", "on-failure")
        done = (task for task in self._current if self._once and task["Status"]["State"] == "complete")
        completed = self._places(done)
        # Completed tasks count for a job, even while Docker runs it again (https://github.com/moby/moby/issues/53632).
        self._completed = completed if self._job else completed - self._places(self._live)
        self._failing: Mapping[str, Any] | None = None

    @property
    def _restarts(self) -> str:
        default = "on-failure" if self._job else "any"
        return str((self._template.get("RestartPolicy") or {}).get("Condition") or default)

    def verdict(self, before: str, after: str) -> Verdict:
        """Judge it. The digests are those of its specification before and after its last deployment, if known."""
        update = (self._service.get("UpdateStatus") or {}).get("State", "")
        runs = whole(digests(self._service))
        replaced = runs == before != after
        if update == "rollback_completed" and runs == after:
            # The deployed specification runs: Docker keeps the state of the last update until the next update.
            update = ""
        # After a rollback, tasks of an earlier specification have failed; otherwise only current tasks count.
        self._failing = self._last_bad(self._tasks if replaced or update.startswith("rollback") else self._current)
        trouble = self._trouble()
        if update == "rollback_completed":
            return self._say(ROLLED_BACK, f"{_UPDATES[update]}: {trouble or self._message()}")
        if update in ("paused", "rollback_paused") and not self._done:
            return self._say(PAUSED, f"{_UPDATES[update]}: {trouble or self._message()}")
        if update in ("updating", "rollback_started"):
            return self._say(PROGRESSING, trouble or _UPDATES[update])
        if replaced:
            return self._say(ROLLED_BACK, f"it runs its previous specification: {trouble or 'the reason is unknown'}")
        if not self._wanted and any(kind in self._mode for kind in ("Global", "GlobalJob")):
            constraints = ", ".join((self._template.get("Placement") or {}).get("Constraints") or [])
            reason = f"no node meets its constraints ({constraints})" if constraints else "no node accepts it"
            return self._say(PROGRESSING if self._waited < _SCHEDULING_SECONDS else FAILED, reason)
        if self._reached >= self._wanted and not self._outdated():
            return self._settled(trouble)
        if self._gives_up():
            return self._say(FAILED, trouble or "its tasks have ended")
        return self._say(PROGRESSING, trouble or self._so_far())

    def _settled(self, trouble: str) -> Verdict:
        young = [task for task in self._running() if self._is_young(task)]
        if young:
            return self._say(PROGRESSING, trouble or f"{counted(len(young), 'task')} started just now")
        return Verdict(COMPLETE if self._done else CONVERGED, self._wanted, self._reached)

    def _say(self, state: str, why: str) -> Verdict:
        return Verdict(state, self._wanted, self._reached, why, self._failing["ID"] if self._failing else None)

    # Numbers

    def _place(self, task: Mapping[str, Any]) -> str:
        """The place of a task: a slot, or a node."""
        by_slot = "Replicated" in self._mode or "ReplicatedJob" in self._mode
        return str(task.get("Slot") or 0) if by_slot else str(task.get("NodeID") or "")

    def _places(self, tasks: Iterable[Mapping[str, Any]]) -> set[str]:
        return {self._place(task) for task in tasks}

    @property
    def _wanted(self) -> int:
        if "Replicated" in self._mode:
            return int((self._mode["Replicated"] or {}).get("Replicas", 1))
        if "ReplicatedJob" in self._mode:
            return int((self._mode["ReplicatedJob"] or {}).get("TotalCompletions") or 1)
        return len(self._places(self._live) | self._completed | set(self._lost()))

    @property
    def _reached(self) -> int:
        return len(self._completed) + (0 if self._job else len(self._running()))

    @property
    def _done(self) -> bool:
        """Whether it should run once and has run. Docker pauses the update of such a service when its task ends."""
        return self._once and 0 < self._wanted <= len(self._completed)

    @property
    def _verb(self) -> str:
        return "complete" if self._job else "running"

    def _running(self) -> list[Mapping[str, Any]]:
        return [
            task
            for task in self._current
            if _wanted(task) and task["Status"]["State"] == "running" and task.get("NodeID") in self._nodes
        ]

    def _outdated(self) -> bool:
        """Whether tasks of an earlier specification still run."""
        return any(not _is_current(task, self._service) for task in self._live)

    def _is_young(self, task: Mapping[str, Any]) -> bool:
        """Whether it may still fail early. A task with a health check only runs once it is healthy."""
        if self._job or health_checked((self._template.get("ContainerSpec") or {}).get("Healthcheck") or {}):
            return False
        monitor = (self._service["Spec"].get("UpdateConfig") or {}).get("Monitor") or 0
        failures = sum(self._ended_badly(other) for other in self._of_place[self._place(task)])
        patience = _MONITOR_SECONDS * (1 + min(failures, _MONITORED_FAILURES))
        return self._now - _since(task) < max(monitor / _NANOSECONDS, patience)

    # Failures

    def _last_bad(self, tasks: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
        bad = (task for task in tasks if self._ended_badly(task))
        return max(bad, key=lambda task: str(task["CreatedAt"]), default=None)

    def _ended_badly(self, task: Mapping[str, Any]) -> bool:
        """A task that should keep running has failed if it ends, whatever its exit code."""
        return task["Status"]["State"] in (_ENDED_BADLY if self._once else (*_ENDED_BADLY, "complete"))

    def _gives_up(self) -> bool:
        """Whether waiting is pointless."""
        if not self._reached and any(self._is_refused(tasks) for tasks in self._of_place.values()):
            return True
        bounded = self._once or (self._template.get("RestartPolicy") or {}).get("MaxAttempts")
        if not bounded:
            return False
        # Docker does not replace these tasks.
        patience = 0.0 if self._restarts == "none" else _SCHEDULING_SECONDS
        return any(self._now - ended >= patience for ended in self._lost().values())

    def _is_refused(self, tasks: Sequence[Mapping[str, Any]]) -> bool:
        """Whether a place's last tasks were all rejected, over some time and for a permanent reason."""
        if tasks[-1]["Status"]["State"] == "preparing":
            # It may be pulling an image that was not available before.
            return False
        ended = [task["Status"] for task in tasks if task["Status"]["State"] in _ENDED]
        last = ended[-_ENOUGH_REJECTIONS:]
        if len(last) < _ENOUGH_REJECTIONS or any(
            status["State"] != "rejected" or _PASSING.search(status.get("Err") or "") for status in last
        ):
            return False
        return max(self._waited, self._now - moment(last[0].get("Timestamp"))) >= _SCHEDULING_SECONDS

    def _lost(self) -> dict[str, float]:
        """Places whose last task failed without a successor, with the time of its end."""
        live = self._places(self._live)
        return {
            place: _since(tasks[-1])
            for place, tasks in self._of_place.items()
            if self._ended_badly(tasks[-1]) and place not in live and tasks[-1].get("NodeID") in self._nodes
        }

    def _trouble(self) -> str:
        """The latest task error, or why tasks are not placed; empty if nothing is known to be wrong."""
        if self._failing:
            status = self._failing["Status"]
            code = (status.get("ContainerStatus") or {}).get("ExitCode")
            where = self._nodes.get(self._failing.get("NodeID", ""), "a deleted node")
            text = status.get("Err") or status.get("Message") or "no reason given"
            times = sum(1 for task in self._current if self._ended_badly(task))
            if status["State"] == "complete":
                return f"a task on {where} exited (exit code 0)"
            return (
                f"a task on {where} {status['State']}: {text}"
                + (f" (exit code {code})" if code and "exit" not in text else "")
                + (f", {times} of them so far" if times > 1 else "")
            )
        waiting = [task for task in self._live if task["Status"]["State"] == "pending" and task["Status"].get("Err")]
        if waiting:
            return f"no node for {counted(len(waiting), 'task')}: {' '.join(waiting[-1]['Status']['Err'].split())}"
        return ""

    def _so_far(self) -> str:
        """The number of done tasks and the states of the others; if none is in progress, how they ended."""
        others = [task for task in self._live if task["Status"]["State"] != "running" or self._job]
        others = others or ([] if self._live else self._tasks)
        states = Counter(str(task["Status"]["State"]) for task in others)
        rest = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        return f"{self._reached} of {counted(self._wanted, 'task')} {self._verb}" + (f"; {rest}" if rest else "")

    def _message(self) -> str:
        return str((self._service.get("UpdateStatus") or {}).get("Message") or "no reason given")

    def _iteration(self) -> int:
        return int(((self._service.get("JobStatus") or {}).get("JobIteration") or {}).get("Index") or 0)


_UPDATES = {
    "paused": "the update was paused",
    "rollback_paused": "the update failed, and so did the rollback",
    "rollback_completed": "the update failed and was rolled back",
    "rollback_started": "the update failed and is being rolled back",
    "updating": "the update is under way",
}


def _iteration(task: Mapping[str, Any]) -> int:
    return int((task.get("JobIteration") or {}).get("Index") or 0)


def _wanted(task: Mapping[str, Any]) -> bool:
    return task["DesiredState"] in ("running", "ready", "complete")


def _since(task: Mapping[str, Any]) -> float:
    """When it entered its state, in epoch seconds by its node's clock."""
    return moment(task["Status"].get("Timestamp"))


def _is_current(task: Mapping[str, Any], service: Mapping[str, Any]) -> bool:
    """Whether a task has the service's present specification, except for its placement."""
    return bool(_substance(task["Spec"]) == _substance(service["Spec"]["TaskTemplate"]))


def _substance(spec: Any) -> Any:
    """A task's specification without fields that the engine sets only for services, or writes in different forms."""
    if isinstance(spec, dict):
        kept = {key: _substance(value) for key, value in spec.items() if key not in ("Placement", "Runtime")}
        return {key: value for key, value in kept.items() if value}
    return [_substance(item) for item in spec] if isinstance(spec, list) else spec
