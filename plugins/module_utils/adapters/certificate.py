"""The certificate of a swarm's node: its subject names the swarm (O), the role (OU) and the node (CN).

A worker's engine tells its node's ID, but not the swarm's; the certificate does. It is parsed here because an operating
system image may have no X.509 library.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Iterator, Tuple

_NAMES = {b"\x55\x04\x03": "node_id", b"\x55\x04\x0a": "cluster_id", b"\x55\x04\x0b": "unit"}
_VALIDITY, _SUBJECT = 4, 5
# The year has two digits up to 2049, and four later (RFC 5280, 4.1.2.5).
_TIMES = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}
_EXPLICIT_VERSION = 0xA0
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class Subject:
    """Whom the certificate is for."""

    cluster_id: str
    node_id: str
    unit: str
    """``swarm-manager`` or ``swarm-worker``."""


def subject(pem: bytes) -> Subject:
    """The subject of the first certificate, which is the node's own. Raises ValueError if there is none."""
    try:
        names = {}
        for _dummy, group in _elements(_field(pem, _SUBJECT)):
            for _dummy, pair in _elements(group):
                (_dummy, key), (_dummy, value) = _elements(pair)
                if key in _NAMES:
                    names[_NAMES[key]] = value.decode()
        return Subject(**names)
    except _NoCertificate:
        raise
    except (IndexError, TypeError, ValueError, StopIteration):
        raise ValueError("its certificate is not one of a swarm's node") from None


def expiry(pem: bytes) -> float:
    """When the first certificate expires, in epoch seconds. Raises ValueError if there is none."""
    try:
        _start, (tag, end) = _elements(_field(pem, _VALIDITY))
        return datetime.strptime(end.decode(), _TIMES[tag]).replace(tzinfo=timezone.utc).timestamp()
    except _NoCertificate:
        raise
    except (IndexError, KeyError, ValueError, StopIteration):
        raise ValueError("its certificate does not say when it expires") from None


class _NoCertificate(ValueError):
    pass


def _field(pem: bytes, number: int) -> bytes:
    """A field of the first certificate, by its number in version 3."""
    found = _PEM.search(pem)
    if not found:
        raise _NoCertificate("there is no certificate in it")
    ((_dummy, certificate),) = _elements(base64.b64decode(found.group(1)))
    fields = list(_elements(next(_elements(certificate))[1]))
    # Version 1 omits its number.
    return fields[number - (0 if fields[0][0] == _EXPLICIT_VERSION else 1)][1]


def _elements(data: bytes) -> Iterator[Tuple[int, bytes]]:
    """The tags and contents of a DER sequence's elements."""
    at = 0
    while at < len(data):
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            octets = length & 0x7F
            length = int.from_bytes(data[at : at + octets], "big")
            at += octets
        if at + length > len(data):
            raise ValueError("truncated")
        yield tag, data[at : at + length]
        at += length
