"""Serves the page on this machine only, and only to holders of the key."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from .hub import Hub

HERE = Path(__file__).parent
FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
HEADERS = {
    # The page loads nothing from elsewhere, and no other page can embed it.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
# Seconds after which an unchanged state is sent again, which also shows whether the reader is still there.
AGAIN = 10.0


class Server(ThreadingHTTPServer):
    """The page's server, on a port of the loopback interface."""

    daemon_threads = True

    def __init__(self, hub: Hub, key: str, port: int) -> None:
        """Port 0 takes any free port. Raises OSError if the port is in use."""
        super().__init__(("127.0.0.1", port), Handler)
        self.hub, self.key = hub, key
        self.names = {f"127.0.0.1:{self.server_port}", f"localhost:{self.server_port}"}
        # Browsers send a cookie to every port of a host.
        self.cookie = f"look-{self.server_port}"

    @property
    def address(self) -> str:
        """The address to open in a browser."""
        return f"http://127.0.0.1:{self.server_port}/?key={self.key}"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The page's files, `/moment.json`, and `/moments` for a stream of them."""
        parts = urlsplit(self.path)
        # DNS rebinding: a foreign name that resolves to this machine could read the page in a visitor's browser.
        if self.headers.get("Host") not in self.server.names:
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, b"Unknown host name: open the address that was printed.\n")
            return
        given = parse_qs(parts.query).get("key", [""])[0]
        if parts.path == "/" and self._is_key(given):
            self._answer(
                HTTPStatus.SEE_OTHER,
                Location="/",
                Set_Cookie=f"{self.server.cookie}={self.server.key}; HttpOnly; SameSite=Strict; Path=/",
            )
        elif not self._allowed():
            self._answer(
                HTTPStatus.UNAUTHORIZED,
                b"The key is missing: open the address that was printed.\n",
                WWW_Authenticate="Bearer",
            )
        elif parts.path in FILES:
            name, kind = FILES[parts.path]
            self._answer(HTTPStatus.OK, (HERE / name).read_bytes(), Content_Type=kind)
        elif parts.path == "/moment.json":
            _, state = self.server.hub.now()
            self._answer(HTTPStatus.OK, json.dumps(state).encode(), Content_Type="application/json")
        elif parts.path == "/moments":
            self._stream()
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"Page not found.\n")

    def _is_key(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.server.key.encode())

    def _allowed(self) -> bool:
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer" and self._is_key(given.strip()):
            return True
        try:
            cookies = SimpleCookie(self.headers.get("Cookie", ""))
        except CookieError:
            return False
        return self.server.cookie in cookies and self._is_key(cookies[self.server.cookie].value)

    def _answer(self, status: HTTPStatus, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        defaults = {"Content-Type": "text/plain; charset=utf-8", **HEADERS, "Content-Length": str(len(body))}
        for name, value in (defaults | {name.replace("_", "-"): value for name, value in headers.items()}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        """Send an event for each change, until the reader disconnects."""
        self.send_response(HTTPStatus.OK)
        for name, value in (HEADERS | {"Content-Type": "text/event-stream", "Connection": "close"}).items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        number = 0
        try:
            while True:
                number, state = self.server.hub.now(number, AGAIN)
                self.wfile.write(b"data: " + json.dumps(state).encode() + b"\n\n")
                self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            return

    # Nobody needs these lines, and the first request contains the key.
    log_message: Callable[..., None] = lambda *_: None
