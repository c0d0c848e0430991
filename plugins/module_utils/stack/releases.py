"""Releases of a stack, kept in the swarm so that any manager can roll back.

A release is what Docker made of the compose files, with the images' digests, as a config that no service uses. It is
written before it is deployed and marked once it has converged, so that a rollback uses a release that has worked, even
if a run was killed in between. Two releases are kept: the newest, and the target of a rollback.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .compose import NAMESPACE, Blob

NUMBER = "swarm.aws.stack.release"
CONVERGED = "swarm.aws.stack.converged"
SERVICES = "swarm.aws.stack.services"


@dataclass(frozen=True)
class Release:
    """A deployed definition of a stack."""

    number: int
    definition: Mapping[str, Any] = field(repr=False)
    converged: bool
    """Whether all of its services have converged."""
    id: str = ""
    """The config's ID."""
    services: Mapping[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    """By name in the swarm, the digest of a service before its deployment, and those of its parts afterwards."""

    def names(self, section: str) -> set[str]:
        """The names of its ``configs`` or ``secrets`` in the swarm."""
        return {entry.get("name") or key for key, entry in (self.definition.get(section) or {}).items()}


def read(configs: Iterable[Mapping[str, Any]]) -> list[Release]:
    """The releases among the engine's configs, the newest last. Unreadable configs are skipped."""
    found = []
    for config in configs:
        labels = config["Spec"].get("Labels") or {}
        try:
            definition = json.loads(base64.b64decode(config["Spec"]["Data"]))
            services = json.loads(labels.get(SERVICES, "{}"))
            if all(service["image"] for service in definition["services"].values()):
                found.append(Release(int(labels[NUMBER]), definition, CONVERGED in labels, config["ID"], services))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return sorted(found, key=lambda release: release.number)


def blob(stack: str, definition: Mapping[str, Any], present: Sequence[Release]) -> Blob | None:
    """The config that makes a definition the newest release; None if it is the newest already."""
    if present and present[-1].definition == definition:
        return None
    number = present[-1].number + 1 if present else 1
    labels = {NAMESPACE: stack, NUMBER: str(number)}
    return Blob(f"{stack}_release_{number}", json.dumps(definition, sort_keys=True).encode(), labels)


def target(present: Sequence[Release]) -> Release | None:
    """The target of a rollback: the newest converged release with another definition than the present release."""
    for release in reversed(present[:-1]):
        if release.converged and release.definition != present[-1].definition:
            return release
    return None


def kept(present: Sequence[Release]) -> list[Release]:
    """The releases that are still needed."""
    back = target(present)
    return [release for release in present if release is present[-1] or release is back]
