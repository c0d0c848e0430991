"""What can go wrong, as sentences for an operator."""

from __future__ import annotations


class SwarmError(Exception):
    """Somebody must do something; the message is one clear sentence without secrets."""


class Unavailable(SwarmError):
    """Something outside gave no answer, so nothing may be concluded from it; trying again later is right.

    When it was raised by a write, the write may have taken effect, or may yet.
    """
