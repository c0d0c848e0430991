"""Deploying a stack: what would change, making it so, and waiting until it is so."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from . import compose, images
from .compose import FINGERPRINT, Blob, Bundle
from .engine import Engine
from .errors import StackError
from .verdict import CONVERGED, FAILED, Verdict, judge

_ALPHABET = string.ascii_letters + string.digits
_LOG_LINES = 5
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Clock:
    """Time, from outside."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


@dataclass(frozen=True)
class Options:
    """How to deploy."""

    resolve: str = "always"
    """``always`` looks every image up in its registry; ``missing`` keeps the digests that services have."""
    reapply: bool = False
    registry_auth: bool = False
    timeout: float = 300.0


@dataclass
class Report:
    """What a deployment did, or would do."""

    changed: bool = False
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class Deployment:
    """One deployment of one bundle to one swarm."""

    def __init__(self, engine: Engine, bundle: Bundle, options: Options, clock: Clock) -> None:
        self._engine, self._bundle, self._options, self._clock = engine, bundle, options, clock
        self.report = Report()

    def run(self, *, check: bool) -> Report:
        """Deploy and wait, or with ``check`` only say what would change.

        Raises StackError for a stack that cannot be deployed or does not converge; the report then tells how far it
        came.
        """
        reason = self._engine.manages()
        if reason:
            raise StackError(reason)
        # The format is Docker's to judge, before anything is made or looked up.
        self.report.warnings += self._engine.check(compose.command_input(self._bundle.definition))
        before = self._engine.services(self._bundle.stack)
        definition = compose.pinned(self._bundle.definition, self._digests(before))
        missing = self._missing()
        self._describe(before, definition, missing)
        self.report.changed = bool(missing) or self.report.before != self.report.after
        if check:
            return self.report
        for section, blob in missing:
            self._engine.add(section, blob)
        if self.report.changed or self._options.reapply:
            self._engine.deploy(
                self._bundle.stack, compose.command_input(definition), registry_auth=self._options.registry_auth
            )
            after = self._engine.services(self._bundle.stack)
            self.report.changed = bool(missing) or _specs(before) != _specs(after)
        self._wait()
        if self.report.changed:
            self._tidy()
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
                return images.with_digest(image, self._engine.digest(images.without_digest(image)))
            except StackError as error:
                if not known:
                    raise StackError(
                        f"The image {image} of service '{wanted[image]}' cannot be found: {error}. Check its name and "
                        "tag, and that this manager can reach and log in to its registry."
                    ) from None
                self.report.warnings.append(
                    f"{image} stays at {known}, because its registry gives no newer digest: {error}"
                )
                return images.with_digest(image, known)

        with ThreadPoolExecutor(max_workers=8) as workers:
            found = list(workers.map(resolve, wanted))
        return {image: found[position] for position, image in enumerate(wanted)}

    def _missing(self) -> list[tuple[str, Blob]]:
        """Configs and secrets that the swarm does not have yet; secrets that are to be made are made up here."""
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
                        f"{section[:-1].title()} '{name}' is external and the swarm has none of that name: create it "
                        f"with `docker {section[:-1]} create`, or give its content in the compose file."
                    )
        return missing

    def _describe(
        self, services: Mapping[str, Any], definition: Mapping[str, Any], missing: Sequence[tuple[str, Blob]]
    ) -> None:
        """Fill in the report's before and after, which show no values that could be secret."""
        stack = self._bundle.stack
        sections = {section: definition.get(section) or {} for section in ("configs", "secrets")}
        before: dict[str, Any] = {name: _seen(service["Spec"]) for name, service in services.items()}
        after: dict[str, Any] = {
            f"{stack}_{name}": _wanted(service, sections) for name, service in definition["services"].items()
        }
        # Values are compared here and not shown: variables may hold what should have been a secret.
        for name, service in definition["services"].items():
            live = services.get(f"{stack}_{name}")
            if live and _live_environment(live["Spec"]) != compose.environment(service):
                after[f"{stack}_{name}"]["environment"] = "changed"
                before[f"{stack}_{name}"]["environment"] = "present"
        for section in {section for section, dummy in missing}:
            after[f"new {section}"] = sorted(blob.name for kind, blob in missing if kind == section)
        self.report.before, self.report.after = before, after

    def _wait(self) -> None:
        """Wait until every service has converged or one has failed. Raises StackError unless all have."""
        start = self._clock.now()
        while True:
            waited = self._clock.now() - start
            verdicts = self._verdicts(waited)
            states = {verdict.state for verdict in verdicts.values()}
            if states <= {CONVERGED} or (FAILED in states) or waited >= self._options.timeout:
                break
            self._clock.sleep(_POLL_SECONDS)
        bad = {name: verdict for name, verdict in verdicts.items() if verdict.state != CONVERGED}
        if not bad:
            return
        # Failures explain what only waits for them.
        worst = {name: verdict for name, verdict in bad.items() if verdict.state == FAILED}
        reasons = [f"{name} {self._explain(name, verdict)}" for name, verdict in sorted((worst or bad).items())]
        when = "" if worst else f" within {self._options.timeout:.0f} s"
        raise StackError(f"The stack '{self._bundle.stack}' did not converge{when}: {'; '.join(reasons)}.")

    def _verdicts(self, waited: float) -> dict[str, Verdict]:
        services = self._engine.services(self._bundle.stack)
        tasks: dict[str, list[dict[str, Any]]] = {}
        for task in self._engine.tasks(self._bundle.stack):
            tasks.setdefault(task["ServiceID"], []).append(task)
        up = {
            node["ID"]: node["Description"]["Hostname"]
            for node in self._engine.nodes()
            if node["Status"]["State"] == "ready"
        }
        verdicts = {}
        for name, service in services.items():
            verdict = judge(service, tasks.get(service["ID"], []), up, waited)
            verdicts[name] = verdict
            image = service["Spec"]["TaskTemplate"].get("ContainerSpec", {}).get("Image", "")
            self.report.services[name] = {
                **{key: value for key, value in asdict(verdict).items() if key not in ("state", "task")},
                "verdict": verdict.state,
                "image": image.partition("@")[0],
                "digest": images.digest_of(image),
            }
        self.report.services = {name: self.report.services[name] for name in services}
        return verdicts

    def _explain(self, name: str, verdict: Verdict) -> str:
        text = f"({verdict.running} of {verdict.desired} tasks run): {verdict.reason}"
        lines = self._engine.log(verdict.task, _LOG_LINES) if verdict.task else []
        self.report.services[name]["log"] = lines
        return text + (f"; its log ends: {' | '.join(lines)}" if lines else "")

    def _tidy(self) -> None:
        """Remove the stack's configs and secrets that neither its services nor their way back use any more."""
        used = set()
        for service in self._engine.services(self._bundle.stack).values():
            for spec in (service["Spec"], service.get("PreviousSpec") or {}):
                container = (spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}
                used |= {item["ConfigID"] for item in container.get("Configs") or []}
                used |= {item["SecretID"] for item in container.get("Secrets") or []}
        for section in ("configs", "secrets"):
            for identifier in self._engine.names(section, self._bundle.stack).values():
                if identifier not in used:
                    self._engine.drop(section, identifier)


def _specs(services: Mapping[str, Any]) -> dict[str, Any]:
    return {name: service["Spec"] for name, service in services.items()}


def _seen(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A running service in the words of :func:`_wanted`."""
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
    """A service of a pinned definition in a few comparable words."""
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
