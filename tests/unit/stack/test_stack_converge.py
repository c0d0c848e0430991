"""Waiting until a stack has converged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.stack.stack_error import StackError
from ansible_collections.swarm.aws.plugins.modules import stack_converged

from tests.unit.stack import memory_engine
from tests.unit.stack.memory_engine import FakeTime, MemoryEngine, bundle, deployed, deployment, state


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine()


def test_a_stack_that_runs_is_told_by_service(engine: MemoryEngine) -> None:
    deployed(engine, bundle())
    found = state(engine)
    assert (found.problem, found.awaited) == ("", [])
    assert found.services["shop_web"] == {
        "verdict": "converged",
        "wanted": 2,
        "running": 2,
        "image": "app:1.0",
        "digest": memory_engine.DIGEST,
        "ports": [],
        "why": "",
    }


def test_a_look_says_what_is_awaited_and_does_not_fail(engine: MemoryEngine) -> None:
    engine.task_state = {"State": "preparing"}
    deployment(engine, bundle()).run(check=False)
    found = state(engine, look_for=10)
    assert found.problem == ""
    assert found.awaited == [
        "shop_proxy (0 of 2 tasks running; 2 preparing)",
        "shop_web (0 of 2 tasks running; 2 preparing)",
    ]


@pytest.mark.parametrize(
    ("ends_as", "said"),
    [
        ("paused", "paused (2 of 2 tasks running): the update was paused: update paused"),
        (
            "rollback_completed",
            "rolled back (2 of 2 tasks running): the update failed and was rolled back: update paused",
        ),
        ("rollback_paused", "paused (2 of 2 tasks running): the update failed, and so did the rollback: update paused"),
    ],
)
def test_an_update_that_fails_fails_the_stack(engine: MemoryEngine, ends_as: str, said: str) -> None:
    deployed(engine, bundle())
    engine.update_ends_as = ends_as
    assert deployment(engine, bundle(tag="2.0")).run(check=False).changed
    if ends_as == "rollback_completed":
        engine.go_back("shop_web")
    found = state(engine)
    assert found.problem == f"The stack 'shop' did not converge: shop_web {said}."
    assert found.services["shop_web"]["verdict"] == said.partition(" (")[0]
    assert found.services["shop_proxy"]["verdict"] == "converged"


def test_the_reason_has_the_tasks_error_and_its_last_words(engine: MemoryEngine) -> None:
    engine.task_state = {"State": "failed", "Err": "task: non-zero exit (1)", "ContainerStatus": {"ExitCode": 1}}
    deployment(engine, bundle()).run(check=False)
    found = state(engine, timeout=20)
    assert found.problem.startswith("The stack 'shop' did not converge: shop_proxy failed (0 of 2 tasks running): ")
    assert "not within 20 s: a task on ip-10-0-1-1 failed: task: non-zero exit (1)" in found.problem
    assert found.problem.endswith("its log ends: Traceback | KeyError: 'COLOUR'.")
    assert found.services["shop_web"]["log"] == ["Traceback", "KeyError: 'COLOUR'"]


def test_a_stack_that_is_not_there_is_an_error(engine: MemoryEngine) -> None:
    with pytest.raises(StackError, match="The swarm has no stack 'shop': deploy it, or check its name"):
        state(engine)


# Tidying up, which needs a converged stack


def settle(engine: MemoryEngine, *, check: bool = False, **given: Any) -> dict[str, Any]:
    params = {"name": "shop", "timeout": 300, "since": None, "look_for": 0, "tidy": True, **given}
    return stack_converged.settle(engine, params, FakeTime().clock(), check=check)[1]  # type: ignore[no-any-return]


@pytest.mark.parametrize(("given", "check", "kept"), [({}, False, 1), ({}, True, 3), ({"tidy": False}, False, 3)])
def test_a_converged_stack_keeps_only_what_it_needs(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], check: bool, kept: int
) -> None:
    for content in ("1", "2", "3"):
        monkeypatch.setitem(memory_engine.FILES, "/shop/settings.ini", content)
        deployment(engine, bundle()).run(check=False)
    old = [f"shop_settings_{memory_engine.fingerprint_of(content)}" for content in (b"1", b"2")]
    engine.live["shop_web"].pop("PreviousSpec")
    found = settle(engine, check=check, **given)
    removed = sorted(old) if not given else []
    assert (found["changed"], found["removed"]) == (bool(removed), removed)
    assert found["diff"] == {"before": {"configs and secrets": removed} if removed else {}, "after": {}}
    assert sum(name.startswith("shop_settings") for name in engine.stored["configs"]) == kept
    assert engine.releases("shop")[-1].converged == (kept == 1)


def test_a_stack_that_is_awaited_or_failed_keeps_everything(engine: MemoryEngine) -> None:
    engine.task_state = {"State": "preparing"}
    deployment(engine, bundle()).run(check=False)
    assert (settle(engine)["changed"], settle(engine, timeout=0)["awaited"]) == (False, [])
    assert not engine.releases("shop")[-1].converged


# Tasks that Docker restarts again and again


class Restarted:
    """Docker's restarts of a service with a single task, five seconds after it ends. Four ended tasks are known.

    After so many ``failures`` it runs on.
    """

    def __init__(
        self,
        engine: MemoryEngine,
        time: FakeTime,
        *,
        ends_as: str,
        life: float,
        err: str = "",
        failures: float = float("inf"),
    ) -> None:
        self._engine, self._time, self._began = engine, time, time.seconds
        self._ends_as, self._life, self._err, self._failures = ends_as, life, err, failures
        time.events.append(self.look)
        self.look()

    def look(self) -> None:
        elapsed, cycle = self._time.seconds - self._began, self._life + 5
        number = int(min(elapsed // cycle, self._failures))
        tasks = [self._ended(each * cycle + self._life, each) for each in range(max(0, number - 4), number)]
        start = number * cycle
        if elapsed < start + self._life or number == self._failures:
            tasks.append(self._task("running", start, number))
        else:
            tasks += [self._ended(start + self._life, number), self._task("ready", start + self._life, number + 1)]
        self._engine.made["shop_web"] = tasks

    def _ended(self, at: float, number: int) -> dict[str, Any]:
        return self._task(self._ends_as, at, number) | {"DesiredState": "shutdown"}

    def _task(self, state: str, at: float, number: int) -> dict[str, Any]:
        when = datetime.fromtimestamp(self._began + at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "ID": f"task-{number}",
            "ServiceID": "id-shop_web",
            "NodeID": "n1",
            "CreatedAt": f"{number:03}",
            "DesiredState": "running",
            "Slot": 1,
            "Status": {"State": state, "Timestamp": when, "Err": self._err if state == self._ends_as else ""},
            "Spec": self._engine.live["shop_web"]["Spec"]["TaskTemplate"],
        }


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def single(engine: MemoryEngine) -> MemoryEngine:
    """A deployed stack with a single service and a single task."""
    document = {"services": {"web": {"image": "app:1.0", "deploy": {"replicas": 1}}}}
    deployment(engine, bundle(document)).run(check=False)
    return engine


@pytest.mark.parametrize(("check", "life"), [({"Test": ["NONE"]}, 4), (None, 4.6)])
def test_a_service_that_ends_after_seconds_again_and_again_has_failed(
    single: MemoryEngine, time: FakeTime, check: dict[str, Any] | None, life: float
) -> None:
    time.seconds += 0.9
    single.live["shop_web"]["Spec"]["TaskTemplate"]["ContainerSpec"]["Healthcheck"] = check
    Restarted(single, time, ends_as="complete", life=life)
    found = state(single, timeout=60, time=time)
    assert found.services["shop_web"]["verdict"] == "failed"
    assert "not within 60 s: a task on ip-10-0-0-1 exited (exit code 0)" in found.problem


def test_a_service_that_fails_a_few_times_and_then_runs_converges(single: MemoryEngine, time: FakeTime) -> None:
    began = time.seconds
    Restarted(single, time, ends_as="failed", life=1, err="no database", failures=2)
    found = state(single, timeout=60, time=time)
    assert (found.problem, found.services["shop_web"]["verdict"]) == ("", "converged")
    assert time.seconds - began < 30


def test_tasks_that_are_rejected_while_old_networks_go_are_waited_for(single: MemoryEngine, time: FakeTime) -> None:
    why = "invalid pool request: Pool overlaps with other one on this address space"
    Restarted(single, time, ends_as="rejected", life=0, err=why, failures=6)
    found = state(single, timeout=120, time=time)
    assert (found.problem, found.services["shop_web"]["verdict"]) == ("", "converged")


def test_tasks_whose_image_is_nowhere_are_not_waited_for_to_the_end(single: MemoryEngine, time: FakeTime) -> None:
    began = time.seconds
    Restarted(single, time, ends_as="rejected", life=0, err="No such image: app:1.0")
    found = state(single, timeout=120, time=time)
    assert "shop_web failed (0 of 1 task running): a task on ip-10-0-0-1 rejected: No such image" in found.problem
    assert time.seconds - began < 20


def test_a_stack_that_has_run_for_long_is_told_at_once(engine: MemoryEngine, time: FakeTime) -> None:
    deployed(engine, bundle())
    began = time.seconds
    assert state(engine, time=time).problem == ""
    assert time.seconds == began
