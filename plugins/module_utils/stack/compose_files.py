"""The compose files of a stack on the controller, and the files that have to travel to a manager with them.

Docker's command on the manager decides what the files say. Here they are only searched for what it cannot know there:
the files that they name, and where the entries are. Two keys of the Compose specification that the command does not
know, ``content`` and ``environment`` of configs and secrets, are turned into extensions (``x-content``), which it
leaves alone but interpolates.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .compose import SECTIONS, Blob, Bundle, check_name, check_size
from .stack_error import StackError

try:
    import yaml
except ImportError:
    yaml = None  # type: ignore[assignment]

# As docker/cli, cli/compose/template/template.go.
_VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<bare>[A-Za-z_][A-Za-z0-9_]*)(?P<swallows>:?[-?])?"
    r"|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<operator>:?[-?])(?P<default>[^}]*))?\})"
)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ANCHOR = re.compile(r"(?:[&!]\S*\s+)*")
# Deeper than any entry of a compose file.
_DEPTH = 10


class _Loader(yaml.BaseLoader if yaml else object):  # type: ignore[misc]
    """Reads the first document, as Docker's command does, and lets an anchor be set again."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if not self.check_event(yaml.AliasEvent):
            self.anchors.pop(self.peek_event().anchor, None)
        return super().compose_node(parent, index)


def bundle(stack: str, paths: Sequence[Path], given: Mapping[str, str], environment: Mapping[str, str]) -> Bundle:
    """Read compose files and the files that they name.

    Relative paths are relative to the first file's folder, as Docker has it. All of ``given`` travels, and of
    ``environment`` only the variables whose names stand in the files. Raises StackError.
    """
    check_name(stack)
    search = _Search(Path(_absolute(paths[0])).parent, {**environment, **given})
    for path in paths:
        search.compose_file(path)
    services = sorted({name.split(".")[1] for name in search.lines if name.startswith("services.")})
    if not services:
        raise StackError(f"{paths[0]} is not a compose file: it needs a mapping 'services' with at least one service.")
    words = {word for data in search.texts for word in _WORD.findall(data)}
    return Bundle(
        stack,
        tuple(map(_absolute, paths)),
        search.files,
        {**{name: environment[name] for name in words if name in environment}, **given},
        tuple(search.secrets),
        tuple(services),
        tuple(search.generated),
        search.lines,
        tuple(dict.fromkeys(search.warnings)),
    )


