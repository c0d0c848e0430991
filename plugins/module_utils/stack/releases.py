"""What a stack was deployed as, kept in the swarm so that any manager can go back to it.

A release is the stack's definition with its images' digests, as a config that no service uses. It is written before it
is deployed and marked once it has converged, so that a rollback goes to what is known to have worked, whoever was
killed in between. Two are kept: the newest, and the one that a rollback would go to.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .compose import FINGERPRINT, NAMESPACE, Blob

NUMBER = "swarm.aws.stack.release"
CONVERGED = "swarm.aws.stack.converged"


@dataclass(frozen=True)
class Release:
    """One of a stack's definitions."""

    number: int
    definition: Mapping[str, Any] = field(repr=False)
    converged: bool
    """Whether all of its services once were as it says."""
    id: str = ""
    """The config's ID."""

    @property
    def fingerprints(self) -> dict[str, str]:
        """By the names of the services in the definition."""
        services = self.definition["services"]
        return {name: service["deploy"]["labels"][FINGERPRINT] for name, service in services.items()}

    @property
    def images(self) -> dict[str, str]:
        """By the names of the services in the definition, the image with its digest."""
        return {name: service["image"] for name, service in self.definition["services"].items()}

    def names(self, section: str) -> set[str]:
        """The names in the swarm of its ``configs`` or ``secrets``."""
        return {entry.get("name") or key for key, entry in (self.definition.get(section) or {}).items()}


def read(configs: Iterable[Mapping[str, Any]]) -> list[Release]:
    """The releases among the engine's configs, the newest last. What cannot be read is none."""
    found = []
    for config in configs:
        labels = config["Spec"].get("Labels") or {}
        try:
            definition = json.loads(base64.b64decode(config["Spec"]["Data"]))
            release = Release(int(labels[NUMBER]), definition, CONVERGED in labels, config["ID"])
            if release.fingerprints:
                found.append(release)
        except (KeyError, TypeError, ValueError):
            continue
    return sorted(found, key=lambda release: release.number)


def blob(stack: str, definition: Mapping[str, Any], present: Sequence[Release]) -> Blob | None:
    """The config by which a definition becomes the newest release; None if it is already."""
    if present and present[-1].definition == definition:
        return None
    number = present[-1].number + 1 if present else 1
    labels = {NAMESPACE: stack, NUMBER: str(number)}
    return Blob(f"{stack}_release_{number}", json.dumps(definition, sort_keys=True).encode(), labels)


def target(present: Sequence[Release]) -> Release | None:
    """What a rollback goes to: the newest release that has converged and is not the newest of all."""
    for release in reversed(present[:-1]):
        if release.converged and release.definition != present[-1].definition:
            return release
    return None


def kept(present: Sequence[Release]) -> list[Release]:
    """Those that are still of use."""
    back = target(present)
    return [release for release in present if release is present[-1] or release is back]
