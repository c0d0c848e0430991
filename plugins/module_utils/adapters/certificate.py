"""Whose certificate a swarm's node has: its subject names the swarm (O), the role (OU) and the node (CN).

The engine tells a worker its node's ID and not its swarm's; this does. It is read without a library for X.509, since an
operating system image need not have one.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Iterator, Tuple

_NAMES = {b"\x55\x04\x03": "node_id", b"\x55\x04\x0a": "cluster_id", b"\x55\x04\x0b": "unit"}
_SUBJECT = 5
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
    found = _PEM.search(pem)
    if not found:
        raise ValueError("there is no certificate in it")
    try:
        ((_dummy, certificate),) = _elements(base64.b64decode(found.group(1)))
        fields = list(_elements(next(_elements(certificate))[1]))
        # Version 1 leaves its number out.
        offset = 0 if fields[0][0] == _EXPLICIT_VERSION else 1
        names = {}
        for _dummy, group in _elements(fields[_SUBJECT - offset][1]):
            for _dummy, pair in _elements(group):
                (_dummy, key), (_dummy, value) = _elements(pair)
                if key in _NAMES:
                    names[_NAMES[key]] = value.decode()
        return Subject(**names)
    except (IndexError, TypeError, ValueError, StopIteration):
        raise ValueError("its certificate is not one of a swarm's node") from None


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
