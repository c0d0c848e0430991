"""Deploy a stack: plan the changes, apply them, and tidy up after it has converged."""

from __future__ import annotations

import copy
import secrets
import string
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from .._core import registry_credentials, surge
from . import compose, images, releases, stack_removal
from .compose import FINGERPRINT, Blob, Bundle
from .convergence import StackClock
from .credentials import Credentials
from .stack_engine import StackEngine
from .stack_error import StackError

_ALPHABET = string.ascii_letters + string.digits
# Labels that the managers' agents set on services. A deployment drops them and the agents set them again.
_NOTED = (surge.LABEL, registry_credentials.LABEL)


@dataclass(frozen=True)
class Options:
    """How to deploy."""

    resolve: str = "always"
    """``always`` looks every image up in its registry; ``missing`` keeps the digests that services have."""
    reapply: bool = False
    registry_auth: bool = False


@dataclass
class Report:
    """What a deployment did, or would do."""

    changed: bool = False
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    """By service in the definition, with digests."""
    proven: bool = False
    """Whether the deployed release has converged before."""
    warnings: list[str] = field(default_factory=list)


class Deployment:
    """A deployment of a bundle to a swarm."""

    def __init__(
        self,
        engine: StackEngine,
        bundle: Bundle,
        options: Options,
        known: Mapping[str, Credentials],
        ask: Callable[[registry_credentials.Registry], registry_credentials.Grant],
        clock: StackClock,
    ) -> None:
        """``known`` are the operator's credentials, by registry; ``ask`` gets ECR credentials, or raises StackError."""
        self._engine, self._bundle, self._options = engine, bundle, options
        self._known, self._ask, self._clock = known, ask, clock
        self._credentials: dict[str, Credentials] = {}
        self._grants: dict[str, registry_credentials.Grant] = {}
        # Registries without credentials, with the reason.
        self._refused: dict[str, str] = {}
        self.report = Report()

    def run(self, *, check: bool) -> Report:
        """Deploy, or with ``check`` only report the changes. Raises StackError if the bundle cannot be deployed."""
        reason = self._engine.manages()
        if reason:
            raise StackError(reason)
        # Docker validates the format before anything is created or looked up.
        self.report.warnings += self._engine.check(compose.command_input(self._bundle.definition))
        before = self._engine.services(self._bundle.stack)
        self.report.warnings += compose.repeated(self._bundle.definition)
        self._log_in()
        definition = compose.pinned(self._bundle.definition, self._digests(before))
        self.report.images = {name: service["image"] for name, service in definition["services"].items()}
        missing = self._missing()
        self._describe(before, definition, missing)
        self.report.changed = bool(missing) or self.report.before != self.report.after
        if check:
            return self.report
        if not before:
            stack_removal.settle(self._engine, self._bundle.stack, self._clock)
        for section, blob in missing:
            self._engine.add(section, blob)
        present = self._engine.releases(self._bundle.stack)
        release = releases.blob(self._bundle.stack, definition, present)
        self.report.proven = release is None and present[-1].converged
        if release:
            self._engine.add("configs", release)
        if self.report.changed or self._options.reapply:
            for name in images.changed_since(before):
                self._engine.forget_image(name)
            self._engine.deploy(
                self._bundle.stack,
                compose.command_input(self._noting_grants(definition)),
                registry_auth=self._options.registry_auth,
                credentials=self._credentials,
            )
            after = self._engine.services(self._bundle.stack)
            self.report.changed = bool(missing) or _specs(before) != _specs(after)
        return self.report

    def _digests(self, services: Mapping[str, Any]) -> dict[str, str]:
        """Each image of the definition with its digest."""
        wanted = {service["image"]: name for name, service in self._bundle.definition["services"].items()}

        def resolve(image: str) -> str:
            if images.digest_of(image):
                return image
            known = images.recorded(image, services)
            if known and self._options.resolve == "missing":
                return images.with_digest(image, known)
            try:
                return images.with_digest(image, self._look_up(images.without_digest(image)))
            except StackError as error:
                if not known:
                    reason = str(error).rstrip(".")
                    raise StackError(
                        f"The image {image} of service '{wanted[image]}' was not found: {reason}. Check its name and "
                        "tag, and that this manager can reach its registry and log in."
                    ) from None
                self.report.warnings.append(
                    f"{image} stays at {known}, because its registry gives no newer digest: {error}"
                )
                return images.with_digest(image, known)

        with ThreadPoolExecutor(max_workers=8) as workers:
            found = list(workers.map(resolve, wanted))
        return {image: found[position] for position, image in enumerate(wanted)}

    def _log_in(self) -> None:
        """Find the credentials for the images' registries: the operator's, or ECR's."""
        used = {images.registry_of(service["image"]) for service in self._bundle.definition["services"].values()}
        for host in sorted(used):
            registry = registry_credentials.Registry.of(host)
            try:
                if host in self._known:
                    self._credentials[host] = self._known[host]
                elif registry:
                    grant = self._grants[host] = self._ask(registry)
                    self._credentials[host] = Credentials(grant.username, grant.password)
            except StackError as error:
                self._refused[host] = str(error)

    def _noting_grants(self, definition: dict[str, Any]) -> dict[str, Any]:
        """The definition with labels for the age of ECR's credentials, so that the agents do not renew them at once.

        A renewal would restart tasks that are being prepared.
        """
        result = copy.deepcopy(definition)
        for service in result["services"].values():
            grant = self._grants.get(images.registry_of(service["image"]))
            if grant:
                service["deploy"]["labels"][registry_credentials.LABEL] = grant.noted
        return result

    def _look_up(self, image: str) -> str:
        host = images.registry_of(image)
        if host in self._refused:
            raise StackError(self._refused[host])
        return self._engine.digest(image, self._credentials.get(host))

    def _missing(self) -> list[tuple[str, Blob]]:
        """Configs and secrets that the swarm does not have yet, including generated secrets."""
        definition = self._bundle.definition
        known = {section: self._engine.names(section) for section in ("configs", "secrets") if definition.get(section)}
        missing = [("configs", blob) for blob in self._bundle.configs if blob.name not in known["configs"]]
        missing += [("secrets", blob) for blob in self._bundle.secrets if blob.name not in known["secrets"]]
        for name, length in self._bundle.generate.items():
            if name not in known["secrets"]:
                value = "".join(secrets.choice(_ALPHABET) for dummy in range(length))
                missing.append(("secrets", Blob(name, value.encode())))
        arriving = {(section, blob.name) for section, blob in missing}
        for section, names in known.items():
            for key, entry in definition[section].items():
                name = entry.get("name") or key
                if name not in names and (section, name) not in arriving:
                    raise StackError(
                        f"{section[:-1].title()} '{name}' is external, but the swarm does not have it: create it "
                        f"with `docker {section[:-1]} create`, or set its content in the compose file."
                    )
        return missing

    def _describe(
        self, services: Mapping[str, Any], definition: Mapping[str, Any], missing: Sequence[tuple[str, Blob]]
    ) -> None:
        """Fill in the report's before and after, without values that could be secret."""
        stack = self._bundle.stack
        sections = {section: definition.get(section) or {} for section in ("configs", "secrets")}
        before: dict[str, Any] = {name: _seen(service["Spec"]) for name, service in services.items()}
        after: dict[str, Any] = {
            f"{stack}_{name}": _wanted(service, sections) for name, service in definition["services"].items()
        }
        # Values are compared but not shown: variables may contain what should be a secret.
        for name, service in definition["services"].items():
            live = services.get(f"{stack}_{name}")
            if live and _live_environment(live["Spec"]) != service.get("environment", {}):
                after[f"{stack}_{name}"]["environment"] = "changed"
                before[f"{stack}_{name}"]["environment"] = "present"
        for section in {section for section, dummy in missing}:
            after[f"new {section}"] = sorted(blob.name for kind, blob in missing if kind == section)
        self.report.before, self.report.after = before, after


