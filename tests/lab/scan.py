"""Scan a host's open TCP ports: from here, or from a node that runs this file's text."""

from __future__ import annotations

import resource
import selectors
import socket
import sys
import time

ALL = range(1, 65536)
# The number of connections at once, and the time-out of each in seconds.
AT_ONCE, SECONDS = 5000, 1.0


def scan(address: str, ports: range = ALL) -> set[int]:
    """The open ports. A port whose packets a firewall drops is not open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, AT_ONCE + 100), hard), hard))
    found: set[int] = set()
    waiting, selector = list(reversed(ports)), selectors.DefaultSelector()
    tried: dict[socket.socket, tuple[int, float]] = {}
    while waiting or tried:
        while waiting and len(tried) < AT_ONCE:
            port, connection = waiting.pop(), socket.socket()
            connection.setblocking(False)
            connection.connect_ex((address, port))
            tried[connection] = (port, time.monotonic() + SECONDS)
            selector.register(connection, selectors.EVENT_WRITE)
        answered = {key.fileobj for key, _ in selector.select(0.1)}
        now = time.monotonic()
        for connection, (port, until) in list(tried.items()):
            if connection in answered or until < now:
                del tried[connection]
                if connection in answered and connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    found.add(port)
                selector.unregister(connection)
                connection.close()
    return found


if __name__ == "__main__":
    print(*sorted(scan(sys.argv[1])))
