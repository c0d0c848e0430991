"""Sending the node's journal to CloudWatch Logs, so that it outlives the node.

In a separate thread that starts before the node joins, since most errors happen then.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from itertools import islice
from pathlib import Path
from typing import Callable, List, Optional

from ansible_collections.swarm.aws.plugins.module_utils._core import journal
from ansible_collections.swarm.aws.plugins.module_utils._core.counting import counted
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError
from ansible_collections.swarm.aws.plugins.module_utils._core.journal import Entry
from ansible_collections.swarm.aws.plugins.module_utils.adapters import files
from ansible_collections.swarm.aws.plugins.module_utils.adapters.cloudwatch_logs import LogStreams
from ansible_collections.swarm.aws.plugins.module_utils.adapters.metadata import Metadata
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_config import Config, Logs
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession

from .log import Log

CURSOR = Path("/var/lib/swarm-agent/journal-cursor")
# Seconds between two looks, and the longest pause after errors.
EVERY, LATEST = 10.0, 160.0
# The most entries per read.
MOST = 2_000
FIELDS = "MESSAGE,_SYSTEMD_UNIT,UNIT,SYSLOG_IDENTIFIER"
DAY = 24 * 3600.0

Read = Callable[[Optional[str], int], List[str]]
Put = Callable[[str, List[Entry]], None]


def entries(cursor: Optional[str], most: int) -> List[str]:
    """At most ``most`` lines of the journal after a cursor, or since the node booted. Raises SwarmError."""
    where = [f"--after-cursor={cursor}"] if cursor else ["--boot"]
    words = ["journalctl", "--quiet", "--no-pager", "--output=json", f"--output-fields={FIELDS}", *where]
    try:
        with subprocess.Popen(  # noqa: S603 - the words come from the agent, and the cursor from journald
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
        ) as process:
            found = list(islice(process.stdout or (), most))
            if len(found) == most:
                process.kill()
            elif process.wait():
                reason = " ".join(process.stderr or ()).strip()
                raise SwarmError(f"The journal cannot be read: {reason}")
    except OSError as error:
        raise SwarmError(f"The journal cannot be read: {error.strerror}") from error
    return found


class Shipper:
    """Sends new entries. After an error or a restart an entry may be sent twice; none is lost below the daily limit."""

    def __init__(
        self,
        read: Read,
        put: Put,
        log: Log,
        bytes_per_day: int,
        cursor: Path = CURSOR,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._read, self._put, self._log, self._now = read, put, log, now
        self._bytes_per_day, self._path = bytes_per_day, cursor
        self._cursor: Optional[str] = None
        self._day = -1
        self._sent = self._left_out = 0
        self._unreadable = False

    def tick(self) -> bool:
        """Send new entries, and return whether there may be more. Raises SwarmError."""
        if self._cursor is None:
            self._cursor = self._remembered()
        lines = self._read(self._cursor, MOST)
        found = [entry for entry in map(self._entry, lines) if entry is not None]
        if lines:
            self._send(found)
            self._remember(_last_cursor(lines))
        return len(lines) == MOST

    def _entry(self, line: str) -> Optional[Entry]:
        """The entry of a line; None if it is empty or cannot be read, of which the first is logged."""
        try:
            return journal.read(line)
        except ValueError as error:
            if not self._unreadable:
                self._log.warning(f"An entry of the journal cannot be read. Such entries are left out: {error}")
            self._unreadable = True
            return None

    def _send(self, found: List[Entry]) -> None:
        """Send entries up to the daily limit. Failed sends do not count."""
        self._begin_day()
        allowed: List[Entry] = []
        size = 0
        for entry in found:
            if self._sent + size + entry.size <= self._bytes_per_day:
                allowed.append(entry)
                size += entry.size
        for source in sorted({entry.source for entry in allowed}):
            for batch in journal.batches(entry for entry in allowed if entry.source == source):
                self._put(source, batch)
        self._sent += size
        if len(allowed) < len(found):
            if not self._left_out:
                self._log.warning(
                    f"Today's limit of {self._bytes_per_day // 2**20} MiB of the journal is sent (logs.mib_per_day). "
                    "The rest of the day stays on this node."
                )
            self._left_out += len(found) - len(allowed)

    def _begin_day(self) -> None:
        day = int(self._now() // DAY)
        if day != self._day:
            if self._left_out:
                self._log.warning(f"Not sent yesterday: {counted(self._left_out, 'entry')} of the journal.")
            self._day, self._sent, self._left_out = day, 0, 0

    def _remembered(self) -> Optional[str]:
        try:
            return self._path.read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise SwarmError(f"{self._path}, which has the journal's cursor, cannot be read: {error}") from error

    def _remember(self, cursor: str) -> None:
        try:
            files.write(self._path, cursor.encode())
        except OSError as error:
            raise SwarmError(f"{self._path} cannot be written: {error.strerror}") from error
        self._cursor = cursor


def _last_cursor(lines: List[str]) -> str:
    """The last cursor in lines of the journal. Raises SwarmError if none has a cursor."""
    for line in reversed(lines):
        with contextlib.suppress(ValueError):
            return journal.cursor(line)
    raise SwarmError(
        f"None of {counted(len(lines), 'entry')} of the journal can be read: is this node's journal damaged?"
    )


def start(config: Config, log: Log) -> None:
    """Start to send the journal, if configured, until the process ends."""
    if config.logs is not None:
        threading.Thread(target=_run, args=(config.region, config.logs, log), daemon=True, name="shipping").start()


def _run(region: str, logs: Logs, log: Log) -> None:
    shipper: Optional[Shipper] = None
    delay, said = EVERY, ""
    while True:
        more = False
        try:
            shipper = shipper or _shipper(region, logs, log)
            more = shipper.tick()
            delay, said = EVERY, ""
        except Exception as error:
            # The agent's work goes on nevertheless.
            reason = str(error) if isinstance(error, SwarmError) else f"Unexpected {type(error).__name__}: {error}"
            if reason != said:
                log.warning(f"The journal is not sent: {reason}")
            delay, said = min(delay * 2, LATEST), reason
        if not more:
            time.sleep(delay)


def _shipper(region: str, logs: Logs, log: Log) -> Shipper:
    streams = LogStreams(AwsSession.on_node(region), logs.group, Metadata().identity().instance)
    return Shipper(entries, streams.put, log, logs.mib_per_day * 2**20)
