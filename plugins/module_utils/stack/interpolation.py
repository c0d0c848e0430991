"""Variables in a compose file: ``$NAME``, ``${NAME}``, ``${NAME:-default}``, ``${NAME-default}``, ``${NAME:?error}``,
``${NAME?error}`` and ``$$`` for a dollar sign."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .stack_error import StackError

_VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)"
    r"|(?P<bare>[A-Za-z_]\w*)"
    r"|\{(?P<name>[A-Za-z_]\w*)(?:(?P<operator>:?[-?])(?P<argument>[^}]*))?\}"
    r"|(?P<invalid>))"
)
_NUMBER = re.compile("mode|retries|replicas|parallelism|max_attempts|max_replicas_per_node|target|published|soft|hard")
_SWITCH = re.compile("disable|privileged|read_only|stdin_open|tty|init|external|internal|attachable|nocopy")


def interpolate(value: Any, variables: Mapping[str, str], where: str = "") -> Any:
    """Return the value with all variables replaced, in nested mappings and lists too.

    A variable may stand for a number or a boolean where the compose format expects it.
    Raises StackError for a variable that has neither a value nor a default, and for a malformed variable.
    """
    if isinstance(value, dict):
        return {key: interpolate(item, variables, f"{where}.{key}".lstrip(".")) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, variables, where) for item in value]
    if not isinstance(value, str) or "$" not in value:
        return value
    return _typed(_VARIABLE.sub(lambda match: _replacement(match, variables, where), value), where)


def _replacement(match: re.Match[str], variables: Mapping[str, str], where: str) -> str:
    if match["dollar"]:
        return "$"
    name = match["bare"] or match["name"]
    if not name:
        raise StackError(f"{where} has a '$' without a variable: write '$$' for a dollar sign.")
    operator = match["operator"] or ""
    found = variables.get(name)
    if found is not None and (found or ":" not in operator):
        return found
    if operator.endswith("-"):
        return match["argument"]
    reason = f" ({match['argument']})" if operator.endswith("?") and match["argument"] else ""
    raise StackError(
        f"{where} uses the variable {name}, which has neither a value nor a default{reason}: "
        f"set it in stack_environment or in the environment, or write ${{{name}:-default}}."
    )


def _typed(text: str, where: str) -> Any:
    key = where.rpartition(".")[2]
    if _NUMBER.fullmatch(key) and re.fullmatch(r"\d+", text):
        return int(text)
    if key == "max_failure_ratio" and re.fullmatch(r"\d*\.?\d+", text):
        return float(text)
    if _SWITCH.fullmatch(key) and text.lower() in ("true", "false"):
        return text.lower() == "true"
    return text
