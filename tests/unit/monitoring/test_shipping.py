"""The journal is sent whole and in parts that CloudWatch takes, and goes on where it stopped."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import journal
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError, Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.journal import Entry
from ansible_collections.swarm.aws.runtime.swarm_agent import shipping
from ansible_collections.swarm.aws.runtime.swarm_agent.log import Log
from ansible_collections.swarm.aws.runtime.swarm_agent.shipping import DAY, Shipper
from hypothesis import given
from hypothesis import strategies as st

HOUR = 3600 * 1000


def line(number: int, message: Any = None, unit: str = "docker.service", **fields: Any) -> str:
    at = {"__CURSOR": f"c{number}", "__REALTIME_TIMESTAMP": str(number * 1_000_000)}
    return json.dumps(
        {**at, "MESSAGE": f"line {number}" if message is None else message, "_SYSTEMD_UNIT": unit, **fields}
    )


class Node:
    """A journal, and what CloudWatch was sent of it."""

    def __init__(self, folder: Path, lines: list[str], bytes_per_day: int = 2**20) -> None:
        self.lines, self.cursor, self.cap = lines, folder / "cursor", bytes_per_day
        self.sent: list[tuple[str, str]] = []
        self.failing = ""
        self.log = io.StringIO()
        self.now = 0.0
        self.begin()

    def begin(self) -> None:
        """The agent is started."""
        self.shipper = Shipper(self.read, self.put, Log(self.log), self.cap, self.cursor, lambda: self.now)

    def read(self, cursor: str | None, most: int) -> list[str]:
        cursors = [json.loads(line)["__CURSOR"] for line in self.lines]
        first = cursors.index(cursor) + 1 if cursor else 0
        return self.lines[first : first + most]

    def put(self, source: str, batch: list[Entry]) -> None:
        if source == self.failing:
            raise Unavailable("CloudWatch does not answer.")
        self.sent += [(source, entry.text) for entry in batch]


def test_each_source_has_a_stream_and_named_entries() -> None:
    found = [
        journal.read(line(1)),
        journal.read(line(2, unit="containerd.service")),
        journal.read(line(3, '{"level": "info"}', "swarm-agent.service")),
        journal.read(line(4, "started", "init.scope", UNIT="swarm-backup.service")),
        journal.read(line(5, "session opened", "ssh.service", SYSLOG_IDENTIFIER="sshd")),
        journal.read(line(6, [104, 105, 255], "", SYSLOG_IDENTIFIER="kernel")),
    ]
    assert [(entry.source, entry.text) for entry in found if entry] == [
        ("engine", "line 1"),
        ("engine", "line 2"),
        ("agent", '{"level": "info"}'),
        ("system", "init.scope: started"),
        ("system", "sshd: session opened"),
        ("system", "kernel: hi\ufffd"),
    ]
    assert journal.read(line(7, "")) is None
    assert journal.read(line(8, None).replace('"line 8"', "null")) is None


def test_a_join_token_is_not_sent() -> None:
    said = f"root : COMMAND=/usr/bin/docker swarm join --token SWMTKN-1-{'a1' * 25}-{'b2' * 12}c 10.0.0.1:2377"
    entry = journal.read(line(1, said, "", SYSLOG_IDENTIFIER="sudo"))
    assert entry is not None
    assert entry.text == ("sudo: root : COMMAND=/usr/bin/docker swarm join --token SWMTKN-[removed] 10.0.0.1:2377")


def test_a_long_entry_is_cut() -> None:
    entry = journal.read(line(1, "ä" * 200_000))
    assert entry is not None
    assert entry.size <= 256 * 1024
    assert entry.text.endswith("ä …")


@given(
    st.lists(
        st.builds(
            Entry,
            time=st.integers(0, 72 * HOUR),
            source=st.just("engine"),
            text=st.sampled_from(["x", "x" * 1000, "x" * 200_000]),
        ),
        max_size=40,
    )
)
def test_batches_are_complete_in_order_and_within_cloudwatchs_limits(entries: list[Entry]) -> None:
    batches = list(journal.batches(entries))
    assert [entry for batch in batches for entry in batch] == sorted(entries, key=lambda entry: entry.time)
    for batch in batches:
        assert sum(entry.size for entry in batch) <= journal.MOST_BYTES
        assert batch[-1].time - batch[0].time < journal.LONGEST_SPAN


def test_many_short_entries_need_more_than_one_batch() -> None:
    entries = [Entry(1, "engine", "x")] * (journal.MOST_EVENTS + 1)
    assert [len(batch) for batch in journal.batches(entries)] == [journal.MOST_EVENTS, 1]


def test_new_entries_are_sent_once_also_after_a_restart(tmp_path: Path) -> None:
    node = Node(tmp_path, [line(1), line(2, "")])
    assert node.shipper.tick() is False
    node.lines += [line(3)]
    node.begin()
    node.shipper.tick()
    node.shipper.tick()
    assert node.sent == [("engine", "line 1"), ("engine", "line 3")]


def test_the_rest_of_a_long_journal_is_read_at_once(tmp_path: Path) -> None:
    node = Node(tmp_path, [line(number) for number in range(1, shipping.MOST + 2)])
    assert node.shipper.tick() is True
    assert node.shipper.tick() is False
    assert len(node.sent) == shipping.MOST + 1


def test_unsent_entries_are_sent_later(tmp_path: Path) -> None:
    node = Node(tmp_path, [line(1, unit="swarm-agent.service"), line(2)])
    node.failing = "engine"
    with pytest.raises(Unavailable):
        node.shipper.tick()
    node.failing = ""
    node.begin()
    node.shipper.tick()
    assert set(node.sent) == {("agent", "line 1"), ("engine", "line 2")}


def test_entries_above_the_daily_limit_are_kept_and_reported_once(tmp_path: Path) -> None:
    node = Node(tmp_path, [line(number, "x" * 100) for number in range(1, 6)], bytes_per_day=300)
    node.shipper.tick()
    assert len(node.sent) == 2
    assert node.log.getvalue().count("stays on this node") == 1
    node.now, node.lines = DAY, [*node.lines, line(6, "of tomorrow")]
    node.shipper.tick()
    assert node.sent[-1] == ("engine", "of tomorrow")
    assert "Not sent yesterday: 3 entries of the journal" in node.log.getvalue()


def test_unsent_entries_do_not_count_towards_the_limit(tmp_path: Path) -> None:
    node = Node(tmp_path, [line(1, "x" * 100), line(2, "x" * 100)], bytes_per_day=300)
    node.failing = "engine"
    for _ in range(9):
        with pytest.raises(Unavailable):
            node.shipper.tick()
    node.failing = ""
    node.shipper.tick()
    assert len(node.sent) == 2
    assert node.log.getvalue() == ""


def test_an_unwritable_cursor_is_an_error(tmp_path: Path) -> None:
    node = Node(tmp_path / "missing", [line(1)])
    with pytest.raises(SwarmError, match="cannot be written"):
        node.shipper.tick()


def test_the_journal_is_read_from_the_boot_or_the_cursor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tmp_path / "said"
    script = tmp_path / "journalctl"
    script.write_text(f'#!/bin/sh\necho "$@" >> {said}\nfor number in 1 2 3; do echo "$number"; done\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert shipping.entries(None, 10) == ["1\n", "2\n", "3\n"]
    assert shipping.entries("c3", 2) == ["1\n", "2\n"]
    first, second = said.read_text().splitlines()
    assert first.endswith("--boot")
    assert second.endswith("--after-cursor=c3")


@pytest.mark.parametrize(
    ("script", "reason"),
    [("echo broken >&2; exit 1", "cannot be read: broken"), (None, "cannot be read: No such file")],
)
def test_an_unreadable_journal_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, reason: str
) -> None:
    if script:
        (tmp_path / "journalctl").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "journalctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/nowhere")
    with pytest.raises(SwarmError, match=reason):
        shipping.entries(None, 10)


class Logs:
    """CloudWatch Logs that knows a few streams."""

    def __init__(self, *streams: str) -> None:
        self.streams, self.events = set(streams), []

    def put_log_events(self, **given: Any) -> None:
        if given["logStreamName"] not in self.streams:
            raise refusal("ResourceNotFoundException")
        self.events.append(given)

    def create_log_stream(self, **given: Any) -> None:
        self.streams.add(given["logStreamName"])


def refusal(code: str) -> Exception:
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": code, "Message": "No."}}, "PutLogEvents")


def test_a_stream_is_created_by_its_first_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.swarm.aws.plugins.module_utils.adapters.cloudwatch_logs import LogStreams
    from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession

    logs, aws = Logs(), AwsSession.on_node("eu-west-1")
    client: Callable[[str], Any] = lambda service: logs  # noqa: E731
    monkeypatch.setattr(aws, "client", client)
    streams = LogStreams(aws, "/swarm/example", "i-1")
    for number in (1, 2):
        streams.put("engine", [Entry(number, "engine", f"line {number}")])
    assert logs.streams == {"i-1/engine"}
    assert [event["logEvents"] for event in logs.events] == [
        [{"timestamp": 1, "message": "line 1"}],
        [{"timestamp": 2, "message": "line 2"}],
    ]
    monkeypatch.setattr(logs, "put_log_events", lambda **_: (_ for _ in ()).throw(refusal("ThrottlingException")))
    with pytest.raises(Unavailable, match="refused to write to the log stream i-1/engine of /swarm/example"):
        streams.put("engine", [Entry(3, "engine", "line 3")])
