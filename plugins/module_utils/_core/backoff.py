"""Pauses after failures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict

FIRST_PAUSE = 2.0
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class Failure:
    """A service's failure, and why."""

    service: str
    message: str


class Backoff:
    """When a service or a resource that failed may be tried again: after a pause that doubles. In seconds."""

    def __init__(self) -> None:
        self._failures: Dict[str, int] = {}
        self._until: Dict[str, float] = {}

    def failures(self, service: str) -> int:
        """Number of failures since the last success."""
        return self._failures.get(service, 0)

    def rests(self, service: str, now: float) -> bool:
        """Whether it is too early to ask it again."""
        return now < self._until.get(service, now)

    def failed(self, service: str, now: float) -> float:
        """Note a failure and return the length of the pause in seconds."""
        failures = self.failures(service)
        pause = min(FIRST_PAUSE * 2.0 ** min(failures, 16), LONGEST_PAUSE)
        self._failures[service] = failures + 1
        self._until[service] = now + pause
        return pause

    def worked(self, service: str) -> None:
        """Forget the failures."""
        self._failures.pop(service, None)
        self._until.pop(service, None)
