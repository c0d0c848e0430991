"""Waiting for a condition, with a deadline and a word about what is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable

from lab.errors import LabError


def until[T](what: str, condition: Callable[[], T], *, seconds: float, every: float = 0.1) -> T:
    """Return the first true value of ``condition``. Raises LabError when ``seconds`` have passed without one."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise LabError(f"Waited {seconds:.0f} s for {what}, in vain.")
        time.sleep(every)
