"""Backups of the swarm's state: their manifests, which of them are kept, when the next is due and who takes it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Iterable, List, Mapping, Optional, Sequence

from .cluster import MANAGER, Node
from .errors import SwarmError
from .parsing import SHAPE_ERRORS, decoded

FORMAT = 1
NONE = "The bucket has no backup of the swarm, so there is nothing to restore it from."
_NAME = re.compile(r"\d{8}T\d{6}Z-i-[0-9a-f]+")
_COUNTED = ("nodes", "services", "secrets", "configs")


class BackupError(SwarmError):
    """A backup is missing or damaged."""


@dataclass(frozen=True)
class Manifest:
    """The description of a backup, beside the archive with the state."""

    name: str
    cluster: str
    cluster_id: str
    # The manager whose state it is: its instance, its node and its address for the other managers.
    instance: str
    node_id: str
    address: str
    # The engine's version.
    engine: str
    # Epoch seconds.
    at: float
    # Of the archive; the size is in bytes.
    sha256: str
    size: int
    # Numbers of the swarm's nodes, services, secrets and configs.
    counts: Mapping[str, int]

    def encode(self) -> bytes:
        """The object in the bucket."""
        return (json.dumps({"format": FORMAT, **asdict(self)}, indent=2, sort_keys=True) + "\n").encode()

    @classmethod
    def decode(cls, content: bytes) -> Manifest:
        """Raises BackupError."""
        try:
            found = decoded(content)
            if found["format"] != FORMAT:
                raise BackupError(f"A backup's manifest has the format {found['format']}, but {FORMAT} is supported.")
            fields = {name: found[name] for name in cls.__dataclass_fields__}
            fields["counts"] = {name: int(fields["counts"][name]) for name in _COUNTED}
            fields["at"], fields["size"] = float(fields["at"]), int(fields["size"])
            texts = [name for name, field in cls.__dataclass_fields__.items() if field.type == "str"]
            if taken_at(fields["name"]) is None or not all(isinstance(fields[name], str) for name in texts):
                raise ValueError("a field has an invalid value")
            return cls(**fields)
        except SHAPE_ERRORS as error:
            raise BackupError(f"A backup's manifest is invalid: {type(error).__name__}: {error}.") from None

    @property
    def summary(self) -> str:
        """Its name and contents, for people."""
        counts = ", ".join(f"{self.counts[name]} {name}" for name in _COUNTED)
        return f"{self.name} ({counts})"


def name_of(at: float, instance: str) -> str:
    """The name of a backup. Names sort by time."""
    return f"{datetime.fromtimestamp(at, timezone.utc):%Y%m%dT%H%M%SZ}-{instance}"


def taken_at(name: str) -> Optional[float]:
    """When a backup of that name was taken, in epoch seconds; None if the name is no backup's."""
    try:
        at = datetime.strptime(name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None
    return at if _NAME.fullmatch(name) else None


def newest_first(names: Iterable[str]) -> List[str]:
    """The names of backups among these."""
    return sorted((name for name in names if taken_at(name) is not None), reverse=True)


def superseded(names: Iterable[str], keep: int) -> List[str]:
    """The backups to delete if the newest ``keep`` are kept."""
    return newest_first(names)[max(keep, 1) :]


def due(names: Iterable[str], every: Optional[float], now: float) -> bool:
    """Whether the newest backup is older than ``every`` seconds; never if that is None or 0."""
    if not every:
        return False
    newest = next(iter(newest_first(names)), None)
    # A backup from a clock that runs ahead counts as taken now.
    return newest is None or now - (taken_at(newest) or 0.0) >= every


def on_duty(nodes: Sequence[Node], own: str) -> bool:
    """Whether this manager takes the backup: a follower, so that the leader is not held up, else the leader.

    All managers see the same nodes, so exactly one of them takes it.
    """
    fit = [node for node in nodes if node.role == MANAGER and node.ready]
    first = min(fit, key=lambda node: (node.leader, node.id), default=None)
    return first is not None and first.id == own


def chosen(names: Iterable[str], wanted: str) -> str:
    """The backup to restore: ``wanted``, or the newest. Raises BackupError."""
    present = newest_first(names)
    if not present:
        raise BackupError(NONE)
    if not wanted:
        return present[0]
    if wanted not in present:
        shown = ", ".join(present[:5])
        raise BackupError(f"There is no backup '{wanted}'. The newest are {shown}: choose with -e backup=NAME.")
    return wanted


def refused(manifest: Manifest, why: str, names: Iterable[str]) -> BackupError:
    """The refusal of a damaged backup, which offers the backup before it."""
    older = [name for name in newest_first(names) if name < manifest.name]
    offer = "There is no older backup."
    if older:
        offer = f"The backup before it is {older[0]}: use it with -e backup={older[0]}."
    return BackupError(f"The backup {manifest.name} is damaged: {why}. {offer}")
