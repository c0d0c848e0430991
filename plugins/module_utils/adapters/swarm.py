"""The swarm, through a manager's engine."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from .._core.cluster import MANAGER, WORKER, Node, Service
from .._core.errors import SwarmError, Unavailable
from .._core.join.cluster_record import ClusterRecord, Memory
from .._core.parsing import SHAPE_ERRORS, whole
from .._core.registry_credentials import Grant
from . import services
from .certificate import expiry
from .docker_time import moment
from .engine_api import SOCKET, APIError, EngineApi
from .node_engine import EPOCH_LABEL, RECORD_LABEL, memory

_SECONDS = 30
# States of a task that has a container, or is about to.
_LIVE = ("assigned", "accepted", "preparing", "ready", "starting", "running")


@dataclass(frozen=True)
class Facts:
    """A manager's engine and its swarm."""

    cluster_id: str
    node_id: str
    # The address at which the other nodes reach it.
    address: str
    # The engine's version and data root.
    version: str
    root: Path
    # Whether the swarm's managers lock their state.
    locked: bool
    # The number of nodes, services, secrets and configs.
    counts: Mapping[str, int]


def manager_here(swarm: Any) -> str:
    """The ID of this host's node. ``swarm`` is its ``DockerSwarm``. Raises SwarmError if it is no manager."""
    node: Optional[str] = swarm.here()
    if node is None:
        raise SwarmError("This host is not a manager of a swarm: run this on a manager.")
    return node


