"""Fetches pages from the lab's cluster as a client that uses the lab's name server."""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.parse
from dataclasses import dataclass

from dnslib import QTYPE, RCODE, DNSRecord

from lab.authority import Authority
from lab.errors import LabError
from lab.state import Lab

_SECONDS = 5.0


@dataclass(frozen=True)
class Page:
    """A server's answer, and the server's address."""

    address: str
    status: int
    body: str
    certificate: bytes = b""
    """The server's TLS certificate, in DER."""


class Tls(http.client.HTTPSConnection):
    """A connection to an address whose server must prove its name."""

    def __init__(self, address: str, name: str, context: ssl.SSLContext, *, port: int = 443, seconds: float) -> None:
        super().__init__(address, port, timeout=seconds)
        self._name, self._trust = name, context

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), self.timeout)
        try:
            self.sock = self._trust.wrap_socket(plain, server_hostname=self._name)
        except OSError:
            plain.close()
            raise

    def certificate(self) -> bytes:
        """The server's certificate in DER, once connected."""
        return self.sock.getpeercert(binary_form=True) or b""


def lookup(lab: Lab, name: str, kind: str = "A") -> list[str]:
    """The current values of a name in the lab's DNS; empty if there are none.

    Raises LabError if the name server does not answer or refuses the name.
    """
    try:
        reply = DNSRecord.parse(DNSRecord.question(name, kind).send(lab.address, 53, timeout=3))
    except OSError as error:
        raise LabError(f"The lab's name server at {lab.address} does not answer: {error}.") from None
    if reply.header.rcode not in (RCODE.NOERROR, RCODE.NXDOMAIN):
        raise LabError(f"The lab's name server refuses {name}: it is in no hosted zone of the lab's account.")
    return [str(record.rdata).strip('"') for record in reply.rr if record.rtype == getattr(QTYPE, kind)]


def fetch(lab: Lab, url: str) -> Page:
    """Ask each of the name's addresses in turn, as a browser does, until a server answers.

    Raises LabError if the name has no address or no address answers.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise LabError(f"'{url}' is not a URL of a page: use a URL such as http://www.swarm.test/.")
    addresses = lookup(lab, parts.hostname)
    if not addresses:
        raise LabError(
            f"{parts.hostname} has no address in the lab's DNS: check with `lab status` that the cluster is up."
        )
    trust = Authority(lab.folder).trusting() if parts.scheme == "https" else None
    failures = []
    for address in addresses:
        try:
            return ask(address, url, trust=trust)
        except OSError as error:
            failures.append(f"{address}: {error}")
    raise LabError(f"No address of {parts.hostname} answers ({'; '.join(failures)}).")


def ask(address: str, url: str, *, trust: ssl.SSLContext | None = None) -> Page:
    """Ask the server at an address for a page, without resolving the page's name.

    ``trust`` verifies the server's certificate and makes it a request over TLS. Raises OSError.
    """
    parts = urllib.parse.urlsplit(url)
    connection: http.client.HTTPConnection
    if trust:
        connection = Tls(address, str(parts.hostname), trust, port=parts.port or 443, seconds=_SECONDS)
    else:
        connection = http.client.HTTPConnection(address, parts.port or 80, timeout=_SECONDS)
    try:
        path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        connection.connect()
        shown = connection.certificate() if isinstance(connection, Tls) else b""
        connection.request("GET", path, headers={"Host": parts.netloc})
        answer = connection.getresponse()
        return Page(address, answer.status, answer.read().decode(errors="replace"), shown)
    finally:
        connection.close()
