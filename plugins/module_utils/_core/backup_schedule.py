"""Backups of the swarm's state: what is known of each, which are kept, when one is due and whose turn it is."""

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
    """A backup is not there, or is not what was written."""


@dataclass(frozen=True)
class Manifest:
    """What is known of a backup, beside the archive of the state itself."""

    name: str
    cluster: str
    cluster_id: str
    # The manager whose state it is: its instance, its node and the address by which the others knew it.
    instance: str
    node_id: str
    address: str
    # The engine's version.
    engine: str
    # Epoch seconds.
    at: float
    # Of the archive, its size in bytes.
    sha256: str
    size: int
    # How many nodes, services, secrets and configs the swarm had.
    counts: Mapping[str, int]

    def encode(self) -> bytes:
        """As it stands in the bucket."""
        return (json.dumps({"format": FORMAT, **asdict(self)}, indent=2, sort_keys=True) + "\n").encode()

    @classmethod
    def decode(cls, content: bytes) -> Manifest:
        """Raises BackupError."""
        try:
            found = decoded(content)
            if found["format"] != FORMAT:
                raise BackupError(f"A backup's manifest is of the format {found['format']}, which is not known here.")
            fields = {name: found[name] for name in cls.__dataclass_fields__}
            fields["counts"] = {name: int(fields["counts"][name]) for name in _COUNTED}
            fields["at"], fields["size"] = float(fields["at"]), int(fields["size"])
            texts = [name for name, field in cls.__dataclass_fields__.items() if field.type == "str"]
            if taken_at(fields["name"]) is None or not all(isinstance(fields[name], str) for name in texts):
                raise ValueError("a field has not the value of a backup's")
            return cls(**fields)
        except SHAPE_ERRORS as error:
            raise BackupError(
                f"A backup's manifest is not one that was written here: {type(error).__name__}: {error}."
            ) from None

    @property
    def summary(self) -> str:
        """What it holds, for people."""
        counts = ", ".join(f"{self.counts[name]} {name}" for name in _COUNTED)
        return f"{self.name} ({counts})"


def name_of(at: float, instance: str) -> str:
    """The name of a backup, by which backups sort in time."""
    return f"{datetime.fromtimestamp(at, timezone.utc):%Y%m%dT%H%M%SZ}-{instance}"


def taken_at(name: str) -> Optional[float]:
    """When a backup of that name was taken, in epoch seconds; None if it is no name of a backup."""
    try:
        at = datetime.strptime(name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None
    return at if _NAME.fullmatch(name) else None


def newest_first(names: Iterable[str]) -> List[str]:
    """The names of backups among these."""
    return sorted((name for name in names if taken_at(name) is not None), reverse=True)


def superseded(names: Iterable[str], keep: int) -> List[str]:
    """Those that are more than are kept."""
    return newest_first(names)[max(keep, 1) :]


def due(names: Iterable[str], every: Optional[float], now: float) -> bool:
    """Whether the newest one is older than ``every`` seconds; never, where that is None or 0."""
    if not every:
        return False
    newest = next(iter(newest_first(names)), None)
    # One from a clock that runs ahead counts as of now.
    return newest is None or now - (taken_at(newest) or 0.0) >= every


def on_duty(nodes: Sequence[Node], own: str) -> bool:
    """Whether it is this manager's turn: a follower's, so that the leader is not held up, or the leader's alone.

    All managers see the same nodes, so that one of them takes the turn.
    """
    fit = [node for node in nodes if node.role == MANAGER and node.ready]
    first = min(fit, key=lambda node: (node.leader, node.id), default=None)
    return first is not None and first.id == own


def chosen(names: Iterable[str], wanted: str) -> str:
    """The backup to restore: the one that is wanted, or the newest. Raises BackupError."""
    present = newest_first(names)
    if not present:
        raise BackupError(NONE)
    if not wanted:
        return present[0]
    if wanted not in present:
        shown = ", ".join(present[:5])
        raise BackupError(f"There is no backup '{wanted}'. The newest are {shown}: take one with -e backup=NAME.")
    return wanted


def refused(manifest: Manifest, why: str, names: Iterable[str]) -> BackupError:
    """The refusal of a backup that is not what was written, which offers the one before it."""
    older = [name for name in newest_first(names) if name < manifest.name]
    offer = "There is no older one."
    if older:
        offer = f"The one before it is {older[0]}: take it with -e backup={older[0]}."
    return BackupError(f"The backup {manifest.name} is refused, for it is not what was written: {why}. {offer}")
