"""The host's time, and AWS's."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Callable

from .._core.aws_time import AwsTime

# One for this host: every AWS session sets it, and anyone can read it.
aws_time = AwsTime(time.time, time.monotonic)


class SystemClock:
    """The core's ``Clock``; ``waited`` is called before each wait with its seconds and reason."""

    def __init__(self, waited: Callable[[float, str], None] = lambda seconds, reason: None) -> None:
        self._waited = waited

    def now(self) -> float:
        return time.monotonic()

    def timestamp(self) -> str:
        return datetime.fromtimestamp(aws_time.now(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    def flaw(self) -> str:
        """The error of the host's clock as a sentence; empty if there is none."""
        return aws_time.flaw()

    def wait(self, seconds: float, reason: str) -> None:
        self._waited(seconds, reason)
        time.sleep(seconds)
