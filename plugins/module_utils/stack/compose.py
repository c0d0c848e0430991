"""A compose file as this collection deploys it: a self-contained definition.

Configs and secrets are named by their content: a change makes a new config or secret and updates its services.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .interpolation import interpolate
from .stack_error import StackError

NAMESPACE = "com.docker.stack.namespace"
FINGERPRINT = "swarm.aws.stack.fingerprint"
GENERATE = "x-generate"
_NAME_LIMIT = 64
_DIGITS = 12
_STACK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
# A DNS label, since DNS finds a service by its name (swarmkit, manager/controlapi/common.go).
_SERVICE_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?")
_SERVICE_NAME_LIMIT = 63
_SECTIONS = ("services", "networks", "volumes", "configs", "secrets")
Read = Callable[[str], bytes]


@dataclass(frozen=True)
class Blob:
    """A config or a secret in the swarm."""

    name: str
    data: bytes = field(repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    template_driver: str | None = None


@dataclass(frozen=True)
class Bundle:
    """A stack's definition and the contents that it refers to."""

    stack: str
    definition: dict[str, Any]
    configs: tuple[Blob, ...] = ()
    secrets: tuple[Blob, ...] = ()
    generate: Mapping[str, int] = field(default_factory=dict)
    """Secrets to generate: name to length, in characters."""

    def pack(self) -> str:
        """The bundle as an opaque string, to send to the manager. It contains secrets, which anyone can unpack."""
        plain = {**vars(self), "configs": _plain(self.configs), "secrets": _plain(self.secrets)}
        return base64.b64encode(zlib.compress(json.dumps(plain, default=str).encode())).decode()

    @classmethod
    def unpack(cls, packed: str) -> Bundle:
        """The reverse of :meth:`pack`. Raises StackError for anything else."""
        try:
            plain = json.loads(zlib.decompress(base64.b64decode(packed, validate=True)))
            for section in ("configs", "secrets"):
                plain[section] = tuple(
                    Blob(**{**blob, "data": base64.b64decode(blob["data"])}) for blob in plain[section]
                )
            return cls(**plain)
        except (ValueError, KeyError, TypeError, zlib.error):
            raise StackError("The bundle is not what swarm.aws.stack_bundle returns: pass it on as it is.") from None


def _plain(blobs: Sequence[Blob]) -> list[dict[str, Any]]:
    return [{**vars(blob), "data": base64.b64encode(blob.data).decode()} for blob in blobs]


def beside(compose_file: Path) -> Read:
    """A function that reads a file by its name in a compose file, relative to the compose file's folder or to ``~``.

    It raises OSError.
    """
    return lambda name: (compose_file.parent / Path(name).expanduser()).read_bytes()


def bundle(stack: str, document: Any, variables: Mapping[str, str], read: Read, *, source: str) -> Bundle:
    """Make a bundle of a compose document.

    ``read`` returns the content of a file by its name in the document. ``source`` is the document's name in errors.
    Raises StackError.
    """
    check_name(stack)
    definition = _checked(document, source)
    definition = {section: interpolate(definition[section], variables, section) for section in definition}
    for name, service in definition["services"].items():
        _check_service(stack, name, service, source)
        _settle_environment(name, service, variables, read, source)
    configs = _contents(stack, definition, "configs", variables, read, source)
    secrets = _contents(stack, definition, "secrets", variables, read, source)
    return Bundle(stack, definition, configs, secrets, _to_generate(stack, definition, source))


def check_name(stack: str) -> None:
    """Raises StackError unless Docker accepts the stack's name, with room for the names of its services."""
    if not _STACK_NAME.fullmatch(stack):
        raise StackError(
            f"The stack name '{stack}' is not valid: use lower-case letters, digits, '-' and '_', 41 at most, "
            "beginning with a letter or digit."
        )


def pinned(definition: Mapping[str, Any], digests: Mapping[str, str]) -> dict[str, Any]:
    """The definition with every image at its digest and every service labelled with its fingerprint.

    ``digests`` maps an image of the definition to ``name:tag@sha256:…``.
    """
    result = copy.deepcopy(dict(definition))
    for service in result["services"].values():
        service["image"] = digests[service["image"]]
    for service in result["services"].values():
        deploy = service["deploy"] = dict(service.get("deploy") or {})
        labels = deploy["labels"] = _pairs(deploy.get("labels"))
        labels.pop(FINGERPRINT, None)
        labels[FINGERPRINT] = fingerprint(result, service)
    return result


