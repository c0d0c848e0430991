"""The instance metadata service, version 2."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import Mapping, Optional

from .._core.errors import Unavailable

HOST, TIMEOUT_SECONDS, TOKEN_SECONDS = "169.254.169.254", 5, 300
# Bytes of an answer, far more than any answer needs.
LONGEST = 65536


@dataclass(frozen=True)
class Identity:
    """The instance that this runs on."""

    instance: str
    zone: str
    private_address: str
    """IPv4."""


class Metadata:
    """The service, with a session token."""

    def __init__(self, host: str = HOST, port: int = 80) -> None:
        self._host, self._port = host, port

    def identity(self) -> Identity:
        """Raises Unavailable."""
        token = self._token()
        instance, zone, address = (
            self._ask("GET", f"/latest/meta-data/{path}", {"X-aws-ec2-metadata-token": token})
            for path in ("instance-id", "placement/availability-zone", "local-ipv4")
        )
        if not (instance and zone and address):
            raise Unavailable("The instance metadata service does not know this instance yet.")
        return Identity(instance, zone, address)

    def read(self, path: str) -> Optional[str]:
        """A value under ``latest/meta-data/``, such as ``spot/instance-action``; None if it is not set."""
        return self._ask("GET", f"/latest/meta-data/{path}", {"X-aws-ec2-metadata-token": self._token()})

    def _token(self) -> str:
        seconds = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
        return self._ask("PUT", "/latest/api/token", seconds) or ""

    def _ask(self, method: str, path: str, headers: Mapping[str, str]) -> Optional[str]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, path, headers=dict(headers))
            answer = connection.getresponse()
            text = answer.read(LONGEST).decode()
            if answer.length:
                raise ValueError(f"the length of the answer to {path} is not its Content-Length")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unavailable(f"The instance metadata service does not answer: {error}") from error
        finally:
            connection.close()
        if answer.status == http.client.NOT_FOUND:
            return None
        if answer.status != http.client.OK:
            raise Unavailable(f"The instance metadata service answers {path} with HTTP status {answer.status}.")
        return text.strip()
