"""Waiting for what AWS was asked for a moment ago."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

from .aws_session import ClientError
from .provision_error import ProvisionError

Result = TypeVar("Result")
# Within which AWS sees what it was asked to create.
SECONDS = 90.0


def once_visible(call: Callable[[], Result], not_yet: Callable[[Exception], bool]) -> Result:
    """Call until AWS sees what was created a moment ago: again while ``not_yet`` holds for its error.

    Raises the last error when that takes too long.
    """
    deadline = time.monotonic() + SECONDS
    delay = 0.5
    while True:
        try:
            return call()
        except ClientError as error:
            if not not_yet(error) or time.monotonic() + delay > deadline:
                raise
        time.sleep(delay)
        delay = min(delay * 2, 5)


def awaited(holds: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait until something holds. Raises ProvisionError, which names what is waited for, after the seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise ProvisionError(f"Waited {seconds:.0f} s for {what}, which did not come: run this again.")
        time.sleep(1)
