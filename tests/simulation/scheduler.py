"""Virtual time: processes are greenlets, which run one after another and switch only when they pause."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from greenlet import GreenletExit, getcurrent, greenlet


class Bell:
    """Wakes the processes that wait for it."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []

    def ring(self) -> None:
        """Wake all waiting processes."""
        waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()

    def wait(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` at the next ring."""
        self._waiting.append(wake)


class Scheduler:
    """Runs processes and scheduled calls in the order of their times."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0
        self._hub = getcurrent()

    def at(self, time: float, call: Callable[[], object]) -> None:
        """Schedule a call at a time."""
        self._count += 1
        heapq.heappush(self._queue, (time, self._count, call))

    def start(self, process: Callable[[], None], delay: float = 0.0) -> greenlet:
        """Start a process."""
        made = greenlet(process, self._hub)
        self.at(self.now + delay, lambda: None if made.dead else made.switch())
        return made

    def pause(self, seconds: float, bell: Bell | None = None) -> None:
        """Let time pass in the calling process, or less if the bell rings."""
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
        """Kill another process where it stands. Only code outside of processes may call this."""
        if not process.dead:
            process.throw(GreenletExit)

    def run(self, until: Callable[[], bool], limit: float) -> bool:
        """Run until a condition holds; False if the time ``limit`` comes first or nothing is left to run."""
        while not until():
            if not self._queue or self._queue[0][0] > limit:
                return False
            self.now, _, call = heapq.heappop(self._queue)
            call()
        return True
