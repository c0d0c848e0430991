"""A service's specification in the engine, by its parts, to see whether somebody has changed it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .._core import registry_credentials, surge

# Labels that the managers' agents set on services. A deployment drops them and the agents set them again.
_NOTED = (surge.LABEL, registry_credentials.LABEL)
# Docker keeps the first when it deploys, and only sometimes writes the second.
_SKIPPED = ("ForceUpdate", "Runtime")


def settled(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The specification without what the managers' agents change."""
    labels = spec.get("Labels") or {}
    mode, extra = spec["Mode"], surge.label(labels)
    if extra and mode.get("Replicated") == {"Replicas": sum(extra)}:
        mode = {"Replicated": {"Replicas": extra[0]}}
    return {**spec, "Mode": mode, "Labels": {key: value for key, value in labels.items() if key not in _NOTED}}


def digests(spec: Mapping[str, Any]) -> dict[str, str]:
    """A digest of each part, such as ``ContainerSpec.Image``."""
    parts = settled(spec)
    template = parts.pop("TaskTemplate")
    parts.update({f"TaskTemplate.{key}": value for key, value in template.items() if key not in _SKIPPED})
    container = parts.pop("TaskTemplate.ContainerSpec", {})
    parts.update({f"ContainerSpec.{key}": value for key, value in container.items()})
    kept = {key: _filled(value) for key, value in parts.items()}
    return {key: _digest(value) for key, value in sorted(kept.items()) if value}


def changed(spec: Mapping[str, Any], deployed: Mapping[str, str] | None) -> str:
    """The parts that differ from those that were deployed; empty if none does."""
    if deployed is None:
        return "it may change: how it was deployed is not known"
    now = digests(spec)
    return ", ".join(sorted(key for key in {*now, *deployed} if now.get(key) != deployed.get(key)))


def whole(parts: Mapping[str, str]) -> str:
    """A digest of all parts; empty for no service."""
    return _digest(parts) if parts else ""


def _filled(value: Any) -> Any:
    """Without empty values, which engines write or leave out."""
    if isinstance(value, dict):
        kept = {key: _filled(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item}
    if isinstance(value, list):
        items = [_filled(item) for item in value]
        # Docker's commands sort mounts, networks and the like.
        return sorted(items, key=json.dumps) if any(isinstance(item, dict) for item in items) else items
    return value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]
