"""The swarm for a deployment: the engine's API, and the docker command for what only it can do."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._core.errors import SwarmError
from ..adapters.engine_api import SOCKET, APIError, EngineApi, explained
from . import images
from . import releases as known_releases
from .compose import NAMESPACE, Blob
from .credentials import Credentials
from .releases import Release
from .stack_error import StackError

_SECONDS = 60
_LOG_SECONDS = 10
# The docker command's key for Docker Hub's credentials.
_HUB = "https://index.docker.io/v1/"
# States in which a task no longer runs.
_ENDED = ("complete", "failed", "shutdown", "rejected", "orphaned", "remove")
Run = Callable[..., tuple[int, str, str]]


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
        auth = credentials.plain() if credentials else None
        try:
            return str(self._api.inspect_distribution(image, auth_config=auth)["Descriptor"]["digest"])
        except APIError as asked:
            # An engine may be able to pull an image that it cannot look up, from a mirror without manifest digests.
            try:
                self._api.pull(image, auth_config=auth)
                return str(self._api.inspect_image(image)["RepoDigests"][0].partition("@")[2])
            except (APIError, IndexError):
                raise StackError(explained(asked)) from None

    def check(self, definition: str) -> list[str]:
        """Validate a definition with the docker command. Returns its warnings; raises StackError if it is refused."""
        return self._stack(["config", "--compose-file", "-"], definition).splitlines()

    def deploy(
        self, stack: str, definition: str, *, registry_auth: bool, credentials: Mapping[str, Credentials]
    ) -> None:
        """Deploy. The nodes get the credentials by registry, and with ``registry_auth`` this manager's logins too."""
        options = ["--prune", "--resolve-image", "never", "--detach=true"]
        options += ["--with-registry-auth"] if registry_auth or credentials else []
        with _logged_in(credentials, own=registry_auth) as environment:
            self._stack(["deploy", *options, "--compose-file", "-", stack], definition, environment)

    def forget_image(self, service: str) -> None:
        """Make the next deployment set the service's image again. Raises StackError."""
        code, _output, errors = self._run(
            ["docker", "service", "update", "--quiet", "--detach", "--label-rm", images.LABEL, service]
        )
        if code:
            raise StackError(f"Docker refused to change a label of the service {service}: {errors.strip()}")

    def releases(self, stack: str) -> list[Release]:
        """The stack's releases, the newest last."""
        return known_releases.read(self._api.configs(filters=_of(stack)))

    def mark_converged(self, release: Release) -> None:
        """Note that the release has converged."""
        present = self._api.inspect_config(release.id)
        spec = {**present["Spec"], "Labels": {**present["Spec"]["Labels"], known_releases.CONVERGED: "true"}}
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
            "networks": sorted(network["Name"] for network in self._networks(stack)),
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
        for network in self._networks(stack):
            self._unless_in_use(self._api.remove_network, network["Id"])

    def _networks(self, stack: str) -> list[dict[str, Any]]:
        return list(self._api.networks(filters=_of(stack)))

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

    def _stack(self, arguments: Sequence[str], definition: str, environment: Mapping[str, str] | None = None) -> str:
        """Run `docker stack` on a definition and return what it prints on stderr. Raises StackError if it fails."""
        result = self._run(["docker", "stack", *arguments], data=definition, environ_update=environment)
        said = [line.strip() for line in result[2].splitlines() if line.strip()]
        if result[0]:
            raise StackError(f"Docker refused the stack: {'; '.join(said) or 'no reason given'}")
        return "\n".join(said)


def _of(stack: str) -> dict[str, str]:
    return {"label": f"{NAMESPACE}={stack}"}


@contextlib.contextmanager
def _logged_in(credentials: Mapping[str, Credentials], *, own: bool) -> Iterator[dict[str, str] | None]:
    """The environment that gives the docker command the credentials, for as long as the context lasts.

    They are in a file in /run, which is in memory on most systems. ``own`` adds this user's own logins.
    """
    if not credentials:
        yield None
        return
    config: dict[str, Any] = {}
    if own:
        with contextlib.suppress(OSError, ValueError):
            config = json.loads((Path.home() / ".docker/config.json").read_text())
    config["auths"] = {
        **(config.get("auths") or {}),
        **{
            _HUB if host == "docker.io" else host: {"auth": credential.encoded()}
            for host, credential in credentials.items()
        },
    }
    with tempfile.TemporaryDirectory(dir="/run" if os.access("/run", os.W_OK) else None) as folder:
        path = Path(folder) / "config.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        yield {"DOCKER_CONFIG": folder}
