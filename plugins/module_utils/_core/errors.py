"""What can go wrong, as sentences for an operator."""

from __future__ import annotations

import traceback
from pathlib import PurePath


class SwarmError(Exception):
    """Somebody must do something; the message is one clear sentence without secrets."""


class Unavailable(SwarmError):
    """Something outside gave no answer, so nothing may be concluded from it; trying again later is right.

    When it was raised by a write, the write may have taken effect, or may yet.
    """


class Unreadable(Unavailable):
    """What it answered has not the shape that it should have. Other questions to it may well be answered."""


def unexpected(error: BaseException) -> str:
    """A raised error that nobody foresaw, as a clause: its type and where it was raised.

    Its own words are left out, since there may be a secret in them.
    """
    *_callers, (frame, line) = traceback.walk_tb(error.__traceback__)
    place = f"{PurePath(frame.f_code.co_filename).name}, line {line}"
    return f"an unexpected {type(error).__name__} in {place}; report it as a defect of swarm.aws"
