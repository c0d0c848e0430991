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

from .._core.ipvs import INGRESS
from ..adapters.services import health_checked
from .compose import NAMESPACE, SECTIONS, Blob, Bundle, check_size
from .stack_error import StackError

_NAME_LIMIT = 64
_DIGITS = 12
# A DNS label, since DNS finds a service by its name (swarmkit, manager/controlapi/common.go).
_SERVICE_NAME = re.compile(r"(?=.{1,63}\Z)[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?")
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


def of(bundle: Bundle, printed: Mapping[str, Any], root: str, ignored: Mapping[str, str]) -> Definition:
    """Make a definition of what Docker's command printed.

    The command saw the controller's files in the folder ``root``, and its home there. ``ignored`` are the options of
    services that it ignores, with a remark. Raises StackError.
    """
    home = json.dumps(bundle.variables.get("HOME", ""))[1:-1]
    # Docker prints all versions in the form of the newest version, but does not read that as the old version.
    kept = {name: printed[name] for name in SECTIONS if name in printed}
    document = json.loads(json.dumps(kept).replace(f"{root}/~", home))
    warnings = []
    for option, remark in ignored.items():
        using = sorted(name for name, service in document["services"].items() if option in service)
        where = f" of {', '.join(using)}" if using else ""
        warnings.append(f"A swarm ignores '{option}'{where}. {remark}".strip())
    warnings += [*_on_the_host(document), *_interrupted(document)]
    for service in document["services"].values():
        # These are of the compose file only.
        for option in [option for option in service if option in ("build", "env_file") or option.startswith("x-")]:
            del service[option]
    configs, secrets = (_contents(bundle, document, section, root) for section in ("configs", "secrets"))
    return Definition(bundle.stack, document, configs, secrets, _to_generate(bundle, document), tuple(warnings))


def _on_the_host(document: Mapping[str, Any]) -> list[str]:
    """A warning about services on the host's network, which reach the metadata service, if there are any."""
    networks = document.get("networks") or {}
    hosts = {key for key, network in networks.items() if network.get("external") and network.get("name", key) == "host"}
    names = sorted(name for name, service in document["services"].items() if hosts & set(service.get("networks") or ()))
    if not names:
        return []
    return [
        f"Tasks of {', '.join(names)} are on the host's network, so they can get the credentials of their node's role "
        "from the metadata service: use another network unless they need them."
    ]


def _interrupted(document: Mapping[str, Any]) -> list[str]:
    """A sentence for each service behind the routing mesh whose clients notice that a task is replaced."""
    found = []
    for name, service in sorted(document["services"].items()):
        deploy = service.get("deploy") or {}
        published = any(port.get("mode", INGRESS) == INGRESS for port in service.get("ports") or ())
        # Two tasks with one volume may not be safe.
        stateful = any(volume.get("type") == "volume" for volume in service.get("volumes") or ())
        if not published or stateful or deploy.get("mode", "replicated") != "replicated":
            continue
        order = (deploy.get("update_config") or {}).get("order")
        missing = ["deploy.update_config.order: start-first"] if order != "start-first" else []
        check = service.get("healthcheck") or {}
        if check.get("disable") or not health_checked({"Test": check.get("test")}):
            missing.append("a healthcheck (here or in its image)")
        if missing:
            found.append(
                f"Requests to {name} can fail when it is deployed or a node is removed: it lacks "
                f"{' and '.join(missing)}."
            )
    return found


def check_services(bundle: Bundle, document: Mapping[str, Any], root: str) -> None:
    """Refuse services that a swarm cannot run. Raises StackError."""
    for name, service in document["services"].items():
        where, full_name = bundle.where(f"services.{name}"), f"{bundle.stack}_{name}"
        if not _SERVICE_NAME.fullmatch(full_name):
            raise StackError(
                f"{where} would be called '{full_name}', but Docker accepts letters, digits, and '-' and '_' between "
                "them, 63 at most: rename it."
            )
        if not service.get("image"):
            raise StackError(f"{where} has no image: build it, push it to a registry, and give 'image'.")
        for volume in service.get("volumes") or []:
            if str(volume.get("source")).startswith(f"{root}/"):
                raise StackError(
                    f"{where} mounts a file or folder beside the compose file at '{volume['target']}', which is not on "
                    "the nodes: use a config, a secret, a named volume or an absolute path on the node."
                )


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


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def used(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """All that decides how a service runs: its entry, and the networks, volumes, configs and secrets that it names."""
    service = document["services"].get(name, {})
    text = json.dumps([service, "default"])
    return {
        **service,
        **{
            f"{section} used": {key: entry for key, entry in document[section].items() if json.dumps(key) in text}
            for section in SECTIONS[1:]
            if service and document.get(section)
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


def _contents(bundle: Bundle, document: dict[str, Any], section: str, root: str) -> tuple[Blob, ...]:
    """Take the contents out of a section and leave references to the names in the swarm."""
    blobs = []
    for key, entry in (document.get(section) or {}).items():
        if entry.get("external") or entry.get("driver"):
            continue
        data = _content(bundle, f"{section}.{key}", entry, root)
        check_size(section, bundle.where(f"{section}.{key}"), data)
        digest = hashlib.sha256(bundle.stack.encode() + b"\0" + data).hexdigest()[:_DIGITS]
        name = f"{(entry.get('name') or f'{bundle.stack}_{key}')[: _NAME_LIMIT - _DIGITS - 1]}_{digest}"
        labels = {**(entry.get("labels") or {}), NAMESPACE: bundle.stack}
        blobs.append(Blob(name, data, labels, entry.get("template_driver")))
        document[section][key] = {"external": True, "name": name}
    return tuple(blobs)


def _content(bundle: Bundle, key: str, entry: Mapping[str, Any], root: str) -> bytes:
    if "x-content" in entry:
        return str(entry["x-content"]).encode()
    if "x-environment" in entry:
        return bundle.variables.get(entry["x-environment"], "").encode()
    # Relative paths are in the folder that stands for the controller's.
    path = os.path.normpath(entry.get("file", "").removeprefix(root))
    if path == str(Path(bundle.sources[0]).parent):
        raise StackError(
            f"{bundle.where(key)} has no content: set 'file', 'content' or 'environment', or 'external: true'."
        )
    if path not in bundle.files:
        raise StackError(f"{bundle.where(key)} names the file '{path}', which was not sent: write its name in full.")
    return bundle.files[path].encode("latin-1")


def _to_generate(bundle: Bundle, document: Mapping[str, Any]) -> dict[str, int]:
    wanted = {}
    for key, entry in (document.get("secrets") or {}).items():
        length = entry.pop("x-generate", None)
        if length is not None:
            if isinstance(length, bool) or not isinstance(length, int) or not 16 <= length <= 256:
                raise StackError(f"secrets.{key}.x-generate must be the secret's length, 16 to 256, not {length!r}.")
            if key in bundle.generated:
                entry["name"] = f"{bundle.stack}_{key}"
            wanted[entry["name"]] = length
    return wanted
