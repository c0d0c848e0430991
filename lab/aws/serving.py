"""Small HTTP servers, in a thread of their own each."""

from __future__ import annotations

import threading
from collections.abc import Mapping
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


def answer(
    to: BaseHTTPRequestHandler, status: int, content: bytes = b"", headers: Mapping[str, str] | None = None
) -> None:
    """Answer with a text, unless the headers say that it is something else."""
    to.send_response(status)
    usual = {"Content-Type": "text/plain", "Content-Length": str(len(content))}
    for name, value in {**usual, **(headers or {})}.items():
        to.send_header(name, value)
    to.end_headers()
    if to.command != "HEAD":
        to.wfile.write(content)
    to.wfile.flush()
