"""Credentials for registries."""

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
        """For the engine's API."""
        return {"username": self.username, "password": self.password}

    def encoded(self) -> str:
        """For the docker command's configuration."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def given(registries: Sequence[Mapping[str, Any]]) -> dict[str, Credentials]:
    """The operator's credentials, by registry. Raises StackError for two credentials of a registry."""
    found: dict[str, Credentials] = {}
    for registry in registries:
        host = str(registry["host"]).partition("://")[2] or str(registry["host"])
        host = host.rstrip("/")
        if host in found:
            raise StackError(f"There are two credentials for the registry {host}: give only one.")
        found[host] = Credentials(str(registry["username"]), str(registry["password"]))
    return found
