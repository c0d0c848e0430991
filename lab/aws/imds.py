"""The instance metadata service, version 2: a single address for all instances, identified by their source address."""

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
from lab.aws.serving import Serving, answer

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
            answer(self, 404)
            return
        seconds = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if not seconds.isdigit() or not 1 <= int(seconds) <= LONGEST_TOKEN:
            answer(self, 400)
            return
        if self.headers.get("X-Forwarded-For"):
            # The request came through an open proxy.
            answer(self, 403)
            return
        self._forget_old()
        token = secrets.token_urlsafe(42)
        self.server.held[token] = _Token(instance.id, time.monotonic() + int(seconds))
        # The response's TTL enforces the hop limit; containers are a hop away.
        self._hops(instance.metadata_options.http_put_response_hop_limit)
        answer(self, 200, token.encode(), {"X-aws-ec2-metadata-token-ttl-seconds": seconds})
        self._hops(DEFAULT_TTL)

    def do_GET(self) -> None:
        instance = self._instance()
        if instance is None:
            return
        if not self._admitted(instance):
            answer(self, 401)
            return
        if self.path in ("", "/"):
            answer(self, 200, "\n".join(VERSIONS).encode())
            return
        found = _PATH.match(self.path)
        content = metadata.read(instance, found.group(2) or "/") if found else None
        if content is None:
            answer(self, 404)
        else:
            answer(self, 200, content.encode() if isinstance(content, str) else content)

    do_HEAD = do_GET  # noqa: N815

    def _instance(self) -> LabInstance | None:
        """The instance that asks; None, after an error response, if there is none or its metadata is disabled."""
        instance = view.by_address(self.client_address[0])
        if instance is None:
            answer(self, 404)
        elif instance.metadata_options.http_endpoint == "disabled":
            answer(self, 403)
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

    def log_message(self, *_: object) -> None:
        """Log nothing: instances ask all the time."""
