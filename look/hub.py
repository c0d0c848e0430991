"""The latest state of the cluster, shared by all readers of the page."""

from __future__ import annotations

import threading
from typing import Any


class Hub:
    """The latest document, and why there are no updates, if there are none."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._moment: dict[str, Any] | None = None
        # Why there are no updates, empty while there are; and whether nothing has failed yet.
        self._lost, self._connecting = "Looking for a manager", True
        self._number = 0

    def tell(self, moment: dict[str, Any]) -> None:
        """Store a manager's document."""
        self._set(moment, "")

    def connect(self, name: str) -> None:
        """Store that there are no updates since a connection to a manager begins."""
        self._set(self._moment, f"Connecting to {name}", connecting=self._connecting)

    def lost(self, why: str) -> None:
        """Store why there are no updates; the last document stays."""
        self._set(self._moment, why)

    def _set(self, moment: dict[str, Any] | None, lost: str, *, connecting: bool = False) -> None:
        with self._changed:
            self._moment, self._lost, self._connecting = moment, lost, connecting
            self._number += 1
            self._changed.notify_all()

    def now(self, after: int = 0, seconds: float = 0.0) -> tuple[int, dict[str, Any]]:
        """The state's number and the state, once the number is greater than ``after`` or the seconds have passed."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > after, seconds)
            return self._number, {"lost": self._lost, "connecting": self._connecting, "moment": self._moment}
