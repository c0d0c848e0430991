"""What the journal of a node has to say, as CloudWatch Logs takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Iterator, List, Mapping, Optional

from .parsing import decoded, whole
from .redaction import without_plain_secrets

ENGINE, AGENT, SYSTEM = "engine", "agent", "system"
# PutLogEvents takes so many events and bytes at once, counts some bytes more for each event, and takes no more than a
# day's: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
MOST_EVENTS, MOST_BYTES, EVENT_BYTES, LONGEST_SPAN = 10_000, 1_048_576, 26, 24 * 3600 * 1000
# Of one event, which CloudWatch took 256 KB of for long.
LONGEST_TEXT = 256 * 1024 - EVENT_BYTES
CUT = " …"


@dataclass(frozen=True)
class Entry:
    """An entry of the journal."""

    # Epoch milliseconds.
    time: int
    source: str
    text: str

    @property
    def size(self) -> int:
        """Bytes that it counts for."""
        return len(self.text.encode()) + EVENT_BYTES


def cursor(line: str) -> str:
    """Where to go on after a line as `journalctl --output=json` prints it. Raises ValueError if it does not say."""
    found = _fields(line).get("__CURSOR")
    if not isinstance(found, str) or not found:
        raise ValueError("it has no cursor")
    return found


def read(line: str) -> Optional[Entry]:
    """The entry of such a line, without plain secrets; None for one that says nothing. Raises ValueError."""
    found = _fields(line)
    text = without_plain_secrets(_text(found.get("MESSAGE"))).rstrip()
    if not text:
        return None
    source = _source(found)
    if source == SYSTEM:
        text = f"{_text(found.get('SYSLOG_IDENTIFIER')) or found.get('_SYSTEMD_UNIT') or 'kernel'}: {text}"
    time = whole(found.get("__REALTIME_TIMESTAMP"))
    if time is None:
        raise ValueError("it has no time")
    return Entry(time // 1000, source, _cut(text))


def batches(entries: Iterable[Entry]) -> Iterator[List[Entry]]:
    """Entries of one source, sorted by time, in parts that CloudWatch takes at once."""
    batch: List[Entry] = []
    size = 0
    for entry in sorted(entries, key=lambda item: item.time):
        if batch and (
            len(batch) == MOST_EVENTS or size + entry.size > MOST_BYTES or entry.time - batch[0].time >= LONGEST_SPAN
        ):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry.size
    if batch:
        yield batch


def _fields(line: str) -> Mapping[str, Any]:
    found = decoded(line)
    if not isinstance(found, dict):
        raise ValueError("it is no entry")
    return found


def _source(found: Mapping[str, Any]) -> str:
    unit = _text(found.get("_SYSTEMD_UNIT") or found.get("UNIT"))
    if unit in ("docker.service", "containerd.service"):
        return ENGINE
    return AGENT if unit.startswith("swarm-") else SYSTEM


def _text(value: Any) -> str:
    """A field, which journald gives as numbers where it is no text, and more than once where it was set so."""
    if isinstance(value, list):
        if all(isinstance(byte, int) for byte in value):
            return bytes(value).decode(errors="replace")
        return _text(value[0])
    return value if isinstance(value, str) else ""


def _cut(text: str) -> str:
    encoded = text.encode()
    if len(encoded) <= LONGEST_TEXT:
        return text
    return encoded[: LONGEST_TEXT - len(CUT.encode())].decode(errors="ignore") + CUT
