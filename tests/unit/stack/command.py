"""Commands on this machine, as Ansible's `run_command` runs them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence


def run_command(words: Sequence[str], data: str = "", **_: object) -> tuple[int, str, str]:
    """The exit code, output and errors of a command."""
    done = subprocess.run(words, input=data, capture_output=True, encoding="utf-8", errors="replace", check=False)
    return done.returncode, done.stdout, done.stderr
