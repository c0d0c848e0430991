"""The swarm as the Docker API tells it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Node
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils.adapters.swarm import DockerSwarm
from docker.errors import APIError

MANAGER = {
    "ID": "n1",
    "Version": {"Index": 7},
    "Spec": {"Role": "manager", "Availability": "active", "Labels": {"a": "1"}, "Name": "kept"},
    "Description": {"Engine": {"Labels": {"swarm.aws.instance": "i-1"}}},
    "Status": {"State": "ready", "Addr": "0.0.0.0"},
    "ManagerStatus": {"Leader": True, "Reachability": "reachable", "Addr": "10.0.0.1:2377"},
}
WORKER = {
    "ID": "n2",
    "Version": {"Index": 9},
    "Spec": {"Role": "worker", "Availability": "drain", "Labels": {}},
    "Description": {"Engine": {}},
    "Status": {"State": "down", "Addr": "10.0.0.2"},
}


class FakeApi:
    """The calls of the SDK that are made."""

    def __init__(self):
        self.updates, self.removed, self.status = [], [], 0

    def info(self):
        return {"Swarm": {"NodeID": "n1", "ControlAvailable": True, "Cluster": {"ID": "swarm"}}}

    def nodes(self):
        return [WORKER, MANAGER]

    def inspect_node(self, node):
        return {"n1": MANAGER, "n2": WORKER}[node]

    def tasks(self):
        states = [("n1", "running"), ("n1", "shutdown"), ("n1", "preparing"), ("n2", "failed")]
        return [{"NodeID": node, "Status": {"State": state}} for node, state in states]

    def update_node(self, node, version, spec):
        self.updates.append((node, version, spec))

    def remove_node(self, node, force):
        if self.status:
            raise APIError("no", response=SimpleNamespace(status_code=self.status, reason="", url=""), explanation="no")
        self.removed.append((node, force))


@pytest.fixture
def swarm(monkeypatch):
    result = DockerSwarm()
    monkeypatch.setattr(result, "_connected", FakeApi())
    return result


def test_nodes_are_told_with_their_tasks(swarm):
    manager = Node(
        "n1",
        "manager",
        "ready",
        address="10.0.0.1",
        voter=True,
        reachable=True,
        leader=True,
        labels={"a": "1"},
        engine_labels={"swarm.aws.instance": "i-1"},
        tasks=2,
    )
    assert swarm.nodes() == (manager, Node("n2", "worker", "down", "drain", "10.0.0.2"))
    assert swarm.leads() and swarm.here() == "n1" and swarm.swarm_id() == "swarm"


def test_a_change_is_of_the_node_as_it_was_read(swarm):
    swarm.nodes()
    swarm.update("n1", role="worker", labels={"b": "2"})
    ((node, version, spec),) = swarm._connected.updates
    assert (node, version) == ("n1", 7)
    assert spec == {"Role": "worker", "Availability": "active", "Labels": {"b": "2"}, "Name": "kept"}
    with pytest.raises(Unavailable, match="not read"):
        swarm.update("n1", role="manager")


def test_a_node_that_is_gone_is_removed(swarm):
    swarm.remove("n2")
    swarm._connected.status = 404
    swarm.remove("n2")
    assert swarm._connected.removed == [("n2", True)]
    swarm._connected.status = 500
    with pytest.raises(Unavailable, match="refused to remove the node n2: no"):
        swarm.remove("n2")
