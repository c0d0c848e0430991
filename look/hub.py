"""What is known now, for everybody who looks."""

from __future__ import annotations

import threading
from typing import Any


class Hub:
    """The latest document, and whether the link to a manager stands."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._moment: dict[str, Any] | None = None
        # Why there is no news; empty while there is.
        self._lost = "Looking for a manager"
        self._number = 0

    def tell(self, moment: dict[str, Any]) -> None:
        """Take a manager's document."""
        self._set(moment, "")

    def lost(self, why: str) -> None:
        """Say why nothing comes; what was known stays."""
        self._set(self._moment, why)

    def _set(self, moment: dict[str, Any] | None, lost: str) -> None:
        with self._changed:
            self._moment, self._lost = moment, lost
            self._number += 1
            self._changed.notify_all()

    def now(self, after: int = 0, seconds: float = 0.0) -> tuple[int, dict[str, Any]]:
        """The state's number and the state, as soon as its number is greater than ``after`` or the seconds are over."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > after, seconds)
            return self._number, {"lost": self._lost, "moment": self._moment}
