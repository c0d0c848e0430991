"""A page that says which task on which node served it, and, as `web`, which task of `api` answered it.

It uses only the standard library, so that it runs in the official Python image. On SIGTERM it keeps serving for a few
seconds, closes each connection with its next answer, and ends when the last request is finished.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# How long a stopping task keeps serving, so that every kept connection gets an answer that closes it.
DRAIN_SECONDS = 5.0
WHO = {"task": os.environ.get("TASK", "?"), "node": os.environ.get("NODE", "?")}
API = os.environ.get("API")
stopping = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """Serves a client connection."""

    protocol_version = "HTTP/1.1"
    # Idle connections end in time for `stop_grace_period`.
    timeout = 10
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        answer: dict[str, object] = dict(WHO)
        if API and self.path != "/healthz":
            with contextlib.closing(http.client.HTTPConnection(API, timeout=4)) as connection:
                connection.request("GET", "/")
                answer["api"] = json.load(connection.getresponse())
        body = json.dumps(answer).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if stopping.is_set():
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged."""


class Server(ThreadingHTTPServer):
    """Its `server_close` waits for the requests in progress."""

    daemon_threads = False
    request_queue_size = 128

    def stop(self) -> None:
        """Keep serving for a while, then accept no more connections."""
        stopping.set()
        time.sleep(DRAIN_SECONDS)
        self.shutdown()


if __name__ == "__main__":
    server = Server(("", 8000), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.stop).start())
    server.serve_forever(poll_interval=0.1)
    server.server_close()
