"""Timestamps of the Docker API."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any


def moment(text: Any) -> float:
    """Epoch seconds; 0 for none."""
    found = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?", str(text))
    if found is None:
        return 0.0
    # Python before 3.11 only reads fractions of three or six digits.
    whole = datetime.strptime(found[1], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return whole.timestamp() + float(found[2] or 0)
