"""What is there, or gone, some seconds after it was asked for."""

from __future__ import annotations

import time


class Lagging:
    """Its state, which moto sets at once, as AWS words it meanwhile."""

    seconds = 0.0

    @property
    def lag(self) -> float:
        """The seconds that it takes."""
        return self.seconds

    @property
    def state(self) -> str:
        on_the_way = {"available": "pending", "deleted": "deleting"}
        return self._state if time.monotonic() >= self._settled else on_the_way[self._state]

    @state.setter
    def state(self, state: str) -> None:
        self._state, self._settled = state, time.monotonic() + self.lag
