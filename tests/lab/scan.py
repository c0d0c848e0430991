"""Which of a host's TCP ports accept a connection: from here, or, its text piped into Python, from any node."""

from __future__ import annotations

import resource
import selectors
import socket
import sys
import time

ALL = range(1, 65536)
# As many connections are tried at once, and each for so many seconds.
AT_ONCE, SECONDS = 5000, 1.0


def scan(address: str, ports: range = ALL) -> set[int]:
    """The ports that are open. One that a firewall drops packets to is not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, AT_ONCE + 100), hard), hard))
    found: set[int] = set()
    waiting, selector = list(reversed(ports)), selectors.DefaultSelector()
    tried: dict[socket.socket, tuple[int, float]] = {}
    while waiting or tried:
        while waiting and len(tried) < AT_ONCE:
            port, one = waiting.pop(), socket.socket()
            one.setblocking(False)
            one.connect_ex((address, port))
            tried[one] = (port, time.monotonic() + SECONDS)
            selector.register(one, selectors.EVENT_WRITE)
        answered = {key.fileobj for key, _ in selector.select(0.1)}
        now = time.monotonic()
        for item in [candidate for candidate, (_, until) in tried.items() if candidate in answered or until < now]:
            port, _ = tried.pop(item)
            if item in answered and item.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                found.add(port)
            selector.unregister(item)
            item.close()
    return found


if __name__ == "__main__":
    print(*sorted(scan(sys.argv[1])))
