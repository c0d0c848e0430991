"""The condition operators of policies."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

Context = Mapping[str, "str | Sequence[str]"]
"""Condition keys and their values in a request; names are compared without regard to case."""

_VARIABLE = re.compile(r"\$\{([^}]+)\}")


def hold(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Whether all conditions of a statement hold."""
    lowered = {key.lower(): value for key, value in context.items()}
    return all(
        _holds(operator, key, _as_list(values), lowered)
        for operator, pairs in conditions.items()
        for key, values in pairs.items()
    )


def wildcard(pattern: str, text: str) -> bool:
    """Whether a text matches a pattern with ``*`` and ``?``."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.DOTALL) is not None


def substitute(text: str, context: Context) -> str:
    """Put the request's values in place of policy variables such as ``${aws:PrincipalAccount}``."""
    lowered = {key.lower(): value for key, value in context.items()}

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name in ("*", "?", "$"):
            return name
        present = lowered.get(name.lower())
        return present if isinstance(present, str) else found.group(0)

    return _VARIABLE.sub(value, text)


def _holds(operator: str, key: str, wanted: list[str], context: Context) -> bool:
    quantifier, _, name = operator.rpartition(":")
    optional = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    present = context.get(key.lower())
    if name == "Null":
        return (present is None) == (str(wanted[0]).lower() == "true")
    if present is None:
        # A negated operator holds for what is not there, and so does 'all of none'.
        return optional or quantifier == "ForAllValues" or (quantifier != "ForAnyValue" and _negated(name))
    values = [present] if isinstance(present, str) else list(present)
    wanted = [substitute(str(one), context) for one in wanted]
    if quantifier == "ForAllValues":
        return all(_compare(name, value, wanted) for value in values)
    if quantifier == "ForAnyValue":
        return any(_compare(name, value, wanted) for value in values)
    return len(values) == 1 and _compare(name, values[0], wanted)


def _negated(name: str) -> bool:
    return "Not" in name


def _compare(name: str, value: str, wanted: list[str]) -> bool:
    if name not in _OPERATORS:
        raise ValueError(f"the lab's IAM does not know the condition operator {name}")
    matched = any(_OPERATORS[name](value, one) for one in wanted)
    return not matched if _negated(name) else matched


def _arn(value: str, pattern: str) -> bool:
    values, patterns = value.split(":", 5), pattern.split(":", 5)
    return len(values) == len(patterns) and all(wildcard(*pair) for pair in zip(patterns, values, strict=True))


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    return lambda value, wanted: compare(float(value), float(wanted))


def _date(compare: Callable[[datetime, datetime], bool]) -> Callable[[str, str], bool]:
    def read(text: str) -> datetime:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))

    return lambda value, wanted: compare(read(value), read(wanted))


def _within(value: str, network: str) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(network, strict=False)


_EQUAL: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": lambda value, wanted: wildcard(wanted, value),
    "ArnEquals": _arn,
    "ArnLike": _arn,
    "NumericEquals": _number(lambda one, other: one == other),
    "DateEquals": _date(lambda one, other: one == other),
    "IpAddress": _within,
}
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    **_EQUAL,
    "StringNotEquals": _EQUAL["StringEquals"],
    "StringNotEqualsIgnoreCase": _EQUAL["StringEqualsIgnoreCase"],
    "StringNotLike": _EQUAL["StringLike"],
    "ArnNotEquals": _arn,
    "ArnNotLike": _arn,
    "NumericNotEquals": _EQUAL["NumericEquals"],
    "DateNotEquals": _EQUAL["DateEquals"],
    "NotIpAddress": _within,
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
    "NumericLessThan": _number(lambda one, other: one < other),
    "NumericLessThanEquals": _number(lambda one, other: one <= other),
    "NumericGreaterThan": _number(lambda one, other: one > other),
    "NumericGreaterThanEquals": _number(lambda one, other: one >= other),
    "DateLessThan": _date(lambda one, other: one < other),
    "DateLessThanEquals": _date(lambda one, other: one <= other),
    "DateGreaterThan": _date(lambda one, other: one > other),
    "DateGreaterThanEquals": _date(lambda one, other: one >= other),
}


def _as_list(value: Any) -> list[str]:
    if isinstance(value, bool):
        return [str(value).lower()]
    return list(value) if isinstance(value, list) else [str(value)]
