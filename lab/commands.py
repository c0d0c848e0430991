"""Runs the system's programs."""

from __future__ import annotations

import subprocess

from lab.errors import LabError


def run(*command: str, stdin: str | None = None, namespace: str | None = None) -> str:
    """Run a program, inside the network namespace if given, and return its output.

    Raises LabError with the program's own message if it fails.
    """
    whole = ("ip", "netns", "exec", namespace, *command) if namespace else command
    result = subprocess.run(whole, input=stdin, capture_output=True, text=True, check=False)
    if result.returncode:
        raise LabError(f"`{' '.join(whole)}` failed: {(result.stderr or result.stdout).strip()}")
    return result.stdout
