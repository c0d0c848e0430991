"""A small HTTP server in a thread of its own."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Serving(ThreadingHTTPServer):
    """A running server. ``port`` is the one that it listens at, any that is free if 0 was given."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__((address, port), handler)
        self.port = int(self.server_address[1])
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True, name=type(self).__name__)
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and let go of the port."""
        self.shutdown()
        self.server_close()
        self._thread.join(timeout=5)
