"""The condition operators of policies."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Context = Mapping[str, "str | Sequence[str]"]
"""Condition keys and their values in a request; names are case-insensitive."""

_VARIABLE = re.compile(r"\$\{([^}]+)\}")


def hold(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Whether all conditions of a statement hold."""
    lowered = {key.lower(): value for key, value in context.items()}
    return all(
        _holds(said, key, _as_list(values), lowered)
        for said, pairs in conditions.items()
        for key, values in pairs.items()
    )


def wildcard(pattern: str, text: str) -> bool:
    """Whether a text matches a pattern with ``*`` and ``?``."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.DOTALL) is not None


def substitute(text: str, context: Context) -> str:
    """Replace policy variables such as ``${aws:PrincipalAccount}`` by the request's values."""
    lowered = {key.lower(): value for key, value in context.items()}

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name in ("*", "?", "$"):
            return name
        present = lowered.get(name.lower())
        return present if isinstance(present, str) else found.group(0)

    return _VARIABLE.sub(value, text)


def _holds(said: str, key: str, wanted: list[str], context: Context) -> bool:
    quantifier, _, name = said.rpartition(":")
    optional = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    present = context.get(key.lower())
    if name == "Null":
        return (present is None) == (str(wanted[0]).lower() == "true")
    if present is None:
        # Negated operators and ForAllValues are true for a missing key.
        return optional or quantifier == "ForAllValues" or (quantifier != "ForAnyValue" and name in _NEGATED)
    values = [present] if isinstance(present, str) else list(present)
    wanted = [substitute(str(pattern), context) for pattern in wanted]
    if quantifier == "ForAllValues":
        return all(_compare(name, value, wanted) for value in values)
    if quantifier == "ForAnyValue":
        return any(_compare(name, value, wanted) for value in values)
    return len(values) == 1 and _compare(name, values[0], wanted)


def _compare(name: str, value: str, wanted: list[str]) -> bool:
    if name not in _OPERATORS and name not in _NEGATED:
        raise ValueError(f"the lab's IAM does not support the condition operator {name}")
    matches = _OPERATORS[name.replace("Not", "")]
    return any(matches(value, pattern) for pattern in wanted) != (name in _NEGATED)


def _arn(value: str, pattern: str) -> bool:
    values, patterns = value.split(":", 5), pattern.split(":", 5)
    return len(values) == len(patterns) and all(wildcard(*pair) for pair in zip(patterns, values, strict=True))


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": operator.eq,
    "StringLike": lambda value, wanted: wildcard(wanted, value),
    "ArnEquals": _arn,
    "ArnLike": _arn,
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
}
_NEGATED = {"StringNotEquals", "StringNotLike", "ArnNotEquals", "ArnNotLike"}


def _as_list(value: Any) -> list[str]:
    if isinstance(value, bool):
        return [str(value).lower()]
    return list(value) if isinstance(value, list) else [str(value)]
