"""Checks the types of variables given with -e, as text or as JSON."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from .._core.removal_check import INSTANCE_ID
from .configuration_schema import Spec, purpose

# This variable has one or more instance IDs, regardless of the option that it sets.
INSTANCE = "id"
# The filter `bool` reads anything else as false.
BOOLEANS = ("true", "false", "yes", "no", "on", "off", "1", "0")
_KINDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "str": ("a string", lambda value: isinstance(value, str)),
    "path": ("a path", lambda value: isinstance(value, str)),
    "int": ("an integer, at least 0", lambda value: not isinstance(value, bool) and str(value).strip().isdecimal()),
    "bool": ("true or false", lambda value: str(value).lower() in BOOLEANS),
    "dict": ("a mapping", lambda value: isinstance(value, Mapping)),
    "list": ("a list", lambda value: isinstance(value, list)),
    "texts": ("a list of strings, or a string separated by commas", lambda value: not _no_texts(value)),
}


def refusals(given: Mapping[str, Any], options: Spec, required: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each value that is missing or of the wrong type; ``options`` are the options by variable.

    A string is accepted for any type that it can be converted to, since command-line values are strings. The contents
    of a mapping or a list are not shown, since they may be secret. ``required`` has the sentences
    for variables that are missing or empty.
    """
    missing = {name: sentence for name, sentence in (required or {}).items() if given.get(name) in (None, "", [])}
    return [
        *missing.values(),
        *(
            sentence
            for name, value in given.items()
            if name not in missing
            for sentence in _refusals(name, value, options[name])
        ),
    ]


def _refusals(name: str, value: Any, option: Mapping[str, Any]) -> list[str]:
    kind = option.get("type", "str")
    if kind == "list" and option.get("elements", "str") == "str":
        kind = "texts"
    words, takes = _KINDS[kind]
    if name == INSTANCE:
        # The removal checks the items of a list, with whatever else is wrong with them.
        wrong = _no_texts(value) if kind == "texts" else [value] * (not _is_instance_id(value))
        return [
            f"{name} is {_shown(item)}, which is not an instance ID: expected i- and 17 hexadecimal digits."
            for item in wrong
        ]
    if takes(value):
        return []
    return [f"{name} is {_shown(value)}, but must be {words}: {purpose(option)}"]


def _is_instance_id(value: Any) -> bool:
    """An empty text stands for none."""
    return isinstance(value, str) and (not value or bool(INSTANCE_ID.fullmatch(value)))


def _no_texts(value: Any) -> list[Any]:
    """The items of a list, or a single value, that are not strings."""
    return [item for item in (value if isinstance(value, list) else [value]) if not isinstance(item, str)]


def _shown(value: Any) -> str:
    if isinstance(value, (list, Mapping)):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"'{value}'" if isinstance(value, str) else str(value)
