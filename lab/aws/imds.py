"""The instance metadata service, version 2, at one address for all instances: the source address tells them apart."""

from __future__ import annotations

import logging
import re
import secrets
import socket
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from lab.aws import metadata, view
from lab.aws.instances import LabInstance
from lab.aws.serving import Serving

log = logging.getLogger(__name__)
VERSIONS = ("1.0", "2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23", "latest")
LONGEST_TOKEN = 21600
DEFAULT_TTL = 64
_PATH = re.compile(rf"/({'|'.join(map(re.escape, VERSIONS))})(/.*)?$")


@dataclass(frozen=True)
class _Token:
    instance_id: str
    expires: float


class Metadata(Serving):
    """A running metadata service."""

    def __init__(self, address: str, port: int) -> None:
        self.held: dict[str, _Token] = {}
        super().__init__(address, port, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: Metadata

    def do_PUT(self) -> None:
        instance = self._instance()
        if instance is None:
            return
        if self.path.rstrip("/") != "/latest/api/token":
            self._answer(404)
            return
        seconds = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if not seconds.isdigit() or not 1 <= int(seconds) <= LONGEST_TOKEN:
            self._answer(400)
            return
        if self.headers.get("X-Forwarded-For"):
            # Somebody is an open proxy.
            self._answer(403)
            return
        self._forget_old()
        token = secrets.token_urlsafe(42)
        self.server.held[token] = _Token(instance.id, time.monotonic() + int(seconds))
        # A token cannot travel further than the instance's owner allows, containers being a hop away.
        self._hops(instance.metadata_options.http_put_response_hop_limit)
        self._answer(200, token, {"X-aws-ec2-metadata-token-ttl-seconds": seconds})
        self._hops(DEFAULT_TTL)

    def do_GET(self) -> None:
        instance = self._instance()
        if instance is None:
            return
        if not self._admitted(instance):
            self._answer(401)
            return
        if self.path in ("", "/"):
            self._answer(200, "\n".join(VERSIONS))
            return
        found = _PATH.match(self.path)
        content = metadata.read(instance, found.group(2) or "/") if found else None
        if content is None:
            self._answer(404)
        else:
            self._answer(200, content)

    do_HEAD = do_GET  # noqa: N815

    def _instance(self) -> LabInstance | None:
        """Who asks; who is no instance, or has its metadata switched off, has been answered."""
        instance = view.by_address(self.client_address[0])
        if instance is None:
            self._answer(404)
        elif instance.metadata_options.http_endpoint == "disabled":
            self._answer(403)
        else:
            return instance
        return None

    def _admitted(self, instance: LabInstance) -> bool:
        given = self.headers.get("X-aws-ec2-metadata-token")
        if given is None:
            return bool(instance.metadata_options.http_tokens != "required")
        token = self.server.held.get(given)
        return token is not None and token.instance_id == instance.id and time.monotonic() < token.expires

    def _forget_old(self) -> None:
        now = time.monotonic()
        for token, held in list(self.server.held.items()):
            if held.expires <= now:
                self.server.held.pop(token, None)

    def _hops(self, limit: int) -> None:
        self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, limit)

    def _answer(self, status: int, content: str | bytes = b"", headers: dict[str, str] | None = None) -> None:
        body = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Nothing: instances ask all the time."""
