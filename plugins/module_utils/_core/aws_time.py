"""AWS's time, which agents use for all they note and compare, since a host's clock may be wrong.

The next leader reads the times that this leader noted in Raft, and the deadlines of hooks and spot warnings are AWS's.
If all use the same time, no wrong clock makes anything happen early.
"""

from __future__ import annotations

from typing import Callable, Optional, Tuple

# In seconds. Answers have whole seconds; a host that differs by up to this much more counts as right.
TOLERANCE = 1.0
# A difference that is reported.
TOLD = 30.0


class AwsTime:
    """The time of AWS's answers, continued by a monotonic clock."""

    def __init__(self, wall: Callable[[], float], steady: Callable[[], float]) -> None:
        """``wall`` is the host's clock, in epoch seconds; ``steady`` is monotonic, in seconds."""
        self._wall, self._steady = wall, steady
        # AWS's time at a time of the steady clock.
        self._known: Optional[Tuple[float, float]] = None

    def observe(self, date: float, took: float) -> None:
        """Take the date of an answer, in whole epoch seconds, that took ``took`` seconds and has just arrived."""
        expected, latest = self._expected(), date + 1 + took
        if not date - TOLERANCE <= expected <= latest + TOLERANCE:
            expected = min(max(expected, date), latest)
        self._known = expected, self._steady()

    def now(self) -> float:
        """AWS's time in epoch seconds: the host's clock, which is finer, if it is right."""
        wall, expected = self._wall(), self._expected()
        return wall if abs(wall - expected) <= TOLERANCE else expected

    def difference(self) -> float:
        """Seconds by which the host's clock is ahead, negative if it is behind; 0 before AWS has answered."""
        return self._wall() - self._expected() if self._known else 0.0

    def flaw(self) -> str:
        """A sentence about the host's clock; empty if it is right."""
        off = self.difference()
        if abs(off) < TOLD:
            return ""
        return (
            f"The clock of this host is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} AWS's time. The agent "
            "uses AWS's time, but AWS refuses the requests of a host that is off by more than 5 minutes: check that "
            "its time service runs (`timedatectl`, `chronyc tracking`)."
        )

    def _expected(self) -> float:
        if self._known is None:
            return self._wall()
        at, steady = self._known
        return at + self._steady() - steady