class _Search:
    """What is found in the compose files."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._folder, self._variables = folder, variables
        self.files: dict[str, bytes] = {}
        self.texts: list[str] = []
        self.secrets: list[Blob] = []
        self.generated: list[str] = []
        self.lines: dict[str, str] = {}
        self.warnings: list[str] = []
        # The replacements in the present file, by their beginning.
        self._edits: dict[int, tuple[int, str]] = {}

    def compose_file(self, path: Path) -> None:
        text = _read(path)
        self._edits = {}
        for name, section in _entries(_structure(text, path)).items():
            if name not in SECTIONS:
                continue
            for where, key, node in _walk(section, section, (name,)):
                line = f"{path}, line {key.start_mark.line + 1}"
                self.lines[".".join(where)] = line
                if isinstance(node, yaml.ScalarNode):
                    self._check_variables(node.value, line)
            for key, entry in _entries(section).items():
                if name == "services":
                    self._env_files(key, _entries(entry).get("env_file"), text)
                elif name in ("configs", "secrets"):
                    self._content(name, key, entry)
        for start, (end, replacement) in sorted(self._edits.items(), reverse=True):
            text = text[:start] + replacement + text[end:]
        self.files[_absolute(path)] = text.encode()
        self.texts.append(text)

    def _check_variables(self, text: str, line: str) -> None:
        """Refuse what Docker's command makes into something else without a word; warn of unset variables."""
        for match in _VARIABLE.finditer(text):
            name = match["bare"] or match["name"]
            if match["swallows"]:
                raise StackError(
                    f"{line}: Docker takes what follows '{match[0]}' for a part of the variable and drops it if the "
                    f"variable is set: write ${{{name}}} in braces."
                )
            if "$" in (match["default"] or ""):
                raise StackError(
                    f"{line}: '{text[match.start() : match.end() + 1]}' has a '$' within a variable's default, which "
                    "Docker does not replace: set the variable in stack_environment instead, without the nested one."
                )
            if name and not match["operator"] and name not in self._variables:
                self.warnings.append(
                    f"{line}: the variable {name} is not set, so Docker puts nothing there. Set it in "
                    f"stack_environment or in the environment, or write ${{{name}:-default}}."
                )

    def _env_files(self, service: str, node: Any, text: str) -> None:
        for entry in node.value if isinstance(node, yaml.SequenceNode) else [node] if node else []:
            options = {key: value.value for key, value in _entries(entry).items()}
            path = self._replaced(options.get("path", "") if options else entry.value)
            if path is None:
                continue
            where = f"service '{service}' ({self.lines[f'services.{service}']})"
            self._file(path, where, optional=options.get("required") == "false")
            if options or path.startswith("/"):
                # Docker's command knows no long form. An absolute path would be the manager's own file.
                self._edit(entry, os.path.relpath(self._folder / path, self._folder), text)

    def _content(self, section: str, key: str, entry: Any) -> None:
        found = {name: pair for name, pair in _pairs(entry).items() if isinstance(pair[1], yaml.ScalarNode)}
        where = f"{section}.{key} ({self.lines[f'{section}.{key}']})"
        if "x-generate" in found and "name" not in found:
            self.generated.append(key)
        for name in ("content", "environment"):
            if name in found:
                mark = found[name][0].start_mark.index + (found[name][0].style is not None)
                self._edits[mark] = (mark, "x-")
        data = None
        if "file" in found:
            path = self._replaced(found["file"][1].value)
            data = None if path is None else self._file(path, where)
        elif "content" in found:
            content = self._replaced(found["content"][1].value)
            data = None if content is None else content.encode()
        elif "environment" in found:
            name = found["environment"][1].value
            if name not in self._variables:
                raise StackError(f"{where} uses the variable {name}, which is not set: set it.")
            data = self._variables[name].encode()
        if data is not None:
            check_size(section, key, data)
            self.secrets += [Blob(key, data)] if section == "secrets" else []

    def _replaced(self, text: str) -> str | None:
        """The text with its variables replaced; None if Docker will refuse it."""

        def value(match: re.Match[str]) -> str:
            name = match["bare"] or match["name"]
            if match["dollar"]:
                return "$"
            found = self._variables.get(name)
            operator = match["operator"] or ""
            if found or (found is not None and ":" not in operator):
                return found
            if "?" in operator:
                raise KeyError(name)
            return match["default"] or ""

        try:
            return _VARIABLE.sub(value, text)
        except KeyError:
            return None

    def _file(self, path: str, where: str, *, optional: bool = False) -> bytes:
        """Add a file, and return its content."""
        try:
            data = (self._folder / Path(path).expanduser()).read_bytes()
        except OSError as error:
            if not optional:
                raise StackError(f"{where} names the file '{path}', which cannot be read: {error.strerror}.") from None
            data = b""
        self.files[_absolute(self._folder / path)] = data
        self.texts.append(data.decode(errors="ignore"))
        return data

    def _edit(self, node: Any, replacement: str, text: str) -> None:
        """Replace an entry and leave the following lines where they are."""
        start, end = node.start_mark.index, node.end_mark.index
        anchor = _ANCHOR.match(text, start, end)
        start = anchor.end() if anchor else start
        old = text[start:end]
        tail = "\n" * old.count("\n") + (old.rpartition("\n")[2] if "\n" in old else "")
        self._edits[start] = (end, json.dumps(replacement.replace("$", "$$")) + tail)


def _absolute(path: Path) -> str:
    return os.path.normpath(path.absolute())


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise StackError(f"The compose file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise StackError(f"The compose file {path} is not UTF-8 text.") from None


def _structure(text: str, path: Path) -> Any:
    """The document's root, a mapping, with all scalars as they are written."""
    try:
        loader = _Loader(text)
        root = loader.get_node() if loader.check_node() else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise StackError(
            f"The compose file {path} is not valid YAML{where}: {getattr(error, 'problem', error)}."
        ) from None
    if not isinstance(root, yaml.MappingNode):
        raise StackError(f"{path} is not a compose file: it needs a mapping of options.")
    return root


def _pairs(node: Any) -> dict[str, tuple[Any, Any]]:
    """The nodes of a mapping's keys and values, with merge keys (``<<``) resolved."""
    found: dict[str, tuple[Any, Any]] = {}
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    for key, value in pairs:
        if key.value == "<<":
            for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                found = {**_pairs(merged), **found}
    return {**found, **{key.value: (key, value) for key, value in pairs if isinstance(key.value, str)}}


def _entries(node: Any) -> dict[str, Any]:
    return {key: value for key, (_key, value) in _pairs(node).items() if key != "<<"}


def _walk(key: Any, node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """The path, key and value of each entry."""
    yield path, key, node
    if len(path) < _DEPTH:
        below = {name: pair for name, pair in _pairs(node).items() if name != "<<"}
        if isinstance(node, yaml.SequenceNode):
            below = {str(position): (item, item) for position, item in enumerate(node.value)}
        for name, (own, value) in below.items():
            yield from _walk(own, value, (*path, name))
