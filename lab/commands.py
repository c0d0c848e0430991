"""Running the system's own programs."""

from __future__ import annotations

import subprocess

from lab.errors import LabError


def run(*command: str, stdin: str | None = None, namespace: str | None = None) -> str:
    """Run a program, inside a network namespace if one is named, and return what it printed.

    Raises LabError with the program's own words when it fails.
    """
    whole = ("ip", "netns", "exec", namespace, *command) if namespace else command
    result = subprocess.run(whole, input=stdin, capture_output=True, text=True, check=False)
    if result.returncode:
        raise LabError(f"`{' '.join(whole)}` failed: {(result.stderr or result.stdout).strip()}")
    return result.stdout