def fingerprint(definition: Mapping[str, Any], service: Mapping[str, Any]) -> str:
    """A digest of all that decides how a service runs, except its own label."""
    used = {
        section: {name: (definition.get(section) or {}).get(name) for name in sorted(sources(service, section))}
        for section in ("configs", "secrets", "networks")
    }
    text = json.dumps([service, used], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def sources(service: Mapping[str, Any], section: str) -> list[str]:
    """The names, in the definition, of the configs, secrets or networks that a service uses."""
    found = service.get(section) or []
    return [item["source"] if isinstance(item, dict) else item for item in found]


def repeated(definition: Mapping[str, Any]) -> list[str]:
    """A warning about services that Docker may run too often, if there are any.

    A former leader keeps creating tasks for jobs (https://github.com/moby/moby/issues/53632).
    """
    modes = {name: (service.get("deploy") or {}).get("mode") for name, service in definition["services"].items()}
    jobs = sorted(name for name, mode in modes.items() if mode in ("replicated-job", "global-job"))
    if not jobs:
        return []
    return [
        f"Jobs ({', '.join(jobs)}) may run several times, even at once, if the swarm's leader has changed "
        "(moby/moby#53632). If a service must run once, use mode replicated with a restart_policy of condition none."
    ]


def command_input(definition: Mapping[str, Any]) -> str:
    """The definition as input for `docker stack deploy --compose-file -`, which interpolates '$' again."""
    return json.dumps(_escaped(definition), default=str)


def _checked(document: Any, source: str) -> dict[str, Any]:
    if not isinstance(document, dict) or not isinstance(document.get("services"), dict) or not document["services"]:
        raise StackError(f"{source} is not a compose file: it needs a mapping 'services' with at least one service.")
    for section in _SECTIONS:
        if not isinstance(document.get(section) or {}, dict):
            raise StackError(f"'{section}' in {source} must be a mapping of names.")
    definition = {key: value for key, value in copy.deepcopy(document).items() if not key.startswith("x-")}
    for section in ("configs", "secrets"):
        if section in definition:
            definition[section] = {name: entry or {} for name, entry in (definition[section] or {}).items()}
    definition.pop("name", None)
    return {key: value for key, value in definition.items() if value is not None}


def _check_service(stack: str, name: str, service: Any, source: str) -> None:
    full_name = f"{stack}_{name}"
    if not _SERVICE_NAME.fullmatch(full_name) or len(full_name) > _SERVICE_NAME_LIMIT:
        raise StackError(
            f"Service '{name}' in {source} would be called '{full_name}', but Docker accepts letters, digits, and '-' "
            f"and '_' between them, {_SERVICE_NAME_LIMIT} at most: rename it."
        )
    if not isinstance(service, dict):
        raise StackError(f"Service '{name}' in {source} must be a mapping of options.")
    if not service.get("image"):
        reason = "has 'build', which a swarm does not support" if service.get("build") else "has no image"
        raise StackError(f"Service '{name}' in {source} {reason}: push its image to a registry and give 'image'.")
    for volume in service.get("volumes") or []:
        origin = volume.get("source", "") if isinstance(volume, dict) else str(volume).partition(":")[0]
        if str(origin).startswith("."):
            raise StackError(
                f"Service '{name}' in {source} mounts '{origin}' relative to the compose file, which is not on the "
                "nodes: use a config, a secret, a named volume or an absolute path on the node."
            )


def _settle_environment(
    name: str, service: dict[str, Any], variables: Mapping[str, str], read: Read, source: str
) -> None:
    """Resolve ``env_file`` and variables without a value, which are this machine's."""
    settled: dict[str, str] = {}
    files = service.pop("env_file", None) or []
    for path in [files] if isinstance(files, str) else files:
        content = _read(read, path["path"] if isinstance(path, dict) else path, f"service '{name}' in {source}")
        for line in content.decode().splitlines():
            key, equals, value = line.strip().partition("=")
            if key and not key.startswith("#"):
                settled[key] = value if equals else variables.get(key, "")
    given = service.get("environment") or {}
    if isinstance(given, list):
        given = {key: value if equals else None for key, equals, value in (str(item).partition("=") for item in given)}
    for key, value in given.items():
        if value is not None:
            settled[key] = str(value).lower() if isinstance(value, bool) else str(value)
        elif key in variables:
            settled[key] = variables[key]
    if settled:
        service["environment"] = settled
    else:
        service.pop("environment", None)


def _contents(
    stack: str, definition: dict[str, Any], section: str, variables: Mapping[str, str], read: Read, source: str
) -> tuple[Blob, ...]:
    """Move the contents out of a section and leave references to the names in the swarm."""
    blobs = []
    for key, entry in (definition.get(section) or {}).items():
        where = f"{section}.{key} in {source}"
        if entry.get("external"):
            continue
        if "file" in entry:
            data = _read(read, entry["file"], where)
        elif "content" in entry:
            data = str(entry["content"]).encode()
        elif "environment" in entry:
            if entry["environment"] not in variables:
                raise StackError(f"{where} uses the variable {entry['environment']}, which is not set: set it.")
            data = variables[entry["environment"]].encode()
        else:
            raise StackError(f"{where} has no content: set 'file', 'content' or 'environment', or 'external: true'.")
        labels = {**_pairs(entry.get("labels")), NAMESPACE: stack}
        name = _by_content(entry.get("name") or f"{stack}_{key}", stack, data)
        blobs.append(Blob(name, data, labels, entry.get("template_driver")))
        definition[section][key] = {"external": True, "name": name}
    return tuple(blobs)


def _by_content(base: str, stack: str, data: bytes) -> str:
    digest = hashlib.sha256(stack.encode() + b"\0" + data).hexdigest()[:_DIGITS]
    return f"{base[: _NAME_LIMIT - _DIGITS - 1]}_{digest}"


def _to_generate(stack: str, definition: dict[str, Any], source: str) -> dict[str, int]:
    wanted = {}
    for key, entry in (definition.get("secrets") or {}).items():
        length = entry.pop(GENERATE, None)
        if length is None:
            continue
        if not isinstance(length, int) or isinstance(length, bool) or not 16 <= length <= 256:
            raise StackError(
                f"secrets.{key}.{GENERATE} in {source} must be the secret's length, 16 to 256, not {length!r}."
            )
        entry["name"] = entry.get("name") or f"{stack}_{key}"
        wanted[entry["name"]] = length
    return wanted


def _read(read: Read, path: str, where: str) -> bytes:
    try:
        return read(path)
    except OSError as error:
        raise StackError(f"{where} names the file '{path}', which cannot be read: {error.strerror}.") from None


def _pairs(given: Any) -> dict[str, str]:
    """Labels as a mapping, from either of the format's two notations."""
    if isinstance(given, list):
        return {key: value for key, dummy, value in (str(item).partition("=") for item in given)}
    return {str(key): "" if value is None else str(value) for key, value in (given or {}).items()}


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value
