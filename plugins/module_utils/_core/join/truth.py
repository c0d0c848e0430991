"""The published truth: which swarm is the cluster's."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Optional

from ..errors import SwarmError

CLAIMED = "claimed"
FORMED = "formed"


@dataclass(frozen=True)
class Truth:
    """The object ``cluster.json``, which is only ever written by compare-and-swap.

    It goes from not there to ``claimed`` and from there to ``formed``, where it stays.
    """

    phase: str
    claimed_by: str
    """The instance that is to initialise the swarm, or did."""
    claimed_at: str
    """UTC, for people: leases are not judged by it, since two hosts' clocks may differ."""
    generation: int
    """One more with every write, so that no two versions of the object are alike."""
    cluster_id: Optional[str] = None
    """The swarm's ID once it is formed."""

    @classmethod
    def claim(cls, instance: str, at: str, before: Optional[Truth] = None) -> Truth:
        """The claim of an instance, on top of the claim that it takes over, if any."""
        return cls(CLAIMED, instance, at, before.generation + 1 if before else 1)

    def formed(self, cluster_id: str) -> Truth:
        """This claim, fulfilled."""
        return replace(self, phase=FORMED, cluster_id=cluster_id, generation=self.generation + 1)

    def encode(self) -> bytes:
        """As it stands in the bucket."""
        return (json.dumps(asdict(self), indent=2, sort_keys=True) + "\n").encode()

    @classmethod
    def decode(cls, content: bytes) -> Truth:
        """Raises SwarmError for anything that no version of this code wrote: it is never read as 'nobody'."""
        try:
            found = json.loads(content)
            truth = cls(**{name: found.get(name) for name in cls.__dataclass_fields__})
        except (ValueError, AttributeError) as error:
            raise SwarmError(f"cluster.json in the bucket is not JSON as it should be: {error}") from None
        complete = isinstance(truth.generation, int) and bool(truth.claimed_by)
        if not complete or truth.phase not in (CLAIMED, FORMED) or (truth.phase == FORMED) != bool(truth.cluster_id):
            raise SwarmError(
                "cluster.json in the bucket does not say who claimed the cluster or which swarm it formed: restore an "
                "older version of the object."
            )
        return truth
