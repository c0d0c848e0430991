"""The swarm as a deployment needs it: the engine's API, and the docker command for what only it can do."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .compose import NAMESPACE, Blob
from .errors import StackError

try:
    import docker
    from docker import errors as docker_errors
except ImportError:
    docker = None

_SECONDS = 60
_LOG_SECONDS = 10
Run = Callable[..., tuple[int, str, str]]


class Engine(Protocol):
    """What a deployment asks of a swarm's manager."""

    def manages(self) -> str:
        """Empty if this engine is a manager that can act; otherwise why not, as a sentence."""

    def nodes(self) -> list[dict[str, Any]]: ...

    def services(self, stack: str) -> dict[str, dict[str, Any]]:
        """The stack's services by their names in the swarm."""

    def tasks(self, stack: str) -> list[dict[str, Any]]: ...

    def names(self, section: str, stack: str | None = None) -> dict[str, str]:
        """Name to ID of the swarm's ``configs`` or ``secrets``, of one stack or all."""

    def add(self, section: str, blob: Blob) -> None: ...

    def drop(self, section: str, identifier: str) -> None: ...

    def digest(self, image: str) -> str:
        """The digest of an image in its registry. Raises StackError with the registry's reason."""

    def check(self, definition: str) -> list[str]:
        """Have the docker command read a definition; returns its warnings, raises StackError for what it refuses."""

    def deploy(self, stack: str, definition: str, *, registry_auth: bool) -> None: ...

    def log(self, task: str, lines: int) -> list[str]:
        """The last lines of a task's log; empty when they cannot be had."""


class DockerEngine:
    """:class:`Engine` on the manager itself."""

    def __init__(self, run: Run) -> None:
        """``run`` runs a command as Ansible's ``run_command`` does.

        Raises StackError when the engine, or what it takes to talk to it, is missing.
        """
        self._run = run
        if docker is None:
            raise StackError("The Docker SDK for Python is missing on this node: install python3-docker.")
        if not shutil.which("docker"):
            raise StackError("The docker command is missing on this node: install docker-cli.")
        try:
            self._api = docker.APIClient(version="auto", timeout=_SECONDS)
        except docker_errors.DockerException as error:
            hint = " (is the login user in the group docker?)" if "Permission denied" in str(error) else ""
            raise StackError(f"The Docker engine does not answer{hint}: {_innermost(error)}.") from None

    def manages(self) -> str:
        swarm = self._api.info()["Swarm"]
        if swarm["LocalNodeState"] != "active":
            return f"This node is not in a swarm (its state is {swarm['LocalNodeState']})."
        if not swarm["ControlAvailable"]:
            return "This node is a worker of its swarm; only a manager can deploy."
        try:
            self._api.inspect_swarm()
        except docker_errors.APIError as error:
            return f"This manager cannot act: {error.explanation or error}"
        return ""

    def nodes(self) -> list[dict[str, Any]]:
        return list(self._api.nodes())

    def services(self, stack: str) -> dict[str, dict[str, Any]]:
        found = self._api.services(filters={"label": f"{NAMESPACE}={stack}"})
        return {service["Spec"]["Name"]: service for service in found}

    def tasks(self, stack: str) -> list[dict[str, Any]]:
        return list(self._api.tasks(filters={"label": f"{NAMESPACE}={stack}"}))

    def names(self, section: str, stack: str | None = None) -> dict[str, str]:
        listed = self._api.configs if section == "configs" else self._api.secrets
        filters = {"label": f"{NAMESPACE}={stack}"} if stack else None
        return {item["Spec"]["Name"]: item["ID"] for item in listed(filters=filters)}

    def add(self, section: str, blob: Blob) -> None:
        driver = {"Name": blob.template_driver} if blob.template_driver else None
        try:
            if section == "configs":
                self._api.create_config(blob.name, blob.data, labels=dict(blob.labels), templating=driver)
            elif driver:
                raise StackError(f"Secret {blob.name} has a template_driver, which is supported for configs only.")
            else:
                self._api.create_secret(blob.name, blob.data, labels=dict(blob.labels))
        except docker_errors.APIError as error:
            if error.status_code != 409:
                raise StackError(f"{section[:-1].title()} {blob.name} was refused: {error.explanation}.") from None

    def drop(self, section: str, identifier: str) -> None:
        remove = self._api.remove_config if section == "configs" else self._api.remove_secret
        try:
            remove(identifier)
        except docker_errors.APIError as error:
            # Gone already, or in use after all: either way there is nothing to do.
            if error.status_code not in (400, 404):
                raise

    def digest(self, image: str) -> str:
        try:
            return str(self._api.inspect_distribution(image)["Descriptor"]["digest"])
        except docker_errors.APIError as asked:
            # An engine may be able to pull what it cannot look up, from a mirror that knows no manifests' digests.
            try:
                self._api.pull(image)
                return str(self._api.inspect_image(image)["RepoDigests"][0].partition("@")[2])
            except (docker_errors.APIError, IndexError):
                raise StackError(str(asked.explanation or asked)) from None

    def check(self, definition: str) -> list[str]:
        return self._stack(["config", "--compose-file", "-"], definition).splitlines()

    def deploy(self, stack: str, definition: str, *, registry_auth: bool) -> None:
        options = ["--prune", "--resolve-image", "never", "--detach=true"]
        options += ["--with-registry-auth"] if registry_auth else []
        self._stack(["deploy", *options, "--compose-file", "-", stack], definition)

    def log(self, task: str, lines: int) -> list[str]:
        # The command waits for nodes that do not answer.
        limited = ["timeout", str(_LOG_SECONDS), "docker", "service", "logs", "--raw", "--tail", str(lines), task]
        code, output, errors = self._run(limited)
        return (output + errors).splitlines()[-lines:] if code == 0 else []

    def _stack(self, arguments: Sequence[str], definition: str) -> str:
        """Run `docker stack` on a definition and return what it says; a refusal raises StackError."""
        result = self._run(["docker", "stack", *arguments], data=definition)
        said = [line.strip() for line in result[2].splitlines() if line.strip()]
        if result[0]:
            raise StackError(f"Docker refuses the stack: {'; '.join(said) or 'no reason given'}")
        return "\n".join(said)


def _innermost(error: BaseException) -> str:
    """The text at the bottom of the SDK's nested errors."""
    text = str(error)
    found = re.findall(r"'([^']+)'\)", text)
    return found[-1] if found else text
