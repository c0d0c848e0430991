"""Connects to instances without a public address through the lab's namespace, as Session Manager does on AWS."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

from lab.errors import LabError
from lab.state import Lab

_CHUNK = 65536


def tunnel(lab: Lab, address: str, port: int) -> None:
    """Connect standard input and output to a port of an instance, until either side ends.

    Raises LabError if nothing answers at the port.
    """
    with Path(f"/run/netns/{lab.namespace}").open() as namespace:
        os.setns(namespace.fileno(), os.CLONE_NEWNET)
    try:
        connection = socket.create_connection((address, port), timeout=10, source_address=(lab.address, 0))
    except OSError as error:
        raise LabError(f"Nothing answers at {address}, port {port}, in the lab '{lab.name}': {error}.") from None
    connection.settimeout(None)
    threading.Thread(target=_send, args=(connection,), daemon=True).start()
    while content := connection.recv(_CHUNK):
        os.write(1, content)


def _send(connection: socket.socket) -> None:
    while content := os.read(0, _CHUNK):
        connection.sendall(content)
    connection.shutdown(socket.SHUT_WR)
