"""A stack on its way to a manager: its compose files, the files that they name, and their variables."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from .stack_error import StackError

NAMESPACE = "com.docker.stack.namespace"
SECTIONS = ("services", "networks", "volumes", "configs", "secrets")
# In bytes (swarmkit, manager/controlapi/config.go and api/validation/secrets.go).
_TOO_LARGE = {"configs": 1000 * 1024, "secrets": 500 * 1024}
_STACK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")


@dataclass(frozen=True)
class Blob:
    """A config or a secret in the swarm."""

    name: str
    data: bytes = field(repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    template_driver: str | None = None


@dataclass
class Bundle:
    """A stack's compose files and all that they name."""

    stack: str
    sources: list[str]
    """Absolute paths of the compose files, in the order in which Docker merges them."""
    variables: dict[str, str] = field(repr=False)
    files: dict[str, str] = field(default_factory=dict, repr=False)
    """Contents by absolute path on the controller, a character for each byte."""
    masked: list[str] = field(default_factory=list, repr=False)
    """The contents of secrets."""
    generated: list[str] = field(default_factory=list)
    """The secrets to generate that have no name of their own."""
    lines: dict[str, str] = field(default_factory=dict)
    """Where an entry is, such as ``services.web.image``: file and line."""
    warnings: list[str] = field(default_factory=list)

    @property
    def secrets(self) -> list[bytes]:
        """The contents of the secrets, to mask them."""
        return [text.encode("latin-1") for text in self.masked]

    def where(self, entry: str) -> str:
        """An entry's name, with its file and line."""
        return f"{entry} ({self.lines[entry]})" if entry in self.lines else entry

    def pack(self) -> str:
        """The bundle as an opaque string, to send to the manager. It contains secrets, which anyone can unpack."""
        return base64.b64encode(zlib.compress(json.dumps(vars(self)).encode())).decode()

    @classmethod
    def unpack(cls, packed: str) -> Bundle:
        """The reverse of :meth:`pack`. Raises StackError for anything else."""
        try:
            return cls(**json.loads(zlib.decompress(base64.b64decode(packed, validate=True))))
        except (ValueError, TypeError, zlib.error):
            raise StackError("The bundle is not what swarm.aws.stack_bundle returns: pass it on as it is.") from None


def check_name(stack: str) -> None:
    """Raises StackError unless Docker accepts the stack's name, with room for the names of its services."""
    if not _STACK_NAME.fullmatch(stack):
        raise StackError(
            f"The stack name '{stack}' is not valid: use lower-case letters, digits, '-' and '_', 41 at most, "
            "beginning with a letter or digit."
        )


def check_size(section: str, where: str, data: bytes) -> None:
    """Raises StackError unless a swarm takes the content of a config or secret."""
    if not 0 < len(data) < _TOO_LARGE[section]:
        raise StackError(
            f"{where} has {len(data):,} bytes, but a swarm takes 1 to {_TOO_LARGE[section] - 1:,} bytes of a "
            f"{section[:-1]}: use a volume, or put it into an image."
        )
