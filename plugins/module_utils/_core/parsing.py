"""Reading what comes from outside, whatever somebody put there: JSON, and numbers in labels and tags."""

from __future__ import annotations

import json
import math
from typing import Any, Optional, Union

# Levels of lists and mappings: far more than any document has, far fewer than exhaust the interpreter's stack.
DEEPEST = 64
# The largest count that the engine and AWS know.
LARGEST = 2**63 - 1
# What fails when a decoded answer has not the shape that it should have.
SHAPE_ERRORS = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)


def decoded(content: Union[bytes, str]) -> Any:
    """The value of a JSON text. Raises ValueError if it is not JSON, or nobody could go on with its value.

    That is so if it is nested too deeply, has a number that no float holds (or no number, such as NaN), or text that
    cannot be encoded.
    """
    try:
        found = json.loads(content)
        _check(found, DEEPEST)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (OverflowError, TypeError) as error:
        raise ValueError(str(error)) from None
    return found


def _check(value: Any, levels: int) -> None:
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, (int, float)):
        if not math.isfinite(value):
            raise ValueError("it has a number that is not finite")
    elif isinstance(value, (list, dict)):
        if not levels:
            raise ValueError(f"it is nested more than {DEEPEST} levels deep")
        for inner in value if isinstance(value, list) else (*value, *value.values()):
            _check(inner, levels - 1)


def number(text: Any) -> Optional[float]:
    """The finite number that a text such as a label's value gives; None if it gives none."""
    try:
        found = float(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def whole(text: Any) -> Optional[int]:
    """The count that a text gives, from 0 to what the engine and AWS can hold; None if it gives none."""
    try:
        found = int(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if 0 <= found <= LARGEST else None