class DockerSwarm(EngineApi):
    """The core's ``Swarm``."""

    def __init__(self, url: str = SOCKET) -> None:
        """Raises SwarmError if the SDK is missing."""
        super().__init__(url, _SECONDS)
        # (version, specification) by ID as last read, so that a write changes what the decision was based on.
        self._nodes_read: Dict[str, Tuple[int, Mapping[str, Any]]] = {}
        self._services_read: Dict[str, Tuple[int, Mapping[str, Any]]] = {}
        # Whether the next two lists share the tasks, and the tasks that the first of them left for the second.
        self._sharing = False
        self._shared: Optional[List[Any]] = None

    def swarm_id(self) -> str:
        """Its ID. Raises Unavailable, also without a leader."""
        return self.memory().swarm_id

    def memory(self) -> Memory:
        """The memory in the swarm's labels. Raises Unavailable, also without a leader."""
        with self._asked("tell its swarm"):
            found = memory(self._api.info()["Swarm"].get("Cluster") or {})
        if found is None:
            raise Unavailable("The engine does not say which swarm it is in.")
        return found

    def remember(self, record: ClusterRecord) -> None:
        """Store the cluster record in the swarm's labels. Raises Unavailable."""
        self._label_swarm("remember the cluster's record", RECORD_LABEL, record.line())

    def facts(self) -> Facts:
        """Raises Unavailable, also without a leader."""
        with self._asked("describe its swarm"):
            api = self._api
            info, swarm = api.info(), api.inspect_swarm()
            return Facts(
                cluster_id=swarm["ID"],
                node_id=info["Swarm"]["NodeID"],
                address=info["Swarm"]["NodeAddr"],
                version=info["ServerVersion"],
                root=Path(info["DockerRootDir"]),
                locked=bool((swarm["Spec"].get("EncryptionConfig") or {}).get("AutoLockManagers")),
                counts={
                    "nodes": len(api.nodes()),
                    "services": len(api.services()),
                    "secrets": len(api.secrets()),
                    "configs": len(api.configs()),
                },
            )

    def since(self) -> float:
        """When the swarm was created, in epoch seconds. Raises Unavailable, also without a leader."""
        with self._asked("report when its swarm was created"):
            return moment(self._api.inspect_swarm()["CreatedAt"])

    def certificate_until(self) -> float:
        """When this node's certificate expires, in epoch seconds. Raises Unavailable."""
        with self._asked("report where its certificate is"):
            path = Path(self._api.info()["DockerRootDir"]) / "swarm" / "certificates" / "swarm-node.crt"
        try:
            return expiry(path.read_bytes())
        except (OSError, ValueError) as error:
            raise Unavailable(f"{path} does not tell when it expires: {error}") from error

    def locked(self) -> bool:
        """Whether managers lock their state. Raises Unavailable."""
        with self._asked("tell its lock"):
            return bool((self._api.inspect_swarm()["Spec"].get("EncryptionConfig") or {}).get("AutoLockManagers"))

    def lock(self, wanted: bool) -> None:
        """Turn autolock on or off. Raises Unavailable."""

        def change(spec: Dict[str, Any]) -> None:
            spec["EncryptionConfig"] = {**(spec.get("EncryptionConfig") or {}), "AutoLockManagers": wanted}

        self._update_swarm(f"{'lock' if wanted else 'unlock'} its managers' state", change)

    def unlock_key(self) -> str:
        """The present unlock key; empty without autolock. Raises Unavailable."""
        with self._asked("return its unlock key"):
            return str(self._api.get_unlock_key().get("UnlockKey") or "")

    def set_epoch(self, epoch: int) -> None:
        """Store the epoch in the swarm's labels. Raises Unavailable."""
        self._label_swarm("note its epoch", EPOCH_LABEL, str(epoch))

    def _label_swarm(self, what: str, label: str, value: str) -> None:
        def change(spec: Dict[str, Any]) -> None:
            spec["Labels"] = {**(spec.get("Labels") or {}), label: value}

        self._update_swarm(what, change)

    def agree(self) -> None:
        """Make the managers commit an entry that changes nothing. Raises Unavailable.

        Each manager then has the commit of all earlier entries on disk: etcd's log only flushes a changed commit index
        with the next entry.
        """
        self._update_swarm("commit a change")

    def rotate_tokens(self) -> None:
        """Make new join tokens; the old tokens stop working at once. Raises Unavailable."""
        self._update_swarm("rotate its join tokens", rotate_worker_token=True, rotate_manager_token=True)

    def rotate_unlock_key(self) -> None:
        """Make a new unlock key. Raises Unavailable."""
        self._update_swarm("rotate its unlock key", rotate_manager_unlock_key=True)

    def rotate_ca(self) -> None:
        """Start a rotation to a new root certificate; all nodes get new certificates gradually. Raises Unavailable."""

        def change(spec: Dict[str, Any]) -> None:
            config = spec.get("CAConfig") or {}
            spec["CAConfig"] = {**config, "ForceRotate": int(config.get("ForceRotate") or 0) + 1}

        self._update_swarm("rotate its CA", change)

    def ca(self) -> Tuple[bool, Tuple[str, ...]]:
        """Whether the CA is being rotated, and the host names of nodes without a certificate of the newest root.

        Raises Unavailable.
        """
        with self._asked("report the progress of its CA rotation"):
            swarm, nodes = self._api.inspect_swarm(), self._api.nodes()
            root, outdated = swarm["TLSInfo"]["TrustRoot"], []
            for node in nodes:
                description = node.get("Description") or {}
                if (description.get("TLSInfo") or {}).get("TrustRoot") != root:
                    outdated.append(str(description.get("Hostname") or node["ID"]))
            return bool(swarm.get("RootRotationInProgress")), tuple(sorted(outdated))

    def _update_swarm(
        self, what: str, change: Callable[[Dict[str, Any]], None] = lambda spec: None, **rotation: bool
    ) -> None:
        with self._asked(what):
            present = self._api.inspect_swarm()
            spec = dict(present["Spec"])
            change(spec)
            self._api.update_swarm(present["Version"]["Index"], spec, **rotation)

    def here(self) -> Optional[str]:
        """This node's ID if it is a manager, else None. Raises Unavailable."""
        with self._asked("tell its role"):
            swarm = self._api.info()["Swarm"]
            return str(swarm["NodeID"]) if swarm.get("ControlAvailable") else None

    def leads(self) -> bool:
        """Whether this node is the leader. Raises Unavailable, also without a leader."""
        own = self.here()
        if own is None:
            return False
        with self._asked("name the leader"):
            status = self._api.inspect_node(own).get("ManagerStatus") or {}
            return bool(status.get("Leader"))

    def versions(self) -> Mapping[str, int]:
        """By node ID, a version that grows with every change of the node. Raises Unavailable."""
        with self._asked("list the nodes"):
            return {identifier: version for identifier, (version, _spec) in _specifications(self._api.nodes())}

    def nodes(self) -> Tuple[Node, ...]:
        with self._asked("list the nodes"):
            listed, tasks = _list(self._api.nodes()), [_mapping(task) for task in self._tasks()]
        live = Counter(str(task.get("NodeID")) for task in tasks if _mapping(task.get("Status")).get("State") in _LIVE)
        self._nodes_read = dict(_specifications(listed))
        return tuple(sorted((_node(_mapping(node), live) for node in listed), key=lambda node: node.id))

    def update(
        self,
        node: str,
        *,
        role: Optional[str] = None,
        availability: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
    ) -> None:
        if node not in self._nodes_read:
            raise Unavailable(f"The node {node} must be read before it is changed.")
        version, present = self._nodes_read.pop(node)
        spec = dict(present)
        if role is not None:
            spec["Role"] = role
        if availability is not None:
            spec["Availability"] = availability
        if labels is not None:
            spec["Labels"] = dict(labels)
        with self._asked(f"change the node {node}"):
            self._api.update_node(node, version, spec)

    def remove(self, node: str) -> None:
        with self._asked(f"remove the node {node}"):
            try:
                self._api.remove_node(node, force=True)
            except APIError as error:
                if error.response is None or error.response.status_code != 404:
                    raise

    def services(self) -> Tuple[Service, ...]:
        with self._asked("list the services"):
            listed, tasks = _list(self._api.services()), self._tasks()
        self._services_read = dict(_specifications(listed))
        return services.read(listed, tasks)

    @contextlib.contextmanager
    def sharing_tasks(self) -> Iterator[None]:
        """Meanwhile `nodes` and the next `services` use the same list of the tasks, which is the largest answer."""
        self._sharing = True
        try:
            yield
        finally:
            self._sharing, self._shared = False, None

    def _tasks(self) -> List[Any]:
        if self._shared is not None:
            tasks, self._shared = self._shared, None
            return tasks
        tasks = _list(self._api.tasks())
        self._shared = tasks if self._sharing else None
        return tasks

    def scale(self, service: str, replicas: int, labels: Mapping[str, str]) -> None:
        self._write(service, {"Labels": dict(labels), "Mode": {"Replicated": {"Replicas": replicas}}})

    def authorize(self, service: str, grant: Grant, labels: Mapping[str, str]) -> None:
        auth = json.dumps({"username": grant.username, "password": grant.password}).encode()
        # The engine uses it for the tasks that start from now on. Running tasks are not restarted.
        header = {"X-Registry-Auth": base64.urlsafe_b64encode(auth).decode()}
        self._write(service, {"Labels": dict(labels)}, header)

    def restart(self, service: str) -> None:
        """Restart all tasks of a service, as its update_config says. Raises Unavailable."""
        template = dict(self._services_read[service][1]["TaskTemplate"]) if service in self._services_read else {}
        template["ForceUpdate"] = int(template.get("ForceUpdate") or 0) + 1
        self._write(service, {"TaskTemplate": template})

    def update_state(self, service: str) -> Tuple[str, str]:
        """The state of a service's last update, as Docker names it, and its message; empty if it was not updated."""
        with self._asked(f"inspect the service {service}"):
            status = self._api.inspect_service(service).get("UpdateStatus") or {}
            return str(status.get("State", "")), str(status.get("Message", ""))

    def _write(self, service: str, changes: Mapping[str, Any], headers: Optional[Mapping[str, str]] = None) -> None:
        if service not in self._services_read:
            raise Unavailable(f"The service {service} must be read before it is changed.")
        version, present = self._services_read.pop(service)
        with self._asked(f"change the service {service}"):
            # `update_service` of the SDK drops the fields of a specification that it does not know.
            self._update_object(f"services/{service}", version, {**present, **changes}, headers)


