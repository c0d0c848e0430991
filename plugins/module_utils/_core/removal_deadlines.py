"""Deadlines of removals.

In this order:

1. The waits before the drain, for replacements and for the record's TTL, end when there is just enough time left for
   the tasks to stop.
2. The time for the tasks to stop is cut.

Demotion, deletion and the completion of the hook are always done; `RESERVE` is kept for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

# Seconds.
RESERVE = 10.0


@dataclass(frozen=True)
class Limits:
    """The latest end of each step, in epoch seconds; None for no limit."""

    # When the drain must begin.
    drain_by: Optional[float]
    # When the wait for its tasks ends.
    stop_by: Optional[float]

    @classmethod
    def of(cls, deadline: Optional[float], stop_seconds: float) -> Limits:
        """The limits of a removal with a deadline, whose tasks may take ``stop_seconds`` to stop."""
        if deadline is None:
            return cls(None, None)
        stop_by = deadline - RESERVE
        return cls(stop_by - stop_seconds, stop_by)


def passed(limit: Optional[float], now: float) -> bool:
    """Whether there is a limit and it is over."""
    return limit is not None and now >= limit
