"""Errors, with messages for an operator."""

from __future__ import annotations

import traceback
from pathlib import PurePath


class SwarmError(Exception):
    """An operator must act. The message is a clear sentence without secrets."""


class Unavailable(SwarmError):
    """A service did not answer, so nothing may be concluded. Try again later.

    After a write, the write may have taken effect, or still may.
    """


class Unreadable(Unavailable):
    """A service's answer has an unexpected shape. Its other answers may be good."""


def unexpected(error: BaseException) -> str:
    """An unexpected error as a clause: its type and where it was raised.

    Its message is left out, since it may contain a secret.
    """
    *_callers, (frame, line) = traceback.walk_tb(error.__traceback__)
    place = f"{PurePath(frame.f_code.co_filename).name}, line {line}"
    return f"an unexpected {type(error).__name__} in {place}; report it as a defect of swarm.aws"
