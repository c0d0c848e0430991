"""Small HTTP servers, each in its own thread."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Serving(ThreadingHTTPServer):
    """A running server; ``port`` is its port, a free port if 0 was given."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__((address, port), handler)
        self.port = int(self.server_address[1])
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True, name=type(self).__name__)
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and release the port."""
        self.shutdown()
        self.server_close()
        self._thread.join(timeout=5)


def answer(
    to: BaseHTTPRequestHandler, status: int, content: bytes = b"", headers: Mapping[str, str] | None = None
) -> None:
    """Answer with plain text, or with the content type in the headers."""
    to.send_response(status)
    defaults = {"Content-Type": "text/plain", "Content-Length": str(len(content))}
    for name, value in {**defaults, **(headers or {})}.items():
        to.send_header(name, value)
    to.end_headers()
    if to.command != "HEAD":
        to.wfile.write(content)
    to.wfile.flush()
