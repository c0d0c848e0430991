"""The cluster record: which swarm is the cluster's."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Mapping, Optional, Tuple, Union

from ..errors import SwarmError
from ..parsing import SHAPE_ERRORS, decoded, whole

CLAIMED = "claimed"
FORMED = "formed"
RESTORING = "restoring"


_REPAIR = "The swarm's leader writes it again; if there is no swarm, restore an older version of the object."


class InvalidClusterRecord(SwarmError):
    """The object exists, but cannot be read."""

    version = ""
    """The object's version (an ETag), where that is known."""


@dataclass(frozen=True)
class Memory:
    """The swarm's memory of itself, in its labels."""

    swarm_id: str
    remembered: Optional[ClusterRecord] = None
    """The last published cluster record; None if it remembers none."""
    epoch: int = 0
    """Number of restores."""


@dataclass(frozen=True)
class Published:
    """The object ``cluster.json`` in the bucket."""

    cluster_record: Optional[ClusterRecord]
    """None if there is no such object, or it cannot be read."""
    version: Optional[str]
    """The object's version (an ETag); None if there is none."""
    flaw: str = ""
    """Why it cannot be read; empty if it can."""


@dataclass(frozen=True)
class ClusterRecord:
    """The object ``cluster.json``, which is only written by compare-and-swap.

    It is first ``claimed`` and then ``formed``, where it stays. While the swarm is restored, when no node may join, it
    is ``restoring``.
    """

    phase: str
    claimed_by: str
    """The instance that initialises or restores the swarm, or did so last."""
    claimed_at: str
    """UTC, for people. Leases do not use it, since the hosts' clocks may differ."""
    generation: int
    """Incremented with each write, so that no two versions of the object are equal."""
    cluster_id: Optional[str] = None
    """The swarm's ID once it is formed."""
    epochs: Mapping[str, int] = field(default_factory=dict)
    """By role, how often the swarm was restored without the nodes of that role, which then join it again."""
    former: Tuple[str, ...] = ()
    """IDs of the cluster's earlier swarms, before restores."""

    @classmethod
    def claim(cls, instance: str, at: str, before: Optional[ClusterRecord] = None) -> ClusterRecord:
        """The claim of an instance, which takes over the claim ``before``, if any."""
        return cls(CLAIMED, instance, at, before.generation + 1 if before else 1)

    def formed(self, cluster_id: str) -> ClusterRecord:
        """This claim with its swarm."""
        return replace(self, phase=FORMED, cluster_id=cluster_id, generation=self.generation + 1)

    def restoring(self, instance: str, at: str) -> ClusterRecord:
        """This record while that instance restores the swarm."""
        return replace(self, phase=RESTORING, claimed_by=instance, claimed_at=at, generation=self.generation + 1)

    def restored(self, cluster_id: str, roles: Tuple[str, ...]) -> ClusterRecord:
        """This record after the swarm was restored without the nodes of those roles."""
        former = [swarm for swarm in (*self.former, self.cluster_id) if swarm and swarm != cluster_id]
        return replace(
            self.formed(cluster_id),
            epochs={**self.epochs, **{role: self.epoch(role) + 1 for role in roles}},
            former=tuple(dict.fromkeys(former)),
        )

    def after(self, other: Optional[ClusterRecord]) -> ClusterRecord:
        """This record with the epochs and former swarms of the other record, if any, merged in."""
        if other is None:
            return self
        roles = {*self.epochs, *other.epochs}
        known = (*other.former, other.cluster_id or "", *self.former)
        return replace(
            self,
            generation=max(self.generation, other.generation),
            epochs={role: max(self.epoch(role), other.epoch(role)) for role in roles},
            former=tuple(dict.fromkeys(swarm for swarm in known if swarm and swarm != self.cluster_id)),
        )

    def again(self, over: Optional[ClusterRecord]) -> ClusterRecord:
        """This record with a generation to overwrite another version of the object."""
        return replace(self, generation=max(self.generation, over.generation if over else 0) + 1)

    def epoch(self, role: str) -> int:
        """The epoch in which members of that role must have joined."""
        return self.epochs.get(role, 0)

    @property
    def rank(self) -> Tuple[int, int]:
        """Grows with each write. Restores count first: they may continue from an object that was rolled back."""
        return sum(self.epochs.values()), self.generation

    @property
    def shown(self) -> Mapping[str, object]:
        """For people."""
        return {"phase": self.phase, "swarm": self.cluster_id, "by": self.claimed_by, "generation": self.generation}

    def encode(self) -> bytes:
        """The object in the bucket."""
        return (self.line(indent=2) + "\n").encode()

    def line(self, indent: Optional[int] = None) -> str:
        """As JSON; without ``indent`` on one line, as the swarm remembers it."""
        return json.dumps(asdict(self), indent=indent, sort_keys=True)

    @classmethod
    def decode(cls, content: Union[bytes, str]) -> ClusterRecord:
        """Raises InvalidClusterRecord for any other content, which is never read as 'no record'."""
        try:
            found = decoded(content)
            fields = {name: found.get(name) for name in cls.__dataclass_fields__}
            fields["epochs"] = {role: _epoch(number) for role, number in (fields["epochs"] or {}).items()}
            fields["former"] = tuple(str(swarm) for swarm in fields["former"] or ())
            record = cls(**fields)
        except SHAPE_ERRORS as error:
            raise InvalidClusterRecord(f"cluster.json in the bucket is not valid JSON: {error}. {_REPAIR}") from None
        texts = (
            record.phase,
            record.claimed_by,
            record.claimed_at,
            "" if record.cluster_id is None else record.cluster_id,
        )
        typed = isinstance(record.generation, int) and all(isinstance(text, str) for text in texts)
        possible = {CLAIMED: not record.cluster_id, FORMED: bool(record.cluster_id), RESTORING: True}
        if not typed or not record.claimed_by or not possible.get(record.phase, False):
            raise InvalidClusterRecord(
                f"cluster.json in the bucket does not say who claimed the cluster or which swarm it formed. {_REPAIR}"
            )
        return record


def _epoch(value: object) -> int:
    found = whole(value)
    if found is None:
        raise ValueError(f"an epoch is {value!r}")
    return found
