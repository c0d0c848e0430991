"""Waiters for resources that were just created or changed."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

from .aws_session import ClientError
from .provision_error import ProvisionError

Result = TypeVar("Result")
# The longest time until AWS sees what it has created.
SECONDS = 90.0


def once_visible(call: Callable[[], Result], not_yet: Callable[[Exception], bool]) -> Result:
    """Call until AWS sees a resource that was just created: again while ``not_yet`` holds for the error.

    Raises the last error after ``SECONDS``.
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
    """Wait until ``holds()``. Raises ProvisionError, which names ``what``, after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise ProvisionError(f"Still waiting for {what} after {seconds:.0f} s: run this again.")
        time.sleep(1)
