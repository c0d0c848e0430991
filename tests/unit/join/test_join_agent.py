"""The agent around the joining: what it tells systemd and the journal, and when it ends."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.join.join_decision import Me
from ansible_collections.swarm.aws.plugins.module_utils._core.join.joiner import CannotJoin, Joined
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_config import Config
from ansible_collections.swarm.aws.runtime.swarm_agent import cli, join, warm
from ansible_collections.swarm.aws.runtime.swarm_agent.log import Log
from ansible_collections.swarm.aws.runtime.swarm_agent.notify import Notifier

WORKER = Config("demo", "eu-west-1", "123456789012", "demo-swarm", "worker", "worker")
JOINED = Joined("swarm", "node")


class Work:
    """A joiner that has these outcomes."""

    def __init__(self, outcomes: list[Any]) -> None:
        self.outcomes, self.changes = outcomes, []
        self.me = Me("demo", "i-001", "worker")

    def run(self) -> Joined:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_systemd_gets_the_agents_state(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        notify = Notifier({"NOTIFY_SOCKET": path})
        notify.ready()
        notify.status("two\nlines")
        assert [listener.recv(100) for _ in range(2)] == [b"READY=1", b"STATUS=two lines\nWATCHDOG=1"]


def test_without_systemd_no_state_is_sent() -> None:
    Notifier({}).ready()


class Killed(BaseException):
    """What ends an agent."""


class FakeWatch:
    """A watch by which the node is left behind that many times, before the agent is killed."""

    times = 0
    deleted = "node"

    def __init__(self, *arguments: Any) -> None:
        pass

    def wait(self) -> None:
        if not FakeWatch.times:
            raise Killed
        FakeWatch.times -= 1


@pytest.fixture
def must_rejoin(monkeypatch: pytest.MonkeyPatch) -> type[FakeWatch]:
    monkeypatch.setattr(FakeWatch, "times", 0)
    monkeypatch.setattr(cli, "MembershipWatch", FakeWatch)
    return FakeWatch


def test_a_workers_agent_joins_again_after_a_restore_without_it(
    monkeypatch: pytest.MonkeyPatch, must_rejoin: type[FakeWatch]
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(cli, "join", lambda *arguments: told.append(arguments[-1]) or JOINED)
    must_rejoin.times = 1
    stream = io.StringIO()
    with pytest.raises(Killed):
        cli.run(WORKER, Notifier({}), Log(stream, cluster="demo"))
    joined, restored, again = lines(stream)
    assert (joined["level"], joined["node_id"], joined["cluster"]) == ("info", "node", "demo")
    assert joined["seconds"] >= 0
    assert (restored["level"], again["message"]) == ("warning", joined["message"])
    assert told == [None, "node"], "the engine of a node that was deleted is not told"


@pytest.mark.usefixtures("must_rejoin")
def test_an_unexpected_error_is_logged_and_the_work_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: list[Any] = [KeyError("x"), ZeroDivisionError("y"), JOINED]
    slept: list[float] = []
    monkeypatch.setattr(cli, "join", lambda *arguments: Work(outcomes).run())
    stream = io.StringIO()
    with pytest.raises(Killed):
        cli.run(WORKER, Notifier({}), Log(stream), slept.append)
    assert slept == [1.0, 2.0]
    assert [line["level"] for line in lines(stream)] == ["error", "error", "info"]


@pytest.mark.fault(7)
def test_fault_07_a_refusal_that_needs_the_operator_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = CannotJoin("This node is a member of another swarm.")
    outcomes: list[Any] = [Unavailable("no metadata"), refusal, refusal, JOINED]
    monkeypatch.setattr(join, "joiner", lambda *arguments: Work(outcomes))
    monkeypatch.setattr(join, "stay_out", lambda *arguments: None)
    monkeypatch.setattr(join, "RETRY_SECONDS", 0.0)
    stream = io.StringIO()
    assert join.join(WORKER, Notifier({}), Log(stream)) == JOINED
    assert [(line["level"], line["message"]) for line in lines(stream)] == [
        ("warning", "no metadata"),
        ("error", "This node is a member of another swarm."),
    ]


class Pool:
    """An instance that is to be warm for that many looks, whose hook waits."""

    def __init__(self, folder: Path, looks: int) -> None:
        self.looks, self.entered, self.answers, self.slept = looks, 0, [True], 0
        self.booted, self.mark, self.stream = folder / "boot-finished", folder / "warmed", io.StringIO()
        self.pool = warm.Pool(self.read, self.enter, booted=self.booted, mark=self.mark, sleep=self.sleep)

    def read(self, path: str) -> str | None:
        assert path == "autoscaling/target-lifecycle-state"
        self.looks -= 1
        return "Warmed:Stopped" if self.looks >= 0 else "InService"

    def enter(self) -> bool:
        self.entered += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def sleep(self, seconds: float) -> None:
        self.slept += 1

    def stay(self) -> None:
        self.pool.stay(Notifier({}), Log(self.stream))


def test_an_instance_outside_of_a_warm_pool_joins_at_once(tmp_path: Path) -> None:
    pool = Pool(tmp_path, 0)
    pool.stay()
    warm.Pool(lambda path: None, pool.enter, mark=pool.mark).stay(Notifier({}), Log(pool.stream))
    assert (pool.entered, pool.slept, pool.stream.getvalue()) == (0, 0, "")


def test_an_instance_enters_the_warm_pool_after_its_setup_and_waits(tmp_path: Path) -> None:
    pool = Pool(tmp_path, 3)
    pool.stay()
    assert (pool.entered, pool.slept) == (0, 3), "cloud-init is still at it"
    pool.booted.touch()
    pool.looks = 3
    pool.stay()
    assert (pool.entered, [line["message"] for line in lines(pool.stream)]) == (
        1,
        ["This instance is warm, and waits in the warm pool."],
    )
    # On its way out the metadata may say for a moment what was true before; the hook is then the leader's.
    pool.looks = 2
    pool.stay()
    assert pool.entered == 1


def test_a_late_hook_is_answered(tmp_path: Path) -> None:
    pool = Pool(tmp_path, 4)
    pool.booted.touch()
    pool.answers = [False, False, True]
    pool.stay()
    assert (pool.entered, pool.mark.exists()) == (3, True)
