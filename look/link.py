"""The link to a manager: it prints a JSON document a second, through a shell."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from .hub import Hub

# The command that a manager runs: the agent's own archive, which reads the cluster with the instance's credentials.
REMOTE = "sudo /usr/local/lib/swarm-agent/swarm-agent.pyz look"
# SSH must notice a lost manager, as the silence below does.
SSH_OPTIONS = "-o BatchMode=yes -o ConnectTimeout=5 -o ServerAliveInterval=2 -o ServerAliveCountMax=2"
# Seconds without a document after which the link tries another manager; the first document may take longer.
SILENCE, FIRST = 6.0, 20.0
# Seconds before the inventory is read again, if no manager sent anything.
REST = 2.0

Shells = Mapping[str, str]


class NoShells(Exception):
    """The inventory does not say how to open a shell on the managers."""


def command(shell: str, remote: str = REMOTE) -> str:
    """The command that runs ``remote`` through a shell, for SSH or for Session Manager."""
    if shell.startswith("aws ssm "):
        parameters = shlex.quote(json.dumps({"command": [remote]}))
        return f"{shell} --document-name AWS-StartInteractiveCommand --parameters {parameters}"
    program, _, rest = shell.partition(" ")
    return f"{program} {SSH_OPTIONS} {rest} {shlex.quote(remote)}"


class Link(threading.Thread):
    """Listens to a manager, and to the next manager if that falls silent, until stopped."""

    def __init__(self, hub: Hub, shells: Callable[[], Shells], *, silence: float = SILENCE, rest: float = REST) -> None:
        """``shells`` returns the shell command of each manager by instance ID, and raises NoShells."""
        super().__init__(name="link", daemon=True)
        self._hub, self._shells, self._silence, self._rest = hub, shells, silence, rest
        self._process: subprocess.Popen[bytes] | None = None
        self._over = threading.Event()

    def run(self) -> None:
        """Listen until `stop`."""
        while not self._over.is_set():
            try:
                shells = self._shells()
            except NoShells as error:
                self._hub.lost(str(error))
                self._over.wait(self._rest)
                continue
            sent = True
            # Try managers that sent something again before reading the inventory.
            while sent and not self._over.is_set():
                sent = False
                for name, shell in shells.items():
                    sent = self._listen(name, shell) or sent
            self._over.wait(self._rest)

    def stop(self) -> None:
        """Stop listening, and leave no process behind."""
        self._over.set()
        # The thread ends its shell itself: ending it here would close the pipe that the thread reads.
        self.join(self._silence)

    def _listen(self, name: str, shell: str) -> bool:
        """Store a manager's documents until it falls silent. Returns whether there were any."""
        if self._over.is_set():
            return False
        self._hub.connect(name)
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", f"exec {command(shell)}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        sent = False
        try:
            for line in self._lines(self._process):
                # Session Manager prints lines of its own around the documents.
                if line.startswith(b"{"):
                    with contextlib.suppress(ValueError):
                        self._hub.tell(json.loads(line))
                        sent = True
        finally:
            said = self._end().split("\n")[-1]
        self._hub.lost(f"{name} {'stopped sending' if sent else 'sent no'} data" + (f": {said}" if said else ""))
        return sent

    def _lines(self, process: subprocess.Popen[bytes]) -> Iterator[bytes]:
        """Yield lines as they arrive, until the process ends or is silent for too long."""
        assert process.stdout is not None
        rest, deadline = b"", time.monotonic() + max(FIRST, self._silence)
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0 and not self._over.is_set():
                if not selector.select(min(left, 0.5)):
                    continue
                chunk = os.read(process.stdout.fileno(), 1 << 16)
                if not chunk:
                    return
                *lines, rest = (rest + chunk).split(b"\n")
                if lines:
                    deadline = time.monotonic() + self._silence
                yield from (line.strip() for line in lines)

    def _end(self) -> str:
        """End the shell, and return what it wrote to standard error."""
        process, self._process = self._process, None
        if process is None:
            return ""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        return process.communicate()[1].decode(errors="replace").strip()
