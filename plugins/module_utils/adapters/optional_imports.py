"""What stands in for the exceptions of a package that is not installed."""

from __future__ import annotations

from typing import Any, List


def exceptions(*names: str) -> List[Any]:
    """An exception class for each name, which nothing ever raises, so that ``except`` clauses can name it."""
    return [type(name, (Exception,), {}) for name in names]
