"""What goes wrong with a stack, in one sentence for the person who deploys it."""

from __future__ import annotations


class StackError(Exception):
    """Its text names the input, what was expected, and what to do."""
