"""Reading untrusted input: JSON, and numbers in labels and tags."""

from __future__ import annotations

import json
import math
from typing import Any, Optional, Union

# Levels of lists and mappings: far more than any document has, far fewer than exhaust the interpreter's stack.
DEEPEST = 64
# The largest count that the engine and AWS know.
LARGEST = 2**63 - 1
# The errors of a decoded answer with an unexpected shape.
SHAPE_ERRORS = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)


def decoded(content: Union[bytes, str]) -> Any:
    """The value of a JSON text. Raises ValueError if it is not JSON or not usable.

    It is not usable if it is nested too deeply, or has a number that is not finite or text that cannot be encoded.
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
    """The finite number in a text such as a label's value; None if there is none."""
    try:
        found = float(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def whole(text: Any) -> Optional[int]:
    """The count in a text, from 0 to the limit of the engine and AWS; None if there is none."""
    try:
        found = int(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if 0 <= found <= LARGEST else None
