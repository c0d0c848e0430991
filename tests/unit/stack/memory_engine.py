"""A swarm in memory, and a small stack to deploy to it."""

from __future__ import annotations

import base64
import copy
import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils._core.registry_credentials import Grant, Registry
from ansible_collections.swarm.aws.plugins.module_utils.stack import (
    compose,
    convergence,
    definition,
    deploy,
    images,
    releases,
)
from ansible_collections.swarm.aws.plugins.module_utils.stack.convergence import StackClock, State
from ansible_collections.swarm.aws.plugins.module_utils.stack.credentials import Credentials
from ansible_collections.swarm.aws.plugins.module_utils.stack.definition import Definition
from ansible_collections.swarm.aws.plugins.module_utils.stack.deploy import Deployment, Options
from ansible_collections.swarm.aws.plugins.module_utils.stack.stack_error import StackError

DIGEST = "sha256:" + "a" * 64
NODES = {"n1": "ip-10-0-0-1", "n2": "ip-10-0-1-1"}
# As `docker stack config` prints it.
COMPOSE = {
    "services": {
        "web": {
            "image": "app:TAG",
            "environment": {"MODE": "fast"},
            "configs": [{"source": "settings", "target": "/etc/app"}],
            "secrets": [{"source": "password"}],
            "deploy": {"replicas": 2, "update_config": {"order": "start-first"}},
        },
        "proxy": {"image": "haproxy:3.0", "deploy": {"mode": "global"}},
    },
    "configs": {"settings": {"file": "/root/shop/settings.ini"}},
    "secrets": {"password": {"name": "password", "external": True, "x-generate": 32}},
}
FILES = {"/shop/settings.ini": "colour=blue\n"}


def bundle(document: Any = None, tag: str = "1.0", **variables: str) -> Definition:
    """The definition that Docker's output makes, by default of the small stack."""
    text = json.dumps(COMPOSE if document is None else document).replace("app:TAG", f"app:{tag}")
    sent = compose.Bundle("shop", ["/shop/compose.yml"], variables, FILES, generated=["password"])
    return definition.of(sent, json.loads(text), "/root", {})


