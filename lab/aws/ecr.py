"""ECR: authorization tokens, and the account's registry, which requires a token to pull.

The images are those of the lab's registry. A repository exists once it is created through the API, with the name that
it has in the lab's registry, such as ``library/python``.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

from moto.core.responses import ActionResult
from moto.ecr.responses import ECRResponse

from lab.aws import credentials, reach, world
from lab.aws.calls import CallLog, Record
from lab.aws.credentials import Administrator, Caller
from lab.aws.grafts import Grafts
from lab.aws.iam.gate import allows
from lab.aws.iam.policy import Access
from lab.aws.serving import Serving, answer
from lab.state import ACCOUNT_ID, ECR_HOST, REGION

LIFETIME = 43200.0
"""Seconds for which a token is valid, as on AWS."""
_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs)/(?P<reference>[^/]+)")
_ACTIONS = {
    ("manifests", "GET"): "BatchGetImage",
    ("manifests", "HEAD"): "BatchGetImage",
    ("blobs", "GET"): "GetDownloadUrlForLayer",
    ("blobs", "HEAD"): "BatchCheckLayerAvailability",
}
_PASSED = ("Content-Type", "Content-Length", "Docker-Content-Digest", "Etag")


@dataclass
class _Token:
    caller: Caller
    expires: datetime


_tokens: dict[str, _Token] = {}
_lifetime = LIFETIME


def install(grafts: Grafts) -> None:
    """Make moto's ECR issue tokens that the registry accepts."""
    global _lifetime
    _tokens.clear()
    _lifetime = LIFETIME
    grafts.attribute(ECRResponse, "get_authorization_token", _authorization_token)


def given() -> list[str]:
    """All issued tokens, so that a test can search for leaked tokens."""
    return list(_tokens)


def shorten(seconds: float) -> None:
    """Limit the lifetime of new and issued tokens to ``seconds`` from now."""
    global _lifetime
    _lifetime = seconds
    latest = datetime.now(UTC) + timedelta(seconds=seconds)
    for token in _tokens.values():
        token.expires = min(token.expires, latest)


def _authorization_token(self: Any) -> ActionResult:
    password = secrets.token_urlsafe(32)
    expires = datetime.now(UTC) + timedelta(seconds=_lifetime)
    # moto does not know the administrator's key, and the gate refuses every other unknown key.
    caller = credentials.caller_with_key(self.get_access_key()) or Administrator()
    _tokens[password] = _Token(caller, expires)
    answer = {
        "authorizationToken": base64.b64encode(f"AWS:{password}".encode()).decode(),
        "expiresAt": expires,
        "proxyEndpoint": f"https://{ECR_HOST}",
    }
    return ActionResult({"authorizationData": [answer]})


class Registry(Serving):
    """A running registry."""

    def __init__(self, address: str, port: int, upstream: tuple[str, int], calls: CallLog) -> None:
        """``upstream`` is the address of the lab's own registry."""
        self.upstream, self.calls = upstream, calls
        super().__init__(address, port, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Registry

    def do_GET(self) -> None:
        # ECR serves layers from S3.
        needed = ["ecr.dkr", *(["s3"] if "/blobs/" in self.path else [])]
        if not all(reach.reaches(self.client_address[0], service) for service in needed):
            self.close_connection = True
            return
        with world.LOCK:
            token = _tokens.get(self._password())
        if token is None:
            self._refuse(401, "UNAUTHORIZED", "Not Authorized")
        elif token.expires <= datetime.now(UTC):
            self._refuse(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
        elif self.path == "/v2/":
            self._tell(200, b"{}")
        else:
            self._pull(token.caller)

    do_HEAD = do_GET  # noqa: N815

    def _password(self) -> str:
        kind, _, encoded = self.headers.get("Authorization", "").partition(" ")
        try:
            username, _, password = base64.b64decode(encoded).decode().partition(":")
        except ValueError:
            return ""
        return password if (kind, username) == ("Basic", "AWS") else ""

    def _pull(self, caller: Caller) -> None:
        found = _PATH.fullmatch(self.path)
        if found is None:
            self._refuse(404, "UNSUPPORTED", "The lab's ECR supports only pulls.")
            return
        action = _ACTIONS[found["kind"], self.command]
        arn = f"arn:aws:ecr:{REGION}:{ACCOUNT_ID}:repository/{found['name']}"
        with world.LOCK:
            allowed = allows(caller, Access(f"ecr:{action}", arn))
            known = found["name"] in world.ecr().repositories
            self.server.calls.add(Record("ecr", action, caller.name, allowed, [arn]))
        if not allowed:
            text = f"User: {caller.session_arn} is not authorized to perform: ecr:{action} on resource: {arn}"
            self._refuse(403, "DENIED", text)
        elif not known:
            self._refuse(404, "NAME_UNKNOWN", f"The repository with name '{found['name']}' does not exist")
        else:
            self._forward()

    def _forward(self) -> None:
        backend = http.client.HTTPConnection(*self.server.upstream, timeout=30)
        try:
            accepted = self.headers.get_all("Accept") or ["*/*"]
            backend.request(self.command, self.path, headers={"Accept": ", ".join(accepted)})
            answer = backend.getresponse()
            self.send_response(answer.status)
            for name in _PASSED:
                if answer.getheader(name):
                    self.send_header(name, str(answer.getheader(name)))
            self.end_headers()
            shutil.copyfileobj(answer, self.wfile)
        finally:
            backend.close()

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._tell(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode())

    def _tell(self, status: int, content: bytes) -> None:
        headers = {"Docker-Distribution-Api-Version": "registry/2.0", "Content-Type": "application/json"}
        if status == 401:
            headers["WWW-Authenticate"] = f'Basic realm="https://{ECR_HOST}/",service="ecr.amazonaws.com"'
        answer(self, status, content, headers)

    def log_message(self, *_: Any) -> None:
        """Log nothing: the call log has the requests."""
