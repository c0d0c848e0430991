"""The host's time."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Callable


class SystemClock:
    """The core's ``Clock``; ``waited`` is called with every wait's seconds and reason before it."""

    def __init__(self, waited: Callable[[float, str], None] = lambda seconds, reason: None) -> None:
        self._waited = waited

    def now(self) -> float:
        return time.monotonic()

    def timestamp(self) -> str:
        return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    def wait(self, seconds: float, reason: str) -> None:
        self._waited(seconds, reason)
        time.sleep(seconds)
