"""How a deadline shortens a removal.

What is given up, in this order:

1. The waits before the drain, for replacements and for the record's TTL, which run at the same time: both end when
   there is just time left for the tasks to stop.
2. The time for the tasks to stop.

Demotion, removal and the answer to the hook are never given up; `RESERVE` is kept for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

# Seconds.
RESERVE = 10.0


@dataclass(frozen=True)
class Limits:
    """Until when each step may take, in epoch seconds; None for no limit."""

    # When the drain has to begin, whatever is still waited for.
    drain_by: Optional[float]
    # When its tasks are no longer waited for.
    stop_by: Optional[float]

    @classmethod
    def of(cls, deadline: Optional[float], stop_seconds: float) -> Limits:
        """The limits of a removal that has to be done by a deadline, with tasks that may take so long to stop."""
        if deadline is None:
            return cls(None, None)
        stop_by = deadline - RESERVE
        return cls(stop_by - stop_seconds, stop_by)


def passed(limit: Optional[float], now: float) -> bool:
    """Whether there is a limit and it has come."""
    return limit is not None and now >= limit
