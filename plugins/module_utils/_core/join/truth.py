"""The published truth: which swarm is the cluster's."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Mapping, Optional, Tuple

from ..errors import SwarmError

CLAIMED = "claimed"
FORMED = "formed"
RESTORING = "restoring"


@dataclass(frozen=True)
class Truth:
    """The object ``cluster.json``, which is only ever written by compare-and-swap.

    It goes from not there to ``claimed`` and from there to ``formed``, where it stays; but for the time in which the
    swarm is brought back, when nobody may join, it is ``restoring``.
    """

    phase: str
    claimed_by: str
    """The instance that is to initialise or to restore the swarm, or did so last."""
    claimed_at: str
    """UTC, for people: leases are not judged by it, since two hosts' clocks may differ."""
    generation: int
    """One more with every write, so that no two versions of the object are alike."""
    cluster_id: Optional[str] = None
    """The swarm's ID once it is formed."""
    epochs: Mapping[str, int] = field(default_factory=dict)
    """By role, how often the swarm was brought back without the nodes of that role, which then join it anew."""
    former: Tuple[str, ...] = ()
    """IDs of the swarms that were the cluster's before another one was restored in their place."""

    @classmethod
    def claim(cls, instance: str, at: str, before: Optional[Truth] = None) -> Truth:
        """The claim of an instance, on top of the claim that it takes over, if any."""
        return cls(CLAIMED, instance, at, before.generation + 1 if before else 1)

    def formed(self, cluster_id: str) -> Truth:
        """This claim, fulfilled."""
        return replace(self, phase=FORMED, cluster_id=cluster_id, generation=self.generation + 1)

    def restoring(self, instance: str, at: str) -> Truth:
        """The swarm, while that instance brings it back."""
        return replace(self, phase=RESTORING, claimed_by=instance, claimed_at=at, generation=self.generation + 1)

    def restored(self, cluster_id: str, roles: Tuple[str, ...]) -> Truth:
        """The swarm after it was brought back without the nodes of those roles."""
        former = [one for one in (*self.former, self.cluster_id) if one and one != cluster_id]
        return replace(
            self.formed(cluster_id),
            epochs={**self.epochs, **{role: self.epoch(role) + 1 for role in roles}},
            former=tuple(dict.fromkeys(former)),
        )

    def epoch(self, role: str) -> int:
        """The epoch in which nodes of that role must have joined to be members."""
        return self.epochs.get(role, 0)

    def encode(self) -> bytes:
        """As it stands in the bucket."""
        return (json.dumps(asdict(self), indent=2, sort_keys=True) + "\n").encode()

    @classmethod
    def decode(cls, content: bytes) -> Truth:
        """Raises SwarmError for anything that no version of this code wrote: it is never read as 'nobody'."""
        try:
            found = json.loads(content)
            fields = {name: found.get(name) for name in cls.__dataclass_fields__}
            fields["epochs"] = {str(role): int(number) for role, number in (fields["epochs"] or {}).items()}
            fields["former"] = tuple(str(one) for one in fields["former"] or ())
            truth = cls(**fields)
        except (ValueError, AttributeError, TypeError) as error:
            raise SwarmError(f"cluster.json in the bucket is not JSON as it should be: {error}") from None
        complete = isinstance(truth.generation, int) and bool(truth.claimed_by)
        possible = {CLAIMED: not truth.cluster_id, FORMED: bool(truth.cluster_id), RESTORING: True}
        if not complete or not possible.get(truth.phase, False):
            raise SwarmError(
                "cluster.json in the bucket does not say who claimed the cluster or which swarm it formed: restore an "
                "older version of the object."
            )
        return truth
