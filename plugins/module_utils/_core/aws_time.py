"""AWS's time, by which agents note and judge moments, for one host's clock may be wrong.

Whoever leads next reads in Raft what the leader noted, and the deadlines of hooks and spot warnings are AWS's: if all
mean the same time, no clock makes anything happen early.
"""

from __future__ import annotations

from typing import Callable, Optional, Tuple

# All in seconds. Answers tell whole seconds; a host that is off by less than this more is right.
TOLERANCE = 1.0
# From here on people are told.
TOLD = 30.0


class AwsTime:
    """The time of AWS's answers, carried on by a clock that nobody sets."""

    def __init__(self, wall: Callable[[], float], steady: Callable[[], float]) -> None:
        """``wall`` is the host's clock, in epoch seconds; ``steady`` only ever grows."""
        self._wall, self._steady = wall, steady
        # AWS's time at a moment of the steady clock.
        self._known: Optional[Tuple[float, float]] = None

    def observe(self, date: float, took: float) -> None:
        """AWS dated an answer, in whole epoch seconds, that has just come after so many seconds."""
        expected, latest = self._expected(), date + 1 + took
        if not date - TOLERANCE <= expected <= latest + TOLERANCE:
            expected = min(max(expected, date), latest)
        self._known = expected, self._steady()

    def now(self) -> float:
        """AWS's time in epoch seconds: by the host's clock, which is finer, if that is right."""
        wall, expected = self._wall(), self._expected()
        return wall if abs(wall - expected) <= TOLERANCE else expected

    def difference(self) -> float:
        """How many seconds the host's clock is ahead, negative if it is behind; 0 as long as AWS has not answered."""
        return self._wall() - self._expected() if self._known else 0.0

    def flaw(self) -> str:
        """What people are told of the host's clock; empty if it is right."""
        off = self.difference()
        if abs(off) < TOLD:
            return ""
        return (
            f"The clock of this host is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} AWS's time. The agent "
            "goes by AWS's time, but AWS refuses the requests of a host that is off by more than 5 minutes: see that "
            "its time service runs (`timedatectl`, `chronyc tracking`)."
        )

    def _expected(self) -> float:
        if self._known is None:
            return self._wall()
        at, steady = self._known
        return at + self._steady() - steady
