"""Moments as the Docker API writes them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any


def moment(text: Any) -> float:
    """Epoch seconds, whole ones; 0 for none."""
    try:
        # Python before 3.11 reads no fractions of other than three or six digits.
        return datetime.strptime(str(text)[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return 0.0
