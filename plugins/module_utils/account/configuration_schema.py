"""Checks a configuration against the argument specs, and reports all errors at once."""

from __future__ import annotations

import difflib
from typing import Any, Callable, Dict, Iterable, Iterator, Mapping

Spec = Mapping[str, Mapping[str, Any]]
# Keys with this prefix are the operator's own.
OWN_PREFIX = "x_"

_KINDS = {
    "str": "a string",
    "int": "an integer",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping",
    "path": "a path",
}


class Advice(str):
    """A warning; any other sentence is an error."""


class Unsound(Exception):
    """A value that is wrong or missing, and already reported, was needed."""


class SoundConfig(Dict[str, Any]):
    """A configuration without the values that its spec refuses; raises Unsound for them."""

    def __missing__(self, key: str) -> Any:
        raise Unsound(key)


def while_sound(sentences: Callable[[], Iterable[str]]) -> Iterator[str]:
    """The sentences until one of them needs a value that is not sound."""
    try:
        yield from sentences()
    except Unsound:
        return


def suggestion(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` if a known word is near, else an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


def unknown_keys(where: str, keys: Iterable[str], known: Iterable[str]) -> list[str]:
    """A sentence for each unknown key."""
    known = sorted(known)
    errors = []
    for key in keys:
        if key in known or str(key).startswith(OWN_PREFIX):
            continue
        hint = suggestion(str(key), known) or f"; known are {', '.join(known)}."
        errors.append(f"{where}: unknown key '{key}'{hint}")
    return errors


def check(config: Mapping[str, Any], spec: Spec, where: str = "") -> list[str]:
    """A sentence for each value that is missing or is not what its spec says. Does not look for unknown keys on top."""
    errors = []
    for key, rule in spec.items():
        path = f"{where}.{key}" if where else key
        value = config.get(key)
        if value is None:
            if rule.get("required"):
                errors.append(f"{path} is missing: {purpose(rule)}")
            continue
        errors += _check_value(path, value, rule)
    return errors


def with_defaults(config: Mapping[str, Any], spec: Spec) -> dict[str, Any]:
    """The configuration with the specs' defaults in place of what is not set."""
    result: dict[str, Any] = {}
    for key, rule in spec.items():
        value = config.get(key)
        if value is None:
            value = rule.get("default")
        if "options" in rule and isinstance(value, Mapping):
            value = with_defaults(value, rule["options"])
        elif "options" in rule and isinstance(value, list):
            value = [with_defaults(item, rule["options"]) if isinstance(item, Mapping) else item for item in value]
        result[key] = value
    return result


def texts(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Keys and values as strings. The rules refuse values that cannot be strings, such as lists."""
    return {str(key): _text(value) for key, value in values.items()}


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


def _check_value(path: str, value: Any, rule: Mapping[str, Any]) -> list[str]:
    kind, choices = rule.get("type", "str"), rule.get("choices")
    is_kind = _is(value, kind)
    if choices and not (is_kind and value in choices):
        # Similar numbers are not typing errors.
        hint = suggestion(value, map(str, choices)) if isinstance(value, str) else ""
        return [f"{path} is {value!r}, but must be one of {', '.join(map(str, choices))}{hint or '.'}"]
    if not is_kind:
        return [f"{path} is {value!r}, but must be {_what(kind, rule)}: {purpose(rule)}"]
    if kind == "dict" and "options" in rule:
        return [*unknown_keys(path, value, rule["options"]), *check(value, rule["options"], path)]
    if kind == "list":
        errors = []
        element = {**rule, "type": rule.get("elements", "str")}
        for number, item in enumerate(value):
            errors += _check_value(_element_path(path, number, item), item, element)
        return errors
    return []


def _element_path(path: str, number: int, element: Any) -> str:
    """The element's path, with its name if it has a name, as an operator looks for it."""
    name = element.get("name") if isinstance(element, Mapping) else None
    return f"{path}[{name or number}]"


def _is(value: Any, kind: str) -> bool:
    if kind in ("str", "path"):
        # YAML turns such text into numbers.
        return isinstance(value, (str, int, float)) and not isinstance(value, bool)
    if kind == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, {"bool": bool, "list": list, "dict": Mapping}[kind])


def _what(kind: str, rule: Mapping[str, Any]) -> str:
    """The kind of value in words, with a mapping's keys."""
    keys = rule.get("options") if kind == "dict" else None
    return f"{_KINDS[kind]} of {', '.join(sorted(keys))}" if keys else _KINDS[kind]


def purpose(rule: Mapping[str, Any]) -> str:
    """The first sentence of an option's description."""
    description = rule.get("description", "")
    text = description if isinstance(description, str) else str(description[0])
    return text.split(". ")[0].rstrip(".") + "."
