"""What registries ask for before images can be pulled from them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .stack_error import StackError


@dataclass(frozen=True)
class Credentials:
    """A login at a registry."""

    username: str
    password: str = field(repr=False)

    def plain(self) -> dict[str, str]:
        """As the engine's API takes it."""
        return {"username": self.username, "password": self.password}

    def encoded(self) -> str:
        """As it stands in the docker command's configuration."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def given(registries: Sequence[Mapping[str, Any]]) -> dict[str, Credentials]:
    """The operator's, by registry. Raises StackError for two of one registry."""
    found: dict[str, Credentials] = {}
    for registry in registries:
        host = str(registry["host"]).partition("://")[2] or str(registry["host"])
        host = host.rstrip("/")
        if host in found:
            raise StackError(f"There are two credentials for the registry {host}: give one.")
        found[host] = Credentials(str(registry["username"]), str(registry["password"]))
    return found
