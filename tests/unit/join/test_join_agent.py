"""The agent around the joining: what it tells systemd and the journal, and when it ends."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.join.joiner import CannotJoin, Joined
from ansible_collections.swarm.aws.runtime.swarm_agent import cli, join
from ansible_collections.swarm.aws.runtime.swarm_agent.config import Config
from ansible_collections.swarm.aws.runtime.swarm_agent.log import Log
from ansible_collections.swarm.aws.runtime.swarm_agent.notify import Notifier

WORKER = Config("demo", "eu-west-1", "123456789012", "demo-swarm", "worker", "worker")
JOINED = Joined("swarm", "node")


class Work:
    """A joiner that has these outcomes."""

    def __init__(self, outcomes: list[Any]) -> None:
        self.outcomes, self.changes = outcomes, []

    def run(self) -> Joined:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_systemd_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        notify = Notifier({"NOTIFY_SOCKET": path})
        notify.ready()
        notify.status("two\nlines")
        assert [listener.recv(100) for _ in range(2)] == [b"READY=1", b"STATUS=two lines\nWATCHDOG=1"]


def test_without_systemd_nobody_is_told() -> None:
    Notifier({}).ready()


def test_a_workers_agent_ends_when_it_has_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "join", lambda *arguments: JOINED)
    stream = io.StringIO()
    cli.run(WORKER, Notifier({}), Log(stream, cluster="demo"))
    (line,) = lines(stream)
    assert (line["level"], line["node_id"], line["cluster"]) == ("info", "node", "demo")


def test_an_error_that_nobody_foresaw_is_logged_and_the_work_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: list[Any] = [KeyError("x"), ZeroDivisionError("y"), JOINED]
    slept: list[float] = []
    monkeypatch.setattr(cli, "join", lambda *arguments: Work(outcomes).run())
    stream = io.StringIO()
    cli.run(WORKER, Notifier({}), Log(stream), slept.append)
    assert slept == [1.0, 2.0]
    assert [line["level"] for line in lines(stream)] == ["error", "error", "info"]


@pytest.mark.fault(7)
def test_fault_07_what_only_a_person_can_resolve_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = CannotJoin("This node is a member of another swarm.")
    outcomes: list[Any] = [Unavailable("no metadata"), refusal, refusal, JOINED]
    monkeypatch.setattr(join, "joiner", lambda *arguments: Work(outcomes))
    monkeypatch.setattr(join, "RETRY_SECONDS", 0.0)
    stream = io.StringIO()
    assert join.join(WORKER, Notifier({}), Log(stream)) == JOINED
    assert [(line["level"], line["message"]) for line in lines(stream)] == [
        ("warning", "no metadata"),
        ("error", "This node is a member of another swarm."),
    ]
