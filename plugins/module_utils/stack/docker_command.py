"""The docker command, and a private folder in memory for what it reads."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .stack_error import StackError

_SECONDS = 60
_MEMORY = ("/run", "/dev/shm")  # noqa: S108
_PREFIX = "swarm-stack-"


def run(arguments: Sequence[str], environment: Mapping[str, str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Run the docker command with this environment only. Raises StackError if it is missing or hangs."""
    command = shutil.which("docker")
    if not command:
        raise StackError("The docker command is missing on this node: install docker-cli.")
    try:
        return subprocess.run(  # noqa: S603
            [command, *arguments],
            env=dict(environment),
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"`docker {' '.join(arguments[-2:])}` did not end within {_SECONDS} s.") from None


@contextlib.contextmanager
def private_folder() -> Iterator[str]:
    """A folder in memory that only this user can open, for as long as the context lasts.

    A process that is killed leaves its folder behind; the next process removes it.
    """
    memory = next((path for path in _MEMORY if os.access(path, os.W_OK)), None)
    for left in Path(memory or tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if not Path("/proc", left.name.split("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    # An ended connection ends the process, and it removes the folder.
    before = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-", dir=memory) as folder:
            yield folder
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _frame: Any) -> None:
    raise SystemExit(128 + number)


def place(path: str, data: bytes) -> None:
    """Write a file that only this user can read."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_bytes(data)
