"""A node's journal in the form that CloudWatch Logs takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Iterator, List, Mapping, Optional

from .parsing import decoded, whole
from .redaction import without_plain_secrets

ENGINE, AGENT, SYSTEM = "engine", "agent", "system"
# PutLogEvents limits events, bytes (with an overhead for each event) and the span of a batch:
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
MOST_EVENTS, MOST_BYTES, EVENT_BYTES, LONGEST_SPAN = 10_000, 1_048_576, 26, 24 * 3600 * 1000
# CloudWatch's limit for an event was 256 KB for a long time.
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
        """Its size for CloudWatch, in bytes."""
        return len(self.text.encode()) + EVENT_BYTES


def cursor(line: str) -> str:
    """The cursor of a line from `journalctl --output=json`. Raises ValueError if it has none."""
    found = _fields(line).get("__CURSOR")
    if not isinstance(found, str) or not found:
        raise ValueError("it has no cursor")
    return found


def read(line: str) -> Optional[Entry]:
    """The entry of such a line, without plain secrets; None if its message is empty. Raises ValueError."""
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
    """Entries of a single source, sorted by time, in batches that CloudWatch takes."""
    batch: List[Entry] = []
    size = 0
    for entry in sorted(entries, key=lambda entry: entry.time):
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
        raise ValueError("it is not an entry")
    return found


def _source(found: Mapping[str, Any]) -> str:
    unit = _text(found.get("_SYSTEMD_UNIT") or found.get("UNIT"))
    if unit in ("docker.service", "containerd.service"):
        return ENGINE
    return AGENT if unit.startswith("swarm-") else SYSTEM


def _text(value: Any) -> str:
    """A field as text. journald gives bytes as numbers if they are no text, and a list if the field is repeated."""
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