def _list(answer: Any) -> List[Any]:
    """The engine's list. Raises TypeError if it is not a list."""
    if not isinstance(answer or [], list):
        raise TypeError("no list")
    return answer or []


def _mapping(value: Any) -> Mapping[str, Any]:
    """A part of the engine's answer; empty if it is missing or not a mapping."""
    return value if isinstance(value, Mapping) else {}


def _specifications(listed: Any) -> Iterator[Tuple[str, Tuple[int, Mapping[str, Any]]]]:
    """By ID, the version and the specification of each object that can be changed."""
    for found in _list(listed):
        try:
            yield str(found["ID"]), (int(found["Version"]["Index"]), dict(found["Spec"]))
        except SHAPE_ERRORS:
            # A change needs all three.
            continue


def _labels(value: Any) -> Mapping[str, str]:
    return {str(key): str(text) for key, text in _mapping(value).items()}


def _node(node: Mapping[str, Any], live: Mapping[str, int]) -> Node:
    """Unreadable parts are left empty, since Raft counts the node even then."""
    identifier = str(node.get("ID") or "")
    spec, status, raft = (_mapping(node.get(key)) for key in ("Spec", "Status", "ManagerStatus"))
    description = _mapping(node.get("Description"))
    engine, platform, resources = (_mapping(description.get(key)) for key in ("Engine", "Platform", "Resources"))
    readable = identifier and spec and status and isinstance(node.get("ManagerStatus") or {}, Mapping)
    return Node(
        id=identifier,
        role=MANAGER if spec.get("Role") == MANAGER else WORKER,
        state=str(status.get("State") or "unknown"),
        availability=str(spec.get("Availability") or "active"),
        address=_address(str(raft.get("Addr") or "").rpartition(":")[0]) or _address(str(status.get("Addr") or "")),
        # A node of which nothing is known may have a vote.
        voter=bool(node.get("ManagerStatus")) or not node,
        reachable=raft.get("Reachability") == "reachable",
        leader=bool(raft.get("Leader")),
        labels=_labels(spec.get("Labels")),
        engine_labels=_labels(engine.get("Labels")),
        tasks=live[identifier],
        hostname=str(description.get("Hostname") or ""),
        platform="/".join(str(platform[key]) for key in ("OS", "Architecture") if platform.get(key)),
        memory=whole(resources.get("MemoryBytes")),
        cpus=whole(resources.get("NanoCPUs")),
        engine=str(engine.get("EngineVersion") or ""),
        flaw=""
        if readable
        else f"The node {identifier or 'without an ID'} cannot be read completely: the engine's answer has an "
        "unexpected shape. It counts as a node, and as a manager unless it says that it is a worker.",
    )


def _address(text: str) -> Optional[str]:
    """The address, unless other nodes cannot use it: a manager may list its own as unspecified or loopback."""
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
    return None if address.is_unspecified or address.is_loopback else str(address)
