"""The swarm for a deployment: the engine's API, and the docker command for what only it can do."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .._core.errors import SwarmError
from ..adapters.engine_api import SOCKET, APIError, EngineApi, explained
from . import images
from . import releases as known_releases
from .compose import NAMESPACE, Blob
from .credentials import Credentials
from .docker_reading import SECONDS, Run, place, private_folder, remarks, run
from .releases import Release
from .stack_error import StackError

_SECONDS = 60
_LOG_SECONDS = 10
_SECONDS_A_SERVICE = 20
# The docker command's key for Docker Hub's credentials.
_HUB = "https://index.docker.io/v1/"
# States in which a task no longer runs.
_ENDED = ("complete", "failed", "shutdown", "rejected", "orphaned", "remove")


class StackEngine(EngineApi):
    """The engine of the manager that the module runs on."""

    def __init__(self, run: Run) -> None:
        """``run`` runs a command as Ansible's ``run_command`` does.

        Raises StackError when the engine, its SDK or the docker command is missing.
        """
        self._run = run
        if not shutil.which("docker"):
            raise StackError("The docker command is missing on this node: install docker-cli.")
        try:
            super().__init__(SOCKET, _SECONDS)
            with self._asked("tell its version"):
                self._api.version()
        except SwarmError as error:
            raise StackError(str(error)) from None

    def manages(self) -> str:
        """Empty if this engine is a working manager; otherwise a sentence that says why not."""
        swarm = self._api.info()["Swarm"]
        if swarm["LocalNodeState"] != "active":
            return f"This node is not in a swarm (its state is {swarm['LocalNodeState']})."
        if not swarm["ControlAvailable"]:
            return "This node is a worker of its swarm; only a manager can deploy."
        try:
            self._api.inspect_swarm()
        except APIError as error:
            return f"This manager cannot act: {explained(error)}"
        return ""

    def nodes(self) -> list[dict[str, Any]]:
        return list(self._api.nodes())

    def services(self, stack: str) -> dict[str, dict[str, Any]]:
        """The stack's services by their names in the swarm."""
        found = self._api.services(filters=_of(stack))
        return {service["Spec"]["Name"]: service for service in found}

    def tasks(self, stack: str) -> list[dict[str, Any]]:
        return list(self._api.tasks(filters=_of(stack)))

    def names(self, section: str, stack: str | None = None) -> dict[str, str]:
        """Name to ID of the ``configs`` or ``secrets``, of a stack or of the whole swarm."""
        listed = self._api.configs if section == "configs" else self._api.secrets
        return {item["Spec"]["Name"]: item["ID"] for item in listed(filters=_of(stack) if stack else None)}

    def add(self, section: str, blob: Blob) -> None:
        driver = {"Name": blob.template_driver} if blob.template_driver else None
        try:
            if section == "configs":
                self._api.create_config(blob.name, blob.data, labels=dict(blob.labels), templating=driver)
            elif driver:
                raise StackError(f"Secret {blob.name} has a template_driver, which is supported for configs only.")
            else:
                self._api.create_secret(blob.name, blob.data, labels=dict(blob.labels))
        except APIError as error:
            if error.status_code != 409:
                raise StackError(f"{section[:-1].title()} {blob.name} was refused: {explained(error)}.") from None

    def drop(self, section: str, identifier: str) -> None:
        remove = self._api.remove_config if section == "configs" else self._api.remove_secret
        try:
            remove(identifier)
        except APIError as error:
            # It is gone already, or in use: there is nothing to do.
            if error.status_code not in (400, 404):
                raise

    def digest(self, image: str, credentials: Credentials | None = None) -> str:
        """The digest of an image in its registry. Raises StackError with the registry's reason."""
        try:
            return str(self._api.inspect_distribution(image, auth_config=_auth(credentials))["Descriptor"]["digest"])
        except APIError as error:
            raise StackError(explained(error)) from None

    def pulled_digest(self, image: str, credentials: Credentials | None = None) -> str | None:
        """The digest of an image that is pulled; None if it cannot be."""
        with contextlib.suppress(APIError, IndexError):
            self._api.pull(image, auth_config=_auth(credentials))
            return str(self._api.inspect_image(image)["RepoDigests"][0].partition("@")[2])
        return None

    def deploy(
        self,
        stack: str,
        document: str,
        *,
        registry_auth: bool,
        credentials: Mapping[str, Credentials],
        ask_registries: bool,
    ) -> str:
        """Deploy, and return what Docker remarks on, empty for nothing.

        The nodes get the credentials by registry, and with ``registry_auth`` this manager's logins too. With
        ``ask_registries`` Docker asks them for the platforms of the images, so that tasks run on such nodes only.
        """
        if not ask_registries:
            for service in self.services(stack).values():
                self._forget_changed_image(service)
        options = ["--prune", "--detach=true", "--resolve-image", "always" if ask_registries else "never"]
        options += ["--with-registry-auth"] if registry_auth or credentials else []
        # No others: the command puts them into empty variables of services. Credential helpers need these.
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if registry_auth and name in os.environ}
        # The command asks the registries for one service after the other.
        seconds = SECONDS + _SECONDS_A_SERVICE * len(json.loads(document).get("services", {}))
        with private_folder() as folder:
            place(f"{folder}/config.json", json.dumps(_logins(credentials, own=registry_auth)))
            words = ["--config", folder, "stack", "deploy", *options, "--compose-file", "-", stack]
            code, _output, errors = run(self._run, words, environment, document, seconds)
        if code:
            said = [line.strip() for line in errors.splitlines() if line.strip()]
            raise StackError(f"Docker refused the stack: {'; '.join(said) or 'no reason given'}")
        return remarks(errors)

    def _forget_changed_image(self, service: Mapping[str, Any]) -> None:
        """With ``never``, the command keeps an image that was changed by hand if the definition's equals this label."""
        labels = dict(service["Spec"]["Labels"])
        if labels.pop(images.LABEL, "") != service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]:
            spec = {**service["Spec"], "Labels": labels}
            self._update_object(f"services/{service['ID']}", service["Version"]["Index"], spec)

    def releases(self, stack: str) -> list[Release]:
        """The stack's releases, the newest last."""
        return known_releases.read(self._api.configs(filters=_of(stack)))

    def mark_converged(self, release: Release) -> None:
        """Note that the release has converged."""
        self.label(release, {known_releases.CONVERGED: "true"})

    def label(self, release: Release, labels: Mapping[str, str]) -> None:
        """Add labels to a release."""
        present = self._api.inspect_config(release.id)
        spec = {**present["Spec"], "Labels": {**present["Spec"]["Labels"], **labels}}
        self._update_object(f"configs/{release.id}", present["Version"]["Index"], spec)

    def left(self, stack: str) -> dict[str, list[str]]:
        """By kind, the names of a stack's services, tasks, networks, configs and secrets.

        Only tasks on nodes that are up: other tasks cannot stop.
        """
        up = {node["ID"] for node in self.nodes() if node["Status"]["State"] == "ready"}
        found = {
            "services": sorted(self.services(stack)),
            "tasks": sorted(
                task["ID"]
                for task in self.tasks(stack)
                if task.get("NodeID") in up and task["Status"]["State"] not in _ENDED
            ),
            "networks": sorted(self.networks(stack)),
            "configs": sorted(self.names("configs", stack)),
            "secrets": sorted(self.names("secrets", stack)),
        }
        return {kind: names for kind, names in found.items() if names}

    def remove(self, stack: str) -> None:
        """Remove what can be removed of a stack now: its services, then what they no longer use."""
        services = [service["ID"] for service in self.services(stack).values()]
        for identifier in services:
            self._unless_in_use(self._api.remove_service, identifier)
        for section in ("configs", "secrets"):
            for identifier in self.names(section, stack).values():
                self.drop(section, identifier)
        for network in self.networks(stack).values():
            self._unless_in_use(self._api.remove_network, network["Id"])

    def networks(self, stack: str) -> dict[str, dict[str, Any]]:
        """The stack's networks by their names."""
        return {network["Name"]: network for network in self._api.networks(filters=_of(stack))}

    @staticmethod
    def _unless_in_use(remove: Callable[[str], Any], identifier: str) -> None:
        """Try to remove. If it is already gone or still in use, the caller looks again."""
        try:
            remove(identifier)
        except APIError as error:
            # The engine reports an internal error for a network that another manager has just removed.
            known = any(words in explained(error) for words in ("in use", "not found"))
            if error.status_code != 404 and not known:
                raise StackError(f"The engine refused to remove {identifier}: {explained(error)}") from None

    def log(self, task: str, lines: int) -> list[str]:
        """The last lines of a task's log; empty if they cannot be read."""
        # The command waits for nodes that do not answer.
        limited = ["timeout", str(_LOG_SECONDS), "docker", "service", "logs", "--raw", "--tail", str(lines), task]
        code, output, errors = self._run(limited)
        return (output + errors).splitlines()[-lines:] if code == 0 else []


def _auth(credentials: Credentials | None) -> dict[str, str] | None:
    return credentials.plain() if credentials else None


def _of(stack: str) -> dict[str, str]:
    return {"label": f"{NAMESPACE}={stack}"}


def _logins(credentials: Mapping[str, Credentials], *, own: bool) -> dict[str, Any]:
    """The docker command's configuration with the credentials. ``own`` adds this user's own logins."""
    config: dict[str, Any] = {}
    if own:
        with contextlib.suppress(OSError, ValueError):
            config = json.loads((Path.home() / ".docker/config.json").read_text())
    auths = {_HUB if host == "docker.io" else host: {"auth": login.encoded()} for host, login in credentials.items()}
    return {**config, "auths": {**(config.get("auths") or {}), **auths}}
