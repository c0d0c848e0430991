"""Image references and their digests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .stack_error import StackError

# The label in which `docker stack deploy` remembers the image of the definition.
LABEL = "com.docker.stack.image"
_REFERENCE = re.compile(
    r"(?P<name>[a-z0-9][\w./:-]*?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


def with_digest(image: str, digest: str) -> str:
    """``haproxy:3.0`` and ``sha256:…`` make ``haproxy:3.0@sha256:…``."""
    return f"{without_digest(image)}@{digest}"


def without_digest(image: str) -> str:
    """The image by name and tag; the default tag is ``latest``."""
    match = _REFERENCE.fullmatch(image)
    if not match:
        raise StackError(f"'{image}' is not an image reference, such as registry.example.com/team/app:1.2.")
    return f"{match['name']}:{match['tag'] or 'latest'}"


def registry_of(image: str) -> str:
    """The registry of an image; the default is ``docker.io``."""
    first, slash, _rest = image.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else "docker.io"


def digest_of(image: str) -> str | None:
    """The digest in a reference, if there is a digest."""
    return image.partition("@")[2] or None


def recorded(image: str, services: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The digest of this image in a running service."""
    wanted = without_digest(image)
    for service in services.values():
        running = service["Spec"]["TaskTemplate"].get("ContainerSpec", {}).get("Image", "")
        if digest_of(running) and without_digest(running) == wanted:
            return digest_of(running)
    return None
