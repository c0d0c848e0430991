"""Resources whose creation and deletion take some seconds."""

from __future__ import annotations

import time


class Lagging:
    """Shows AWS's state of a change in progress, where moto sets the final state at once."""

    seconds = 0.0

    @property
    def lag(self) -> float:
        """Seconds that a change takes."""
        return self.seconds

    @property
    def state(self) -> str:
        on_the_way = {"available": "pending", "deleted": "deleting"}
        return self._state if time.monotonic() >= self._settled else on_the_way[self._state]

    @state.setter
    def state(self, state: str) -> None:
        self._state, self._settled = state, time.monotonic() + self.lag