def rollback(engine: StackEngine, stack: str) -> Bundle:
    """The release before the stack's newest release, as a bundle. Raises StackError if there is none."""
    present = engine.releases(stack)
    if not present:
        raise StackError(f"The swarm has no release of a stack '{stack}': deploy it, or check its name.")
    back = releases.target(present)
    if back is None:
        raise StackError(
            f"The stack '{stack}' has no release to roll back to: no release before the present release has converged."
        )
    return Bundle(stack, dict(back.definition))


def tidied(engine: StackEngine, stack: str, *, check: bool) -> list[str]:
    """Mark the newest release as converged, and remove what neither it nor a rollback needs.

    Returns the names of the configs and secrets that are removed, or with ``check`` would be removed.
    """
    present = engine.releases(stack)
    if present and not present[-1].converged:
        if not check:
            engine.mark_converged(present[-1])
        present[-1] = replace(present[-1], converged=True)
    kept = releases.kept(present)
    used = {release.id for release in kept}
    for service in engine.services(stack).values():
        for spec in (service["Spec"], service.get("PreviousSpec") or {}):
            container = (spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}
            used |= {item["ConfigID"] for item in container.get("Configs") or []}
            used |= {item["SecretID"] for item in container.get("Secrets") or []}
    removed = []
    numbers = {release.id for release in present}
    for section in ("configs", "secrets"):
        needed = {name for release in kept for name in release.names(section)}
        for name, identifier in engine.names(section, stack).items():
            if identifier in used or name in needed:
                continue
            if not check:
                engine.drop(section, identifier)
            # Releases are not reported.
            if identifier not in numbers:
                removed.append(name)
    return sorted(removed)


def _specs(services: Mapping[str, Any]) -> dict[str, Any]:
    def spec(service: Mapping[str, Any]) -> dict[str, Any]:
        labels = service["Spec"].get("Labels") or {}
        kept = {key: value for key, value in labels.items() if key not in _NOTED}
        return {**service["Spec"], "Labels": kept}

    return {name: spec(service) for name, service in services.items()}


def _seen(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A running service in the form of :func:`_wanted`."""
    container = spec["TaskTemplate"].get("ContainerSpec", {})
    mode = spec["Mode"]
    replicas = mode.get("Replicated", {}).get("Replicas") if "Replicated" in mode else None
    return {
        "image": container.get("Image", ""),
        "replicas": replicas if "Replicated" in mode else next(iter(mode)).lower(),
        "configs": sorted(item["ConfigName"] for item in container.get("Configs") or []),
        "secrets": sorted(item["SecretName"] for item in container.get("Secrets") or []),
        "definition": (spec.get("Labels") or {}).get(FINGERPRINT),
    }


def _wanted(service: Mapping[str, Any], sections: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A service of a pinned definition in a comparable form."""
    deploy = service.get("deploy") or {}
    mode = str(deploy.get("mode") or "replicated").replace("-", "")

    def names(section: str) -> list[str]:
        entries = sections[section]
        return sorted((entries.get(key) or {}).get("name") or key for key in compose.sources(service, section))

    return {
        "image": service["image"],
        "replicas": deploy.get("replicas", 1) if mode == "replicated" else mode,
        "configs": names("configs"),
        "secrets": names("secrets"),
        "definition": deploy["labels"][FINGERPRINT],
    }


def _live_environment(spec: Mapping[str, Any]) -> dict[str, str]:
    pairs = spec["TaskTemplate"].get("ContainerSpec", {}).get("Env") or []
    return {key: value for key, dummy, value in (pair.partition("=") for pair in pairs)}
