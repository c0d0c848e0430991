"""A stack's definition: what Docker's command makes of the compose files, self-contained and with pinned images.

Configs and secrets are named by their content: a change makes a new config or secret and updates its services.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .compose import NAMESPACE, SECTIONS, Blob, Bundle, check_size, pairs
from .stack_error import StackError

_GENERATE = "x-generate"
_NAME_LIMIT = 64
_DIGITS = 12
# A DNS label, since DNS finds a service by its name (swarmkit, manager/controlapi/common.go).
_SERVICE_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?")
_SERVICE_NAME_LIMIT = 63
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


@dataclass(frozen=True)
class Definition:
    """What to deploy."""

    stack: str
    document: dict[str, Any] = field(repr=False)
    """As `docker stack config` prints it, without what only concerns the compose files."""
    configs: tuple[Blob, ...] = ()
    secrets: tuple[Blob, ...] = ()
    generate: Mapping[str, int] = field(default_factory=dict)
    """Secrets to generate: name to length, in characters."""
    warnings: tuple[str, ...] = ()

    def names(self, section: str) -> set[str]:
        """The names of its ``configs`` or ``secrets`` in the swarm."""
        entries = self.document.get(section) or {}
        return {(entry or {}).get("name") or f"{self.stack}_{key}" for key, entry in entries.items()}


def of(bundle: Bundle, document: dict[str, Any], root: str, ignored: Mapping[str, str]) -> Definition:
    """Make a definition of what Docker's command printed.

    The command saw the controller's files in the folder ``root``, which was also its home. ``ignored`` are the options
    of services that it ignores, with its remark. Raises StackError.
    """
    # Docker writes all versions in the form of the newest version, but does not read it as the old version.
    document = {name: document[name] for name in SECTIONS if name in document}
    warnings = []
    for option, remark in ignored.items():
        using = [name for name, service in document["services"].items() if service.pop(option, None) is not None]
        if using:
            warnings.append(f"A swarm ignores '{option}' of {', '.join(sorted(using))}. {remark}".strip())
    for service in document["services"].values():
        service.pop("env_file", None)
    home = json.dumps(bundle.variables.get("HOME", ""))[1:-1]
    document = json.loads(json.dumps(document).replace(f"{root}/~", home))
    contents = _Contents(bundle, document, root)
    configs, secrets = contents.named("configs"), contents.named("secrets")
    return Definition(bundle.stack, document, configs, secrets, contents.to_generate(), tuple(warnings))


def pinned(document: Mapping[str, Any], digests: Mapping[str, str]) -> dict[str, Any]:
    """The document with every image at its digest. ``digests`` maps an image to ``name:tag@sha256:…``."""
    result = copy.deepcopy(dict(document))
    for service in result["services"].values():
        service["image"] = digests[service["image"]]
    return result


def command_input(document: Mapping[str, Any]) -> str:
    """The document as input for `docker stack deploy --compose-file -`, which interpolates '$' again."""
    # The command reads it as YAML, which knows no surrogates, and breaks lines at these characters.
    text = json.dumps(_escaped(document), ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def used(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """All that decides how a service runs: its entry, and the networks, volumes, configs and secrets that it uses."""
    service = document["services"][name]
    names = {
        "networks": service.get("networks") or ["default"],
        "volumes": [volume.get("source") for volume in service.get("volumes") or []],
        **{section: [item["source"] for item in service.get(section) or []] for section in ("configs", "secrets")},
    }
    return {
        **service,
        **{
            f"{section} used": {key: document[section][key] for key in keys if key in (document.get(section) or {})}
            for section, keys in names.items()
        },
    }


def repeated(document: Mapping[str, Any]) -> list[str]:
    """A warning about services that Docker may run too often, if there are any.

    A former leader keeps creating tasks for jobs (https://github.com/moby/moby/issues/53632).
    """
    modes = {name: (service.get("deploy") or {}).get("mode") for name, service in document["services"].items()}
    jobs = sorted(name for name, mode in modes.items() if mode in ("replicated-job", "global-job"))
    if not jobs:
        return []
    return [
        f"Jobs ({', '.join(jobs)}) may run several times, even at once, if the swarm's leader has changed "
        "(moby/moby#53632). If a service must run once, use mode replicated with a restart_policy of condition none."
    ]


def check_services(bundle: Bundle, document: Mapping[str, Any], root: str) -> None:
    """Refuse services that a swarm cannot run. Raises StackError."""
    for name, service in document["services"].items():
        _check_service(bundle, name, service, root)


def _check_service(bundle: Bundle, name: str, service: Mapping[str, Any], root: str) -> None:
    where = f"Service '{name}' ({bundle.lines.get(f'services.{name}', 'compose file')})"
    full_name = f"{bundle.stack}_{name}"
    if not _SERVICE_NAME.fullmatch(full_name) or len(full_name) > _SERVICE_NAME_LIMIT:
        raise StackError(
            f"{where} would be called '{full_name}', but Docker accepts letters, digits, and '-' "
            f"and '_' between them, {_SERVICE_NAME_LIMIT} at most: rename it."
        )
    if not service.get("image"):
        raise StackError(f"{where} has no image: build it, push it to a registry, and give 'image'.")
    for volume in service.get("volumes") or []:
        if str(volume.get("source") or "").startswith(f"{root}/"):
            raise StackError(
                f"{where} mounts a folder or file of the machine with the compose file at '{volume['target']}', which "
                "is not on the nodes: use a config, a secret, a named volume or an absolute path on the node."
            )


class _Contents:
    """The configs and secrets of a document."""

    def __init__(self, bundle: Bundle, document: dict[str, Any], root: str) -> None:
        self._bundle, self._document, self._root = bundle, document, root

    def named(self, section: str) -> tuple[Blob, ...]:
        """Take the contents out of a section and leave references to the names in the swarm."""
        blobs = []
        for key, entry in (self._document.get(section) or {}).items():
            if entry.get("external") or entry.get("driver"):
                continue
            data = self._data(section, key, entry)
            check_size(section, key, data)
            stack = self._bundle.stack
            digest = hashlib.sha256(stack.encode() + b"\0" + data).hexdigest()[:_DIGITS]
            name = f"{(entry.get('name') or f'{stack}_{key}')[: _NAME_LIMIT - _DIGITS - 1]}_{digest}"
            labels = {**pairs(entry.get("labels")), NAMESPACE: stack}
            blobs.append(Blob(name, data, labels, entry.get("template_driver")))
            self._document[section][key] = {"external": True, "name": name}
        return tuple(blobs)

    def _data(self, section: str, key: str, entry: Mapping[str, Any]) -> bytes:
        if "x-content" in entry:
            return str(entry["x-content"]).encode()
        if "x-environment" in entry:
            return self._bundle.variables.get(entry["x-environment"], "").encode()
        where = f"{section}.{key} ({self._bundle.lines.get(f'{section}.{key}', 'compose file')})"
        path = entry.get("file", "")
        folder = str(Path(self._bundle.sources[0]).parent)
        if path == self._root + folder:
            raise StackError(f"{where} has no content: set 'file', 'content' or 'environment', or 'external: true'.")
        # Relative paths are in the folder that stands for the controller's.
        path = path[len(self._root) :] if path.startswith(f"{self._root}/") else os.path.normpath(path)
        if path not in self._bundle.files:
            raise StackError(f"{where} names the file '{path}', which was not found here: write the path in full.")
        return self._bundle.files[path]

    def to_generate(self) -> dict[str, int]:
        wanted = {}
        for key, entry in (self._document.get("secrets") or {}).items():
            length = entry.pop(_GENERATE, None)
            if length is None:
                continue
            if not isinstance(length, int) or isinstance(length, bool) or not 16 <= length <= 256:
                raise StackError(f"secrets.{key}.{_GENERATE} must be the secret's length, 16 to 256, not {length!r}.")
            if key in self._bundle.generated:
                entry["name"] = f"{self._bundle.stack}_{key}"
            wanted[entry["name"]] = length
        return wanted


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value
