"""What Docker's own command makes of a stack's compose files, on a manager.

The files are in a private folder in memory while the command reads them. Their folders there are those of the
controller, below a root of their own, so that paths lead where they lead on the controller.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import definition
from .compose import Bundle
from .definition import Definition
from .stack_error import StackError

try:
    import yaml
except ImportError:
    yaml = None  # type: ignore[assignment]

Run = Callable[..., tuple[int, str, str]]
SECONDS = 60
# The exit code of timeout(1).
_TIMED_OUT = 124
_MEMORY = "/run"
_PREFIX = "swarm-stack-"
_ENTRY = re.compile(r"\b(?:services|networks|volumes|configs|secrets)\.[\w.-]+\w")
_IGNORED = re.compile(r"^Ignoring unsupported options: (.*)$", re.MULTILINE)
_DEPRECATED = re.compile(r"^(\w+): (.*\.)$", re.MULTILINE)
_WARNING = re.compile(r'level=warning msg="(.*)"$', re.MULTILINE)
# What Docker's command does not say of options that it ignores; it does not even name the first.
_DEPENDS_ON = "It starts all services at once and restarts them until they run."
_RESTART = "Only the policy is taken from it, if there is no deploy.restart_policy."


class _DefinitionLoader(yaml.SafeLoader if yaml else object):  # type: ignore[misc]
    """Reads what the command prints: YAML 1.2, in which `no` and `12:30` are strings."""

    yaml_implicit_resolvers: dict[str, Any] = {}


if yaml:
    for kind, form, first in (
        ("bool", "true|false", "tf"),
        ("null", "null|~|", ["n", "~", ""]),
        ("int", "-?(0|[1-9][0-9]*)", "-0123456789"),
        ("float", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", "-0123456789"),
    ):
        _DefinitionLoader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"(?:{form})\\Z"), list(first))


def run(
    run_command: Run, arguments: Sequence[str], environment: Mapping[str, str], text: str = "", seconds: int = SECONDS
) -> tuple[int, str, str]:
    """Run the docker command with this environment only, by Ansible's ``run_command``.

    Returns its exit code, output and errors. Raises StackError if it does not end within ``seconds``.
    """
    command = [shutil.which("timeout") or "timeout", str(seconds), shutil.which("docker") or "docker", *arguments]
    own = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        done = run_command(command, data=text, binary_data=True, errors="replace", expand_user_and_vars=False)
    finally:
        os.environ.clear()
        os.environ.update(own)
    if done[0] == _TIMED_OUT:
        raise StackError(f"`docker {' '.join(arguments[-2:])}` did not end within {seconds} s.")
    return done


@contextlib.contextmanager
def private_folder() -> Iterator[str]:
    """A folder in memory that only this user can open, for as long as the context lasts.

    A process that is killed leaves its folder behind; the next process removes it.
    """
    memory = _MEMORY if os.access(_MEMORY, os.W_OK) else tempfile.gettempdir()
    for left in Path(memory).glob(f"{_PREFIX}*"):
        if not Path("/proc", left.name.split("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-", dir=memory) as folder:
        yield folder


def remarks(said: str) -> str:
    """What the command says on one line, without the options that it ignores."""
    for known in (_IGNORED, _DEPRECATED):
        said = known.sub("", said)
    return " ".join(said.replace("Ignoring deprecated options:", "").split())


def place(path: str, text: str, encoding: str = "utf-8") -> None:
    """Write a file that only this user can read."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch(mode=0o600)
    Path(path).write_bytes(text.encode(encoding))


def read(bundle: Bundle, run_command: Run) -> Definition:
    """The definition that Docker's command makes of the bundle. Raises StackError with the command's reason."""
    if yaml is None:
        raise StackError("PyYAML is missing on this node: install python3-yaml (python3-pyyaml on Amazon Linux).")
    with private_folder() as folder:
        for path, text in bundle.files.items():
            place(f"{folder}/files{path}", text, "latin-1")
        return _Reading(bundle, folder, run_command).definition()


class _Reading:
    """The command's reading of the files in a folder."""

    def __init__(self, bundle: Bundle, folder: str, run_command: Run) -> None:
        self._bundle, self._folder, self._root, self._run = bundle, folder, f"{folder}/files", run_command
        self._environment = {**bundle.variables, "HOME": f"{self._root}/~"}
        self._nowhere = f"unix://{folder}/no-engine"

    def definition(self) -> Definition:
        code, printed, _errors = self._stack("config", self._bundle.sources)
        document = yaml.load(printed, Loader=_DefinitionLoader) if code == 0 else {"services": {}}
        definition.check_services(self._bundle, document, self._root)
        # What it says before it asks an engine, which is not there.
        said = self._stack("deploy", self._bundle.sources, self._bundle.stack)[2]
        if code or self._nowhere not in said:
            raise self._refusal(said)
        named = (name for names in _IGNORED.findall(said) for name in names.split(", "))
        ignored = {name: _RESTART if name == "restart" else "" for name in named}
        if any("depends_on" in service for service in document["services"].values()):
            ignored["depends_on"] = _DEPENDS_ON
        made = definition.of(self._bundle, document, self._root, {**ignored, **dict(_DEPRECATED.findall(said))})
        warnings = [*self._bundle.warnings, *_WARNING.findall(said), *made.warnings]
        return replace(made, warnings=tuple(text.replace(self._root, "") for text in warnings))

    def _stack(self, verb: str, sources: Sequence[str], *words: str) -> tuple[int, str, str]:
        files = [word for source in sources for word in ("--compose-file", self._root + source)]
        options = ["--config", self._folder, "--host", self._nowhere]
        return run(self._run, [*options, "stack", verb, *files, *words], self._environment)

    def _refusal(self, said: str) -> StackError:
        """The command's error with the name of the file, and the line if it is known."""
        lines = [line.strip() for line in said.replace(self._root, "").splitlines() if line.strip()]
        reason = " ".join(line for line in lines if not line.startswith(("time=", "Ignoring"))) or "no reason given"
        # The bytes of a line, which may be a secret.
        reason = re.sub(r": \[[\d ]+\]$", "", reason)
        entry = _ENTRY.search(reason)
        name = entry[0] if entry else ""
        while name and name not in self._bundle.lines:
            name = name.rpartition(".")[0]
        where = self._bundle.lines.get(name) or next(filter(self._fails, self._bundle.sources), "its files together")
        return StackError(f"Docker refused the stack ({where}): {reason.rstrip('.')}.")

    def _fails(self, source: str) -> bool:
        return self._stack("config", [source])[0] != 0
