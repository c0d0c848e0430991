"""Placeholders for the exceptions of a package that is not installed."""

from __future__ import annotations

from typing import Any, List


def exceptions(*names: str) -> List[Any]:
    """An exception class for each name, for ``except`` clauses. Nothing raises it."""
    return [type(name, (Exception,), {}) for name in names]
