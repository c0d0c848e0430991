"""A stack on its way to a manager: its compose files, the files that they name, and their variables."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .stack_error import StackError

NAMESPACE = "com.docker.stack.namespace"
SECTIONS = ("services", "networks", "volumes", "configs", "secrets")
# Both are refused at these sizes in bytes (swarmkit, manager/controlapi/config.go and api/validation/secrets.go).
_SIZE_LIMITS = {"configs": 1000 * 1024, "secrets": 500 * 1024}
_STACK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")


@dataclass(frozen=True)
class Blob:
    """A config or a secret in the swarm."""

    name: str
    data: bytes = field(repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    template_driver: str | None = None


@dataclass(frozen=True)
class Bundle:
    """A stack's compose files and all that they name."""

    stack: str
    sources: tuple[str, ...]
    """Absolute paths of the compose files, in the order in which Docker merges them."""
    files: Mapping[str, bytes] = field(repr=False)
    """Contents by absolute path on the controller."""
    variables: Mapping[str, str] = field(repr=False)
    secrets: tuple[Blob, ...] = ()
    """The contents of secrets, to mask them."""
    services: tuple[str, ...] = ()
    generated: tuple[str, ...] = ()
    """The secrets to generate that have no name of their own."""
    lines: Mapping[str, str] = field(default_factory=dict)
    """Where an entry is, such as ``services.web.image``: file and line."""
    warnings: tuple[str, ...] = ()

    def pack(self) -> str:
        """The bundle as an opaque string, to send to the manager. It contains secrets, which anyone can unpack."""
        files = {path: _text(data) for path, data in self.files.items()}
        secrets = {blob.name: _text(blob.data) for blob in self.secrets}
        plain = json.dumps({**vars(self), "files": files, "secrets": secrets})
        return base64.b64encode(zlib.compress(plain.encode())).decode()

    @classmethod
    def unpack(cls, packed: str) -> Bundle:
        """The reverse of :meth:`pack`. Raises StackError for anything else."""
        try:
            plain: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed, validate=True)))
            plain["files"] = {path: base64.b64decode(text) for path, text in plain["files"].items()}
            plain["secrets"] = [Blob(name, base64.b64decode(text)) for name, text in plain["secrets"].items()]
            plain = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
            return cls(**plain)
        except (ValueError, KeyError, TypeError, AttributeError, zlib.error):
            raise StackError("The bundle is not what swarm.aws.stack_bundle returns: pass it on as it is.") from None


def check_name(stack: str) -> None:
    """Raises StackError unless Docker accepts the stack's name, with room for the names of its services."""
    if not _STACK_NAME.fullmatch(stack):
        raise StackError(
            f"The stack name '{stack}' is not valid: use lower-case letters, digits, '-' and '_', 41 at most, "
            "beginning with a letter or digit."
        )


def check_size(section: str, key: str, data: bytes) -> None:
    """Raises StackError unless a swarm takes the content of a config or secret."""
    limit = _SIZE_LIMITS[section]
    if not 0 < len(data) < limit:
        size = f"has {len(data):,} bytes" if data else "is empty"
        raise StackError(
            f"{section}.{key} {size}, but a swarm takes a {section[:-1]} of 1 to {limit - 1:,} bytes: "
            + ("split it, or put it into an image or a volume." if data else "give it a content, or remove it.")
        )


def pairs(given: Any) -> dict[str, str]:
    """Labels as strings."""
    return {str(key): "" if value is None else str(value) for key, value in (given or {}).items()}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
