"""Waits for a condition, with a deadline."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable

from lab.errors import LabError


def answers(url: str, *, seconds: float) -> bool:
    """Whether a server answers at that address without an error within ``seconds``."""
    try:
        with urllib.request.urlopen(url, timeout=seconds):
            return True
    except OSError:
        return False


def until[T](what: str, condition: Callable[[], T], *, seconds: float, every: float = 0.1) -> T:
    """Return the first true value of ``condition``. Raises LabError after ``seconds`` without a true value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise LabError(f"Timed out after {seconds:.0f} s waiting for {what}.")
        time.sleep(every)
