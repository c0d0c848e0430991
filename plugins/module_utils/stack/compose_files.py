"""The compose files of a stack on the controller, and the files that have to travel to a manager with them.

Docker's command on the manager decides what the files say. Here they are only searched for what it cannot know there:
the files that they name, and the lines of entries. Keys of the Compose specification that the command does not know,
``name`` and the ``content`` and ``environment`` of configs and secrets, become extensions (``x-content``), which it
leaves alone but interpolates.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .compose import SECTIONS, Bundle, check_name, check_size
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
# In the order in which Docker looks for them, anywhere between the braces.
_OPERATORS = (":-", "-", ":?", "?")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ANCHOR = re.compile(r"(?:[&!]\S*\s+)*")
# Deeper than any entry of a compose file.
_DEPTH = 10


class _StructureLoader(yaml.BaseLoader if yaml else object):  # type: ignore[misc]
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
    search = _Search(Bundle(stack, [_absolute(path) for path in paths], {**environment, **given}))
    for path in paths:
        try:
            search.compose_file(path)
        except RecursionError:
            raise StackError(f"{path}: an anchor contains itself: write it without.") from None
    made = search.bundle
    if not any(name.startswith("services.") for name in made.lines):
        raise StackError(f"{paths[0]} is not a compose file: it needs a mapping 'services' with at least one service.")
    words = {word for text in made.files.values() for word in _WORD.findall(text)}
    made.variables = {name: value for name, value in made.variables.items() if name in given or name in words}
    return made


class _Search:
    """A search in compose files, which fills a bundle."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self._folder = bundle, Path(bundle.sources[0]).parent
        self._text = ""
        # The replacements in the present file, by their beginning.
        self._edits: dict[int, tuple[int, str]] = {}

    def compose_file(self, path: Path) -> None:
        self._edits, self._text = {}, _read(path)
        for name, (title, section) in _pairs(_structure(self._text, path)).items():
            if name == "name":
                self._hide(title)
            for where, key, node in _walk(title, section, (name,)) if name in SECTIONS else ():
                line = self.bundle.lines[".".join(where)] = _line(key)
                if isinstance(node, yaml.ScalarNode):
                    self._check_variables(node.value, line)
            for key, (_title, entry) in _pairs(section).items():
                if name == "services" and "env_file" in _pairs(entry):
                    self._env_files(f"services.{key}", _pairs(entry)["env_file"][1])
                elif name in ("configs", "secrets"):
                    self._content(name, key, _pairs(entry))
        text = self._text
        for start, (end, replacement) in sorted(self._edits.items(), reverse=True):
            text = text[:start] + replacement + text[end:]
        self.bundle.files[_absolute(path)] = text.encode().decode("latin-1")

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
                    "Docker does not replace: set the variable in stack_environment, and write it without a default."
                )
            operator = match["operator"]
            earlier = _OPERATORS[: _OPERATORS.index(operator)] if operator else ()
            if found := next((other for other in earlier if other in match["default"]), None):
                raise StackError(
                    f"{line}: '{match[0]}' has '{found}' after '{operator}', and Docker would take what follows it for "
                    f"the variable's default, even if the variable is set: write it without '{found}'."
                )
            warning = (
                f"{line}: the variable {name} is not set, so Docker puts nothing there. Set it in "
                f"stack_environment or in the environment, or write ${{{name}:-default}}."
            )
            unset = name and not match["operator"] and name not in self.bundle.variables
            if unset and warning not in self.bundle.warnings:
                self.bundle.warnings.append(warning)

    def _env_files(self, service: str, node: Any) -> None:
        for entry in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            options = {key: _scalar(value) for key, (_title, value) in _pairs(entry).items()}
            path = self._replaced(options.get("path", "") if options else _scalar(entry))
            # Docker refuses the others.
            if path:
                self._file(path, service, optional=options.get("required") == "false")
                # Docker's command knows no long form, and an absolute path would be the manager's own file.
                if options or path.startswith("/"):
                    self._replace(entry, os.path.relpath(self._folder / path, self._folder))

    def _content(self, section: str, key: str, entry: dict[str, tuple[Any, Any]]) -> None:
        where = f"{section}.{key}"
        if "x-generate" in entry and "name" not in entry:
            self.bundle.generated.append(key)
        kind = next((kind for kind in ("file", "content", "environment") if kind in entry), None)
        if kind is None:
            return
        title, node = entry[kind]
        data = self._replaced(_scalar(node))
        if kind != "file":
            self._hide(title)
        if kind == "environment":
            if data not in self.bundle.variables:
                raise StackError(f"{self.bundle.where(where)} uses the variable {data}, which is not set: set it.")
            data = self.bundle.variables[data]
        if data is not None:
            content = self._file(data, where) if kind == "file" else data.encode()
            check_size(section, self.bundle.where(where), content)
            self.bundle.masked += [content.decode("latin-1")] if section == "secrets" else []

    def _replaced(self, text: str) -> str | None:
        """The text with its variables replaced; None if Docker will refuse it."""

        def value(match: re.Match[str]) -> str:
            found = "$" if match["dollar"] else self.bundle.variables.get(match["bare"] or match["name"])
            if found or (found is not None and not (match["operator"] or "").startswith(":")):
                return found
            if (match["operator"] or "").endswith("?"):
                raise LookupError
            return match["default"] or ""

        try:
            return _VARIABLE.sub(value, text)
        except LookupError:
            return None

    def _file(self, path: str, where: str, *, optional: bool = False) -> bytes:
        """Add a file, and return its content."""
        try:
            data = (self._folder / Path(path).expanduser()).read_bytes()
        except (OSError, ValueError) as error:
            if not optional:
                reason = getattr(error, "strerror", error)
                raise StackError(
                    f"{self.bundle.where(where)} names the file '{path}', which cannot be read: {reason}."
                ) from None
            data = b""
        self.bundle.files[_absolute(self._folder / path)] = data.decode("latin-1")
        return data

    def _hide(self, title: Any) -> None:
        """Make a key an extension, which Docker leaves alone."""
        start = title.start_mark.index + (title.style is not None)
        self._edits[start] = (start, "x-")

    def _replace(self, node: Any, path: str) -> None:
        """Replace an entry and leave the following lines where they are."""
        anchor = _ANCHOR.match(self._text, node.start_mark.index, node.end_mark.index)
        start, end = anchor.end() if anchor else 0, node.end_mark.index
        lines = self._text[start:end].split("\n")
        tail = "\n" * (len(lines) - 1) + (lines[-1] if len(lines) > 1 else "")
        self._edits[start] = (end, json.dumps(path.replace("$", "$$")) + tail)


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
    """The document's root, with all scalars as they are written."""
    try:
        loader = _StructureLoader(text)
        # For the marks of nodes.
        loader.name = str(path)
        return loader.get_node() if loader.check_node() else None
    except yaml.YAMLError as error:
        if "\t" in text:
            # Docker takes more of them for spaces than PyYAML.
            return _structure(text.replace("\t", " "), path)
        # Without the text, which may be a secret.
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", "it has unprintable characters")
        where = f", line {mark.line + 1}" if mark else ""
        raise StackError(f"{path}{where}: the file is not valid YAML: {problem}.") from None


def _scalar(node: Any) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _line(node: Any) -> str:
    return f"{node.start_mark.name}, line {node.start_mark.line + 1}"


def _pairs(node: Any) -> dict[str, tuple[Any, Any]]:
    """The nodes of a mapping's keys and values, with merge keys (``<<``) resolved; empty for other nodes."""
    own: dict[str, tuple[Any, Any]] = {}
    merged: dict[str, tuple[Any, Any]] = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        if key.value == "<<":
            for other in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                merged = {**_pairs(other), **merged}
        elif str(key.value) in own:
            raise StackError(
                f"{_line(key)}: '{key.value}' stands here again, after {_line(own[key.value][0])}. Some versions of "
                "Docker ignore the first without a word: remove one of them."
            )
        elif isinstance(key.value, str):
            own[key.value] = (key, value)
    return {**merged, **own}


def _walk(key: Any, node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """The path, key and value of each entry."""
    yield path, key, node
    below = _pairs(node)
    if isinstance(node, yaml.SequenceNode):
        below = {str(position): (item, item) for position, item in enumerate(node.value)}
    for name, (own, value) in below.items() if len(path) < _DEPTH else ():
        yield from _walk(own, value, (*path, name))
