"""Serving the page on this machine alone, and to nobody without the key."""

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
    # Nothing comes from elsewhere, and nobody else's page shows this one.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
# Seconds after which a reader is told again what it knows, which also shows whether it is still there.
AGAIN = 10.0


class Server(ThreadingHTTPServer):
    """The page's server, on a port of the loopback interface."""

    daemon_threads = True

    def __init__(self, hub: Hub, key: str, port: int) -> None:
        """Port 0 takes any that is free. Raises OSError if the port is taken."""
        super().__init__(("127.0.0.1", port), Handler)
        self.hub, self.key = hub, key
        self.names = {f"127.0.0.1:{self.server_port}", f"localhost:{self.server_port}"}
        # Cookies do not tell ports apart.
        self.cookie = f"look-{self.server_port}"

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://127.0.0.1:{self.server_port}/?key={self.key}"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The page's files, `/moment.json`, and `/moments` for a stream of them."""
        parts = urlsplit(self.path)
        # A foreign name that somebody has lead here could read the page in its visitors' browsers.
        if self.headers.get("Host") not in self.server.names:
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, b"This is not the host that you mean.\n")
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
                b"Open the address that was printed when this was started: it has the key.\n",
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
            self._answer(HTTPStatus.NOT_FOUND, b"There is no such page.\n")

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
        usual = {"Content-Type": "text/plain; charset=utf-8", **HEADERS, "Content-Length": str(len(body))}
        for name, value in (usual | {name.replace("_", "-"): value for name, value in headers.items()}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        """Server-sent events, one for each change, until the reader is gone."""
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

    # What is asked for is of no interest, and the first request has the key in it.
    log_message: Callable[..., None] = lambda *_: None
