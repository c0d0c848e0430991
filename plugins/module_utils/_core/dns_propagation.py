"""Whether all of Route 53's name servers answer as its API says, as one process can know it."""

from __future__ import annotations

from typing import Callable, Optional

from .cluster import Record
from .errors import SwarmError

# Seconds until a change that nobody can ask after has reached them all. Route 53's documentation of GetChange: changes
# generally propagate to all name servers within 60 seconds.
USUAL = 60.0


class Propagation:
    """The last change of one record. What this process did not write itself counts from when it was first seen."""

    def __init__(self, in_sync: Callable[[str], bool]) -> None:
        """``in_sync`` asks after a change by its ID, and may raise SwarmError."""
        self._ask = in_sync
        self._record: Optional[Record] = None
        self._since = 0.0
        self._change: Optional[str] = None

    def wrote(self, record: Record, change: str, now: float) -> None:
        """Note a change that was accepted at ``now``, in epoch seconds."""
        self._record, self._change, self._since = record, change, now

    def over(self, record: Record, now: float) -> bool:
        """Whether the record that the API tells at ``now`` is what all name servers answer."""
        if record != self._record:
            self._record, self._change, self._since = record, None, now
        usual = now - self._since >= USUAL
        if self._change is None:
            return usual
        try:
            if not self._ask(self._change):
                return False
        except SwarmError:
            return usual
        # It need not be asked again.
        self._change, self._since = None, now - USUAL
        return True
