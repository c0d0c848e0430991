"""Waiting for what AWS was asked for a moment ago."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

from .errors import ProvisionError
from .session import ClientError

Result = TypeVar("Result")


def once_visible(
    call: Callable[[], Result],
    not_yet: Callable[[Exception], bool],
    seconds: float = 90,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Call until AWS sees what was created a moment ago: again while ``not_yet`` holds for its error.

    Raises the last error when the seconds are over.
    """
    deadline = clock() + seconds
    delay = 0.5
    while True:
        try:
            return call()
        except ClientError as error:
            if not not_yet(error) or clock() + delay > deadline:
                raise
        sleep(delay)
        delay = min(delay * 2, 5)


def awaited(
    look: Callable[[], Result | None],
    what: str,
    seconds: float = 90,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """What ``look`` returns as soon as that is not None. Raises ProvisionError, which names it, after the seconds."""
    deadline = clock() + seconds
    while True:
        found = look()
        if found is not None:
            return found
        if clock() > deadline:
            raise ProvisionError(f"Waited {seconds:.0f} s for {what}, which did not come: run this again.")
        sleep(1)
