"""A way to instances that have no public address, as Session Manager is on AWS: through the lab's own namespace."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

from lab.errors import LabError
from lab.state import Lab

_CHUNK = 65536


def tunnel(lab: Lab, address: str, port: int) -> None:
    """Pass standard input and output on to a port of an instance, until either side has ended.

    Raises LabError where nothing listens there.
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
