"""What Docker's own command makes of a stack's compose files, on a manager.

The files are in a private folder in memory while the command reads them. Their folders there are those of the
controller, below a root of their own, so that paths lead where they lead on the controller.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from . import definition
from .compose import Bundle
from .definition import Definition
from .docker_command import place, private_folder, run
from .stack_error import StackError

try:
    import yaml
except ImportError:
    yaml = None  # type: ignore[assignment]

_ENTRY = re.compile(r"\b(?:services|networks|volumes|configs|secrets)\.[\w.-]+\w")
_IGNORED = re.compile(r"^Ignoring unsupported options: (.*)$", re.MULTILINE)
_DEPRECATED = re.compile(r"^(\w+): (.*\.)$", re.MULTILINE)
_WARNING = re.compile(r'level=warning msg="(.*)"$', re.MULTILINE)
# Docker's command ignores this without a word: a swarm starts all services at once.
_STARTS_AT_ONCE = {"depends_on": "It starts all services at once and restarts them until they run."}


class _Loader(yaml.SafeLoader if yaml else object):  # type: ignore[misc]
    """Reads what the command prints: YAML 1.2, in which `no` and `12:30` are strings."""

    yaml_implicit_resolvers: dict[str, Any] = {}


if yaml:
    for kind, form, first in (
        ("bool", "true|false", "tf"),
        ("null", "null|~|", ["n", "~", ""]),
        ("int", "-?(0|[1-9][0-9]*)", "-0123456789"),
        ("float", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", "-0123456789"),
    ):
        _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"(?:{form})\\Z"), list(first))


def read(bundle: Bundle) -> Definition:
    """The definition that Docker's command makes of the bundle. Raises StackError with the command's reason."""
    if yaml is None:
        raise StackError("PyYAML is missing on this node: install python3-yaml (python3-pyyaml on Amazon Linux).")
    with private_folder() as folder:
        root = f"{folder}/files"
        for path, data in bundle.files.items():
            place(root + path, data)
        return _Reading(bundle, folder, root).definition()


class _Reading:
    """The command's reading of the files in a folder."""

    def __init__(self, bundle: Bundle, folder: str, root: str) -> None:
        self._bundle, self._folder, self._root = bundle, folder, root
        self._environment = {**bundle.variables, "HOME": f"{root}/~"}
        self._nowhere = f"unix://{folder}/no-engine"

    def definition(self) -> Definition:
        read = self._stack("config", self._bundle.sources)
        document = yaml.load(read.stdout, Loader=_Loader) if read.returncode == 0 else {"services": {}}
        definition.check_services(self._bundle, document, self._root)
        # What it says before it asks an engine, which is not there.
        said = self._stack("deploy", self._bundle.sources, self._bundle.stack).stderr
        if read.returncode or self._nowhere not in said:
            raise self._refusal(said)
        ignored = {name: "" for names in _IGNORED.findall(said) for name in names.split(", ")}
        ignored.update(_DEPRECATED.findall(said))
        made = definition.of(self._bundle, document, self._root, {**ignored, **_STARTS_AT_ONCE})
        warnings = (*self._bundle.warnings, *_WARNING.findall(said), *made.warnings)
        return replace(made, warnings=tuple(text.replace(self._root, "") for text in warnings))

    def _stack(self, verb: str, sources: Sequence[str], *words: str) -> subprocess.CompletedProcess[str]:
        files = [word for source in sources for word in ("--compose-file", self._root + source)]
        return run(
            ["--config", self._folder, "--host", self._nowhere, "stack", verb, *files, *words], self._environment
        )

    def _refusal(self, said: str) -> StackError:
        """The command's error with the name of the file, and the line if it is known."""
        lines = [line.strip() for line in said.replace(self._root, "").splitlines() if line.strip()]
        reason = " ".join(line for line in lines if not line.startswith(("time=", "Ignoring"))) or "no reason given"
        entry = _ENTRY.search(reason)
        name = entry[0] if entry else ""
        while name and name not in self._bundle.lines:
            name = name.rpartition(".")[0]
        where = self._bundle.lines.get(name) or next(filter(self._fails, self._bundle.sources), "")
        return StackError(f"Docker refused the stack ({where or 'its files together'}): {reason.rstrip('.')}.")

    def _fails(self, source: str) -> bool:
        return self._stack("config", [source]).returncode != 0
