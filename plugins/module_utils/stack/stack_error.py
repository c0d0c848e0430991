"""Errors with a stack, as a sentence for the operator."""

from __future__ import annotations


class StackError(Exception):
    """The message names the input, what was expected, and what to do."""
