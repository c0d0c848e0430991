"""Counts in sentences."""

from __future__ import annotations

import re


def counted(count: int, noun: str) -> str:
    """The count and its noun, which is in the plural unless the count is 1: ``1 task``, ``0 tasks``."""
    if count != 1:
        noun = f"{noun}es" if noun.endswith("s") else re.sub("([^aeiou])y$", r"\1ie", noun) + "s"
    return f"{count} {noun}"
