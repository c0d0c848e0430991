"""The swarm as the engine of one of its managers shows it."""

from __future__ import annotations

import contextlib
import ipaddress
from collections import Counter
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

from .._core.cluster import MANAGER, WORKER, Node, Service
from .._core.errors import SwarmError, Unavailable
from . import services
from .engine import MISSING, SOCKET, APIError, DockerException, RequestException, _innermost, _plain, _reason

try:
    import docker
except ImportError:
    docker = None

_SECONDS = 30
# States of a task that has a container, or is about to.
_LIVE = ("assigned", "accepted", "preparing", "ready", "starting", "running")


class DockerSwarm:
    """The core's ``Swarm``."""

    def __init__(self, url: str = SOCKET) -> None:
        """Raises SwarmError if the SDK is missing. Connects when it is first used."""
        if MISSING:
            raise SwarmError("The Docker SDK for Python is missing on this node: install python3-docker.") from MISSING
        self._url = url
        self._connected: Any = None
        # As they were last read, so that a write is of what was judged: (version, specification) by ID.
        self._read: Dict[str, Tuple[int, Mapping[str, Any]]] = {}

    def swarm_id(self) -> str:
        with self._asked("tell its swarm"):
            cluster = self._api.info()["Swarm"].get("Cluster") or {}
        if not cluster.get("ID"):
            raise Unavailable("The engine does not say which swarm it is in.")
        return str(cluster["ID"])

    def here(self) -> Optional[str]:
        """This node's ID if it is a manager, else None. Raises Unavailable."""
        with self._asked("tell its role"):
            swarm = self._api.info()["Swarm"]
        return str(swarm["NodeID"]) if swarm.get("ControlAvailable") else None

    def leads(self) -> bool:
        """Whether this node is the leader. Raises Unavailable, also when there is none."""
        own = self.here()
        if own is None:
            return False
        with self._asked("tell who leads"):
            status = self._api.inspect_node(own).get("ManagerStatus") or {}
        return bool(status.get("Leader"))

    def nodes(self) -> Tuple[Node, ...]:
        with self._asked("list the nodes"):
            listed = self._api.nodes()
            tasks = self._api.tasks()
        live = Counter(task.get("NodeID") for task in tasks if task["Status"]["State"] in _LIVE)
        self._read.update({node["ID"]: (node["Version"]["Index"], node["Spec"]) for node in listed})
        return tuple(_node(node, live[node["ID"]]) for node in sorted(listed, key=lambda one: str(one["ID"])))

    def update(
        self,
        node: str,
        *,
        role: Optional[str] = None,
        availability: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
    ) -> None:
        if node not in self._read:
            raise Unavailable(f"The node {node} was not read before it was to be changed.")
        version, present = self._read.pop(node)
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
            listed = self._api.services()
            tasks = self._api.tasks()
        self._read.update({one["ID"]: (one["Version"]["Index"], one["Spec"]) for one in listed})
        return services.read(listed, tasks)

    def scale(self, service: str, replicas: int, labels: Mapping[str, str]) -> None:
        if service not in self._read:
            raise Unavailable(f"The service {service} was not read before it was to be changed.")
        version, present = self._read.pop(service)
        spec = {**present, "Labels": dict(labels), "Mode": {"Replicated": {"Replicas": replicas}}}
        with self._asked(f"change the service {service}"):
            # The SDK's own call takes a specification apart and forgets what it does not know of.
            api = self._api
            url = api._url("/services/{0}/update", service)
            api._raise_for_status(api._post_json(url, data=spec, params={"version": version}))

    @property
    def _api(self) -> Any:
        if self._connected is None:
            self._connected = docker.APIClient(base_url=self._url, version="auto", timeout=_SECONDS)
        return self._connected

    @contextlib.contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        try:
            yield
        except SwarmError:
            raise
        except APIError as error:
            raise Unavailable(f"The engine refused to {what}: {_plain(_reason(error))}") from error
        except (DockerException, RequestException, OSError, KeyError) as error:
            self._connected = None
            raise Unavailable(f"The engine does not answer when asked to {what}: {_innermost(error)}") from error


def _node(node: Mapping[str, Any], tasks: int) -> Node:
    spec, status, raft = node["Spec"], node["Status"], node.get("ManagerStatus") or {}
    description = node.get("Description") or {}
    engine, platform, resources = (description.get(key) or {} for key in ("Engine", "Platform", "Resources"))
    return Node(
        id=node["ID"],
        role=MANAGER if spec.get("Role") == MANAGER else WORKER,
        state=status.get("State", "unknown"),
        availability=spec.get("Availability", "active"),
        address=_address(raft.get("Addr", "").rpartition(":")[0]) or _address(status.get("Addr", "")),
        voter=bool(raft),
        reachable=raft.get("Reachability") == "reachable",
        leader=bool(raft.get("Leader")),
        labels=dict(spec.get("Labels") or {}),
        engine_labels=dict(engine.get("Labels") or {}),
        tasks=tasks,
        hostname=description.get("Hostname", ""),
        platform="/".join(filter(None, (platform.get("OS"), platform.get("Architecture")))),
        memory=resources.get("MemoryBytes"),
        cpus=resources.get("NanoCPUs"),
    )


def _address(text: str) -> Optional[str]:
    """An address that others can know a node by, which a manager's own need not be."""
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
    return None if address.is_unspecified or address.is_loopback else str(address)
