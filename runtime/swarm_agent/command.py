"""Commands of the node's."""

from __future__ import annotations

import subprocess
from typing import List, Tuple

from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError


def command(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the node's. Raises SwarmError if there is none of that name."""
    try:
        return subprocess.run(  # noqa: S603 - the words are the agent's own, and what the user data says
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise SwarmError(f"{words[0]} cannot be run: {error.strerror}") from error


def run_command(words: List[str]) -> Tuple[int, str, str]:
    """The same as Ansible's modules do it."""
    done = command(*words)
    return done.returncode, done.stdout, done.stderr
