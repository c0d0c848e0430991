"""A service's specification in the engine, to see whether somebody has changed it since it was deployed."""

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
    labels, mode = spec.get("Labels") or {}, spec["Mode"]
    extra = surge.label(labels)
    if extra and mode.get("Replicated") == {"Replicas": sum(extra)}:
        mode = {"Replicated": {"Replicas": extra[0]}}
    return {**spec, "Mode": mode, "Labels": {key: value for key, value in labels.items() if key not in _NOTED}}


def digests(service: Mapping[str, Any] | None) -> dict[str, str]:
    """A digest of each part of a service's specification, such as ``Image``; empty for no service."""
    if service is None:
        return {}
    parts = settled(service["Spec"])
    template = {key: value for key, value in parts.pop("TaskTemplate").items() if key not in _SKIPPED}
    container = {f"Container{key}": value for key, value in template.pop("ContainerSpec", {}).items()}
    filled = _filled({**parts, **{f"Task{key}": value for key, value in template.items()}, **container})
    return {key: whole(value) for key, value in sorted(filled.items())}


def whole(value: Any) -> str:
    """A digest of anything."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def _filled(value: Any) -> Any:
    """Without empty values, which engines write or leave out."""
    if isinstance(value, dict):
        kept = {key: _filled(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item}
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        # Docker's commands sort mounts, networks and the like.
        return sorted(map(_filled, value), key=json.dumps)
    return value
