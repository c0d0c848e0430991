"""Whether all of Route 53's name servers answer with the record that its API returns, as far as this process knows."""

from __future__ import annotations

from typing import Callable, Optional

from .cluster import Record
from .errors import SwarmError

# Seconds to wait for a change whose ID is not known. Route 53's documentation of GetChange: changes generally propagate
# to all name servers within 60 seconds.
TYPICAL = 60.0


class Propagation:
    """The last change of a record. A change by somebody else counts from the time at which it was first seen."""

    def __init__(self, in_sync: Callable[[str], bool]) -> None:
        """``in_sync`` says whether a change, by its ID, is in sync, and may raise SwarmError."""
        self._ask = in_sync
        self._record: Optional[Record] = None
        self._since = 0.0
        self._change: Optional[str] = None

    def wrote(self, record: Record, change: str, now: float) -> None:
        """Note a change that was accepted at ``now`` (epoch seconds)."""
        self._record, self._change, self._since = record, change, now

    def over(self, record: Record, now: float) -> bool:
        """Whether all name servers answer with the record that the API returned at ``now``."""
        if record != self._record:
            self._record, self._change, self._since = record, None, now
        likely = now - self._since >= TYPICAL
        if self._change is None:
            return likely
        try:
            if not self._ask(self._change):
                return False
        except SwarmError:
            return likely
        # No need to ask again.
        self._change, self._since = None, now - TYPICAL
        return True
