"""Commands on the node."""

from __future__ import annotations

import subprocess
from typing import List, Tuple

from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError


def command(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command. Raises SwarmError if it does not exist."""
    try:
        return subprocess.run(  # noqa: S603 - the words come from the agent and the user data
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise SwarmError(f"{words[0]} cannot be run: {error.strerror}") from error


def run_command(words: List[str]) -> Tuple[int, str, str]:
    """The same with the signature of AnsibleModule.run_command."""
    done = command(*words)
    return done.returncode, done.stdout, done.stderr