class MemoryEngine:
    """A swarm in which tasks run at once, unless told otherwise."""

    def __init__(self) -> None:
        self.registry = {"app:1.0": DIGEST, "app:2.0": "sha256:" + "b" * 64, "haproxy:3.0": "sha256:" + "c" * 64}
        # What can only be pulled.
        self.mirror: dict[str, str] = {}
        self.stored: dict[str, dict[str, compose.Blob]] = {"configs": {}, "secrets": {}}
        self.live: dict[str, dict[str, Any]] = {}
        self.made: dict[str, list[dict[str, Any]]] = {}
        self.deployed = 0
        self.refused = self.remark = ""
        self.made_networks: dict[str, dict[str, Any]] = {}
        self.not_manager = ""
        self.update_ends_as: str | None = None
        self.task_state: dict[str, Any] = {"State": "running"}
        self.log_lines = ["Traceback", "KeyError: 'COLOUR'"]
        self.asked_as: dict[str, Credentials | None] = {}
        self.deployed_with: Mapping[str, Credentials] = {}
        self.asks_registries = False
        self.engine_labels: dict[str, str] = {}
        # The number of looks until the tasks of a removed stack have stopped.
        self.lingers = 0
        self._ids = itertools.count()

    def manages(self) -> str:
        return self.not_manager

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {
                "ID": identifier,
                "Description": {"Hostname": name, "Engine": {"Labels": self.engine_labels}},
                "Status": {"State": "ready"},
            }
            for identifier, name in NODES.items()
        ]

    def services(self, stack: str) -> dict[str, dict[str, Any]]:
        return copy.deepcopy(self.live)

    def tasks(self, stack: str) -> list[dict[str, Any]]:
        return [task for tasks in self.made.values() for task in tasks]

    def names(self, section: str, stack: str | None = None) -> dict[str, str]:
        return {
            name: f"id-{name}"
            for name, blob in self.stored[section].items()
            if stack is None or blob.labels.get(compose.NAMESPACE) == stack
        }

    def add(self, section: str, blob: compose.Blob) -> None:
        self.stored[section][blob.name] = blob

    def drop(self, section: str, identifier: str) -> None:
        del self.stored[section][identifier.removeprefix("id-")]

    def digest(self, image: str, credentials: Credentials | None = None) -> str:
        self.asked_as[image] = credentials
        digest = images.digest_of(image)
        if digest in self.registry.values():
            return str(digest)
        if image not in self.registry:
            raise StackError("manifest unknown")
        return self.registry[image]

    def pulled_digest(self, image: str, credentials: Credentials | None = None) -> str | None:
        return self.mirror.get(image)

    def networks(self, stack: str) -> dict[str, dict[str, Any]]:
        return copy.deepcopy(self.made_networks)

    def update_image(self, service: str, image: str) -> None:
        """As `docker service update --image` does."""
        self.live[service]["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] = image
        self.made[service] = [self._task(service, self.live[service]["Spec"], node) for node in NODES]

    def releases(self, stack: str) -> list[releases.Release]:
        return releases.read(
            {"ID": f"id-{name}", "Spec": {"Labels": blob.labels, "Data": base64.b64encode(blob.data).decode()}}
            for name, blob in self.stored["configs"].items()
            if releases.NUMBER in blob.labels
        )

    def mark_converged(self, release: releases.Release) -> None:
        self.label(release, {releases.CONVERGED: "true"})

    def label(self, release: releases.Release, more: Mapping[str, str]) -> None:
        blob = self.stored["configs"][release.id.removeprefix("id-")]
        labels = {**blob.labels, **more}
        self.stored["configs"][blob.name] = compose.Blob(blob.name, blob.data, labels)

    def left(self, stack: str) -> dict[str, list[str]]:
        found = {"services": sorted(self.live), **{kind: sorted(self.names(kind, stack)) for kind in self.stored}}
        if self.lingers:
            found["tasks"] = ["task-0"]
        return {kind: names for kind, names in found.items() if names}

    def remove(self, stack: str) -> None:
        self.live = {}
        self.lingers = max(0, self.lingers - 1)
        for section in self.stored:
            for identifier in self.names(section, stack).values():
                self.drop(section, identifier)

    def deploy(
        self,
        stack: str,
        document: str,
        *,
        registry_auth: bool,
        credentials: Mapping[str, Credentials],
        ask_registries: bool,
    ) -> str:
        if self.refused:
            raise StackError(f"Docker refused the stack: {self.refused}")
        self.deployed += 1
        self.deployed_with, self.asks_registries = credentials, ask_registries
        read = json.loads(document.replace("$$", "$"))
        self._make_networks(stack, read)
        kept = {}
        for name, service in read["services"].items():
            full = f"{stack}_{name}"
            spec = self._spec(stack, service, read)
            old = self.live.get(full)
            if not old:
                kept[full] = {"ID": f"id-{full}", "Spec": spec, "Version": {"Index": next(self._ids)}}
            else:
                # An update without a difference is an update: the way back is lost, and the state of the last update.
                kept[full] = {**old, "Spec": spec, "PreviousSpec": old["Spec"], "Version": {"Index": next(self._ids)}}
                kept[full].pop("UpdateStatus", None)
                if self.update_ends_as and old["Spec"] != spec:
                    kept[full]["UpdateStatus"] = {"State": self.update_ends_as, "Message": "update paused"}
            # A job runs again with every update.
            if not old or old["Spec"] != spec or "ReplicatedJob" in spec["Mode"]:
                self.made[full] = [self._task(full, spec, node) for node in list(NODES)]
        self.live = kept
        return self.remark

    def _make_networks(self, stack: str, document: dict[str, Any]) -> None:
        """Docker leaves networks alone that it has."""
        for key in {key for service in document["services"].values() for key in service.get("networks") or ["default"]}:
            entry = document.get("networks", {}).get(key) or {}
            made = {"Driver": entry.get("driver", "overlay"), "IPAM": {"Config": [{"Subnet": "10.0.1.0/24"}]}}
            made["Options"] = {**entry.get("driver_opts", {}), "com.docker.network.driver.overlay.vxlanid_list": "4097"}
            for setting in ("internal", "attachable"):
                made[setting.title()] = entry.get(setting, False)
            if not entry.get("external"):
                self.made_networks.setdefault(entry.get("name") or f"{stack}_{key}", made)

    def go_back(self, service: str) -> None:
        """Docker replaces a service's failed specification with its previous specification."""
        self.live[service]["Spec"] = self.live[service]["PreviousSpec"]
        self.made[service] = [self._task(service, self.live[service]["Spec"], node) for node in NODES]

    def log(self, task: str, lines: int) -> list[str]:
        return self.log_lines[-lines:]

    def _task(self, service: str, spec: dict[str, Any], node: str) -> dict[str, Any]:
        number = next(self._ids)
        return {
            "ID": f"task-{number}",
            "ServiceID": f"id-{service}",
            "NodeID": node,
            "CreatedAt": f"2026-01-01T00:00:{number:02}Z",
            "DesiredState": "running",
            "Slot": number,
            "Status": dict(self.task_state),
            "Spec": copy.deepcopy(spec["TaskTemplate"]),
        }

    @staticmethod
    def _spec(stack: str, service: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
        deploy = service.get("deploy", {})
        container: dict[str, Any] = {"Image": service["image"]}
        container["Env"] = [f"{key}={value}" for key, value in service.get("environment", {}).items()]
        for section, kind in (("configs", "Config"), ("secrets", "Secret")):
            names = [document[section][item["source"]]["name"] for item in service.get(section, [])]
            container[section.title()] = [{f"{kind}Name": name, f"{kind}ID": f"id-{name}"} for name in names]
        for volume in service.get("volumes", []):
            name = (document["volumes"][volume["source"]] or {}).get("name") or f"{stack}_{volume['source']}"
            container.setdefault("Mounts", []).append({"Type": "volume", "Source": name})
        modes = {
            "global": {"Global": {}},
            "replicated-job": {"ReplicatedJob": {}},
            "replicated": {"Replicated": {"Replicas": deploy.get("replicas", 1)}},
        }
        labels = {**deploy.get("labels", {}), images.LABEL: service["image"]}
        mode = modes[deploy.get("mode", "replicated")]
        ports = [{"PublishedPort": port["published"], "PublishMode": port["mode"]} for port in service.get("ports", [])]
        template = {"ContainerSpec": container}
        return {"Labels": labels, "Mode": mode, "TaskTemplate": template, "EndpointSpec": {"Ports": ports}}


class FakeTime:
    """A clock that only moves by sleeping."""

    def __init__(self) -> None:
        # Long after the tasks began.
        self.seconds = 2_000_000_000.0
        # What happens during a wait.
        self.events: list[Callable[[], None]] = []

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        for happens in self.events:
            happens()

    def clock(self) -> StackClock:
        return StackClock(lambda: self.seconds, self.sleep)


def grant(registry: Registry) -> Grant:
    """A fake for ECR."""
    if registry.account != "123456789012":
        raise StackError(f"AWS refused to give credentials for the registry {registry.host}.")
    return Grant("AWS", f"token-of-{registry.region}", 0.0, 43200.0)


def deployment(
    engine: MemoryEngine,
    stack: Definition,
    known: Mapping[str, Credentials] | None = None,
    time: FakeTime | None = None,
    **options: Any,
) -> Deployment:
    """A deployment that has not run yet."""
    return Deployment(engine, stack, Options(**options), known or {}, grant, (time or FakeTime()).clock())


def state(engine: MemoryEngine, timeout: float = 300.0, look_for: float = 300.0, time: FakeTime | None = None) -> State:
    """The stack's state once there is nothing left to wait for."""
    clock = (time or FakeTime()).clock()
    return convergence.wait(engine, "shop", clock, since=clock.now(), timeout=timeout, look_for=look_for)


def deployed(engine: MemoryEngine, stack: Definition, **options: Any) -> deploy.Report:
    """A complete deployment, which should converge."""
    report = deployment(engine, stack, **options).run(check=False)
    assert state(engine).problem == ""
    deploy.tidied(engine, stack.stack, check=False)
    return report


def fingerprint_of(content: bytes, stack: str = "shop") -> str:
    """The end of a config's name."""
    return hashlib.sha256(stack.encode() + b"\0" + content).hexdigest()[:12]
