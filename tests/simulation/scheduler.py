"""Virtual time: processes are greenlets, which run one at a time and only change places when they pause."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from greenlet import GreenletExit, getcurrent, greenlet


class Bell:
    """What a process may wait for besides time."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []

    def ring(self) -> None:
        """Wake all that wait."""
        waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()

    def wait(self, wake: Callable[[], None]) -> None:
        """Have something called at the next ring."""
        self._waiting.append(wake)


class Scheduler:
    """Runs processes and scheduled calls in the order of their times."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0
        self._hub = getcurrent()

    def at(self, time: float, call: Callable[[], object]) -> None:
        """Have something called at a time."""
        self._count += 1
        heapq.heappush(self._queue, (time, self._count, call))

    def start(self, process: Callable[[], None], delay: float = 0.0) -> greenlet:
        """Start a process."""
        made = greenlet(process, self._hub)
        self.at(self.now + delay, lambda: None if made.dead else made.switch())
        return made

    def pause(self, seconds: float, bell: Bell | None = None) -> None:
        """Let time pass in the process that calls, or less if the bell rings meanwhile."""
        process, resumed = getcurrent(), False

        def resume() -> None:
            nonlocal resumed
            if not resumed and not process.dead:
                resumed = True
                process.switch()

        self.at(self.now + seconds, resume)
        if bell:
            bell.wait(lambda: self.at(self.now, resume))
        self._hub.switch()

    @staticmethod
    def kill(process: greenlet) -> None:
        """End another process where it stands. May be called from outside of processes only."""
        if not process.dead:
            process.throw(GreenletExit)

    def run(self, until: Callable[[], bool], limit: float) -> bool:
        """Go on until a condition holds; False if it did not by the time ``limit``, or if nothing is left to run."""
        while not until():
            if not self._queue or self._queue[0][0] > limit:
                return False
            self.now, _, call = heapq.heappop(self._queue)
            call()
        return True
