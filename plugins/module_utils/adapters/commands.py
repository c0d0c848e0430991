"""Commands on this host."""

from __future__ import annotations

from typing import Callable, List, Tuple

from .._core.errors import SwarmError

# Like Ansible's `run_command`: a command's exit code, output and errors.
RunCommand = Callable[[List[str]], Tuple[int, str, str]]


class Commands:
    """Runs commands on this host."""

    def __init__(self, run_command: RunCommand) -> None:
        self._run_command = run_command

    def run(self, *words: str) -> None:
        """Raises SwarmError if the command fails."""
        code, output, errors = self._run_command(list(words))
        if code:
            lines = (errors or output).strip().splitlines() or ["no reason given"]
            raise SwarmError(f"`{' '.join(words[:3])}` failed: {lines[-1]}")

    def attempt(self, *words: str) -> None:
        """Run a command that may have nothing to do."""
        self._run_command(list(words))
