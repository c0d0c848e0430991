"""Deploy a stack: plan the changes, apply them, and tidy up after it has converged."""

from __future__ import annotations

import copy
import json
import secrets
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from .._core import ipvs, registry_credentials
from .._core.node_matching import INSTANCE_LABEL
from . import definition, fixed_settings, images, releases, service_spec, stack_removal
from .compose import Blob
from .convergence import StackClock
from .credentials import Credentials
from .definition import Definition
from .releases import Release
from .stack_engine import StackEngine
from .stack_error import StackError

_ALPHABET = string.ascii_letters + string.digits
# What may contain passwords, by the keys of a service.
_HIDDEN = ("environment", "command", "entrypoint", "healthcheck", "labels", "options", "driver_opts")


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
    names: dict[str, list[str]] = field(default_factory=dict)
    """Of the ``configs`` and ``secrets`` in the swarm that it uses."""
    warnings: list[str] = field(default_factory=list)


class Deployment:
    """A deployment of a definition to a swarm."""

    def __init__(
        self,
        engine: StackEngine,
        wanted: Definition,
        options: Options,
        known: Mapping[str, Credentials],
        ask: Callable[[registry_credentials.Registry], registry_credentials.Grant],
        clock: StackClock,
    ) -> None:
        """``known`` are the operator's credentials, by registry; ``ask`` gets ECR credentials, or raises StackError."""
        self._engine, self._wanted, self._options = engine, wanted, options
        self._known, self._ask, self._clock = known, ask, clock
        self._credentials: dict[str, Credentials] = {}
        self._grants: dict[str, registry_credentials.Grant] = {}
        # Registries without credentials, with the reason.
        self._refused: dict[str, str] = {}
        # Whether the registries have answered for all images.
        self._answered = True
        self.report = Report()

    def run(self, *, check: bool) -> Report:
        """Deploy, or with ``check`` only report the changes. Raises StackError if it cannot be deployed."""
        reason = self._engine.manages()
        if reason:
            raise StackError(reason)
        stack, document = self._wanted.stack, self._wanted.document
        self.report.warnings += [*self._wanted.warnings, *definition.repeated(document)]
        before, present = self._engine.services(stack), self._engine.releases(stack)
        self._check_settings(present[-1].definition if present else {})
        self._log_in()
        document = definition.pinned(document, self._digests(before))
        self.report.images = {name: service["image"] for name, service in document["services"].items()}
        for section in ("configs", "secrets"):
            entries = (document.get(section) or {}).items()
            self.report.names[section] = sorted(entry.get("name") or key for key, entry in entries)
        missing = self._missing()
        self._describe(before, document, missing, present)
        self.report.changed = self.report.before != self.report.after
        if check:
            return self.report
        if not before:
            stack_removal.settle(self._engine, stack, self._clock)
        for section, blob in missing:
            self._engine.add(section, blob)
        release = releases.blob(stack, document, present)
        if release:
            self._engine.add("configs", release)
        after = before
        # Docker would run jobs again and forget the way back, even if nothing differs.
        if self.report.changed or self._options.reapply:
            said = self._engine.deploy(
                stack,
                definition.command_input(self._noting_grants(document)),
                registry_auth=self._options.registry_auth,
                credentials=self._credentials,
                ask_registries=self._answered,
            )
            self.report.warnings += [f"Docker says: {said}"] if said else []
            after = self._engine.services(stack)
            self.report.changed = bool(missing) or _specs(before) != _specs(after)
        if release or after is not before:
            known = {
                name: (service_spec.whole(service_spec.digests(before.get(name))), service_spec.digests(service))
                for name, service in after.items()
            }
            self._engine.label(self._engine.releases(stack)[-1], {releases.SERVICES: json.dumps(known)})
        balanced = [name for name, service in after.items() if ipvs.needed(service["Spec"])]
        self.report.warnings += ipvs.missing(list(self._without_ipvs()), balanced)
        return self.report

    def _without_ipvs(self) -> Iterator[str]:
        """The instances whose kernel has no IPVS."""
        for node in self._engine.nodes():
            labels = (node["Description"].get("Engine") or {}).get("Labels") or {}
            if labels.get(ipvs.LABEL) == ipvs.LACKS:
                yield labels.get(INSTANCE_LABEL, node["Description"]["Hostname"])

    def _check_settings(self, deployed: Mapping[str, Any]) -> None:
        """Name what Docker would leave as it is without a word."""
        stack, document = self._wanted.stack, self._wanted.document
        fixed = list(fixed_settings.of_networks(stack, document, self._engine.networks(stack)))
        if fixed:
            raise StackError(
                f"Docker cannot change a network that exists: {'; '.join(fixed)}. Give the network another 'name', "
                "or remove the stack with playbooks/stop.yml and deploy it again."
            )
        for name in fixed_settings.of_volumes(stack, document, deployed):
            self.report.warnings.append(
                f"The volume {name} has another driver or other driver_opts now. Nodes that have it keep it as it is: "
                "give the volume another 'name', or remove it there with `docker volume rm`."
            )

    def _digests(self, services: Mapping[str, Any]) -> dict[str, str]:
        """Each image of the definition with its digest."""
        wanted = {service["image"]: name for name, service in self._wanted.document["services"].items()}

        def resolve(image: str) -> str:
            known = images.recorded(image, services)
            pinned = images.digest_of(image) or (known if self._options.resolve == "missing" else None)
            try:
                named = images.with_digest(image, pinned) if pinned else images.without_digest(image)
                return images.with_digest(image, self._look_up(named))
            except StackError as error:
                if not pinned and not known:
                    reason = str(error).rstrip(".")
                    raise StackError(
                        f"The image {image} of service '{wanted[image]}' was not found: {reason}. Check its name and "
                        "tag, and that this manager can reach its registry and log in."
                    ) from None
                self.report.warnings.append(
                    f"Docker does not learn the platforms of {image}, so tasks may start on nodes of others: {error}"
                    if pinned
                    else f"{image} stays at {known}, because its registry gives no newer digest: {error}"
                )
                return images.with_digest(image, pinned or known or "")

        with ThreadPoolExecutor(max_workers=8) as workers:
            found = list(workers.map(resolve, wanted))
        return {image: found[position] for position, image in enumerate(wanted)}

    def _log_in(self) -> None:
        """Find the credentials for the images' registries: the operator's, or ECR's."""
        used = {images.registry_of(service["image"]) for service in self._wanted.document["services"].values()}
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

    def _noting_grants(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document with labels for the age of ECR's credentials, so that the agents do not renew them at once.

        A renewal would restart tasks that are being prepared.
        """
        result = copy.deepcopy(document)
        for service in result["services"].values():
            grant = self._grants.get(images.registry_of(service["image"]))
            if grant:
                labels = service.setdefault("deploy", {}).setdefault("labels", {})
                labels[registry_credentials.LABEL] = grant.noted
        return result

    def _look_up(self, image: str) -> str:
        host = images.registry_of(image)
        if host in self._refused:
            self._answered = False
            raise StackError(self._refused[host])
        credentials = self._credentials.get(host)
        try:
            return self._engine.digest(image, credentials)
        except StackError:
            self._answered = False
            if images.digest_of(image):
                raise
            # An engine may be able to pull an image that it cannot look up, from a mirror without manifest digests.
            pulled = self._engine.pulled_digest(image, credentials)
            if pulled is None:
                raise
            return pulled

    def _missing(self) -> list[tuple[str, Blob]]:
        """Configs and secrets that the swarm does not have yet, including generated secrets."""
        document = self._wanted.document
        known = {section: self._engine.names(section) for section in ("configs", "secrets") if document.get(section)}
        missing = [("configs", blob) for blob in self._wanted.configs if blob.name not in known["configs"]]
        missing += [("secrets", blob) for blob in self._wanted.secrets if blob.name not in known["secrets"]]
        for name, length in self._wanted.generate.items():
            if name not in known["secrets"]:
                value = "".join(secrets.choice(_ALPHABET) for dummy in range(length))
                missing.append(("secrets", Blob(name, value.encode())))
        arriving = {(section, blob.name) for section, blob in missing}
        for section, names in known.items():
            for key, entry in document[section].items():
                name = entry.get("name") or key
                if entry.get("external") and name not in names and (section, name) not in arriving:
                    raise StackError(
                        f"{section[:-1].title()} '{name}' is external, but the swarm does not have it: create it "
                        f"with `docker {section[:-1]} create`, or set its content in the compose file."
                    )
        return missing

    def _describe(
        self,
        services: Mapping[str, Any],
        document: Mapping[str, Any],
        missing: Sequence[tuple[str, Blob]],
        present: Sequence[Release],
    ) -> None:
        """Fill in the report's before and after, without values that could be secret."""
        before, after = self.report.before, self.report.after
        prefix = f"{self._wanted.stack}_"
        for name in sorted({*services, *(prefix + own for own in document["services"])}):
            now = service_spec.digests(services.get(name))
            # Docker may have gone back to what an earlier release left.
            left = [release for release in present if release.services.get(name, ("", {}))[1] == now]
            old = (left or present)[-1:]
            was = definition.used(old[0].definition, name[len(prefix) :]) if old else {}
            wanted = definition.used(document, name[len(prefix) :])
            if wanted:
                after[name] = _shown(wanted, was)
            if name in services:
                before[name] = _shown(was, was)
                deployed = old[0].services.get(name, ("", {}))[1] if old else {}
                changed = [part for part in sorted({*now, *deployed}) if now.get(part) != deployed.get(part)]
                if changed:
                    found = ", ".join(changed) if deployed else "not known, so it may change"
                    before[name]["changed since the last deployment"] = found
        for section in {section for section, dummy in missing}:
            after[f"new {section}"] = sorted(blob.name for kind, blob in missing if kind == section)


def rollback(engine: StackEngine, stack: str) -> Definition:
    """The release before the stack's newest release. Raises StackError if there is none."""
    present = engine.releases(stack)
    if not present:
        raise StackError(f"The swarm has no release of a stack '{stack}': deploy it, or check its name.")
    back = releases.target(present)
    if back is None:
        raise StackError(
            f"The stack '{stack}' has no release to roll back to: no release before the present release has converged."
        )
    return Definition(stack, dict(back.definition))


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
    return {name: service_spec.settled(service["Spec"]) for name, service in services.items()}


def _shown(value: Any, old: Any, *, hidden: bool = False) -> Any:
    """A part of a service with the values hidden that may be passwords; whether they differ from ``old`` is shown."""
    if isinstance(value, dict):
        known = old if isinstance(old, dict) else {}
        return {key: _shown(item, known.get(key, item), hidden=hidden or key in _HIDDEN) for key, item in value.items()}
    return ("(hidden)" if value == old else "(hidden, changed)") if hidden else value
