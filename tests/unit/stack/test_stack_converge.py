"""Waiting until a stack is as it should be."""

from __future__ import annotations

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.stack.errors import StackError

from tests.unit.stack import world
from tests.unit.stack.world import MemoryEngine, bundle, deployed, deployment, state


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
        "digest": world.DIGEST,
        "why": "",
    }


def test_a_look_says_what_is_awaited_and_does_not_fail(engine: MemoryEngine) -> None:
    engine.task_state = {"State": "preparing"}
    deployment(engine, bundle()).run(check=False)
    found = state(engine, look_for=10)
    assert found.problem == ""
    assert found.awaited == ["shop_proxy (0 of 2 tasks run; 2 preparing)", "shop_web (0 of 2 tasks run; 2 preparing)"]


@pytest.mark.parametrize(
    ("ends_as", "said"),
    [
        ("paused", "paused (2 of 2 tasks run): the update was paused: update paused"),
        ("rollback_completed", "rolled back (2 of 2 tasks run): the update failed and was rolled back: update paused"),
        ("rollback_paused", "paused (2 of 2 tasks run): the update failed, and so did going back: update paused"),
    ],
)
def test_an_update_that_fails_fails_the_stack(engine: MemoryEngine, ends_as: str, said: str) -> None:
    deployed(engine, bundle())
    engine.update_ends_as = ends_as
    assert deployment(engine, bundle(TAG="2.0")).run(check=False).changed
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
    assert found.problem.startswith("The stack 'shop' did not converge: shop_proxy failed (0 of 2 tasks run): ")
    assert "not within 20 s: a task on ip-10-0-1-1 failed: task: non-zero exit (1)" in found.problem
    assert found.problem.endswith("its log ends: Traceback | KeyError: 'COLOUR'.")
    assert found.services["shop_web"]["log"] == ["Traceback", "KeyError: 'COLOUR'"]


def test_a_stack_that_is_not_there_is_an_error(engine: MemoryEngine) -> None:
    with pytest.raises(StackError, match="The swarm has no stack 'shop': deploy it, or check its name"):
        state(engine)
