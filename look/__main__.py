"""Show the cluster on a page that only this machine serves: `make look`, or without a checkout docs/look.md."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from types import FrameType

from .hub import Hub
from .link import Link, NoShells, Shells
from .server import Server

PORT = 8377


def shells() -> Shells:
    """The commands that open a shell on each manager, from the inventory. Raises NoShells."""
    done = subprocess.run(
        ["ansible-playbook", "swarm.aws.shells"],
        env=os.environ | {"ANSIBLE_STDOUT_CALLBACK": "swarm.aws.terminal"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NoShells(" ".join(done.stderr.split()))
    found: Shells = json.loads(done.stdout)
    return found


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="look", description=__doc__)
    parser.add_argument("--port", type=int, default=PORT, help="0 takes any free port (default: %(default)s)")
    options = parser.parse_args()
    hub = Hub()
    try:
        server = Server(hub, secrets.token_urlsafe(24), options.port)
    except OSError as error:
        sys.exit(f"look: cannot listen on port {options.port} ({error.strerror}): choose another port with --port.")
    link = Link(hub, shells)

    def end(number: int, frame: FrameType | None) -> None:
        # shutdown() waits for serve_forever(), which this thread runs.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    link.start()
    print(f"look: {server.address}", flush=True)
    server.serve_forever()
    link.stop()


if __name__ == "__main__":
    main()
