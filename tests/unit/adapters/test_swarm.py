"""The adapter of the swarm's Docker API."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Needs, Node, Service
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.registry_credentials import Grant
from ansible_collections.swarm.aws.plugins.module_utils.adapters import services
from ansible_collections.swarm.aws.plugins.module_utils.adapters.swarm import DockerSwarm
from docker.errors import APIError
from hypothesis import given
from hypothesis import strategies as st
from requests import Response

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
    """The calls of the SDK that the adapter makes."""

    base_url, api_version, timeout = "http+docker://localhost", "1.44", 30

    def __init__(self):
        self.updates, self.removed, self.status = [], [], 0
        self.answer = Response()
        self.answer.status_code = 200

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


def test_nodes_are_read_with_their_tasks(swarm):
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


def test_a_node_update_needs_the_version_that_was_read(swarm):
    swarm.nodes()
    swarm.update("n1", role="worker", labels={"b": "2"})
    ((node, version, spec),) = swarm._connected.updates
    assert (node, version) == ("n1", 7)
    assert spec == {"Role": "worker", "Availability": "active", "Labels": {"b": "2"}, "Name": "kept"}
    with pytest.raises(Unavailable, match="must be read before"):
        swarm.update("n1", role="manager")


def test_a_deleted_node_can_be_deleted_again(swarm):
    swarm.remove("n2")
    swarm._connected.status = 404
    swarm.remove("n2")
    assert swarm._connected.removed == [("n2", True)]
    swarm._connected.status = 500
    with pytest.raises(Unavailable, match="refused to remove the node n2: no"):
        swarm.remove("n2")


SERVICE = {
    "ID": "s1",
    "Version": {"Index": 5},
    "Spec": {
        "Name": "web",
        "Labels": {"a": "1"},
        "Mode": {"Replicated": {"Replicas": 3}},
        "UpdateConfig": {"Order": "start-first", "Parallelism": 2},
        "EndpointSpec": {"Ports": [{"PublishMode": "host", "PublishedPort": 80}, {"PublishedPort": 81}]},
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "x",
                "StopGracePeriod": 20_000_000_000,
                "Healthcheck": {"Test": ["CMD", "true"]},
            },
            "Placement": {
                "Constraints": ["node.role==worker"],
                "MaxReplicas": 2,
                "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.zone"}}],
            },
            "ForceUpdate": 1,
            "Resources": {"Reservations": {"MemoryBytes": 1000, "NanoCPUs": 5}},
        },
    },
    "UpdateStatus": {"State": "updating"},
}
PLAIN = {
    "ID": "s2",
    "Version": {"Index": 6},
    "Spec": {"Name": "agent", "Mode": {"Global": {}}, "TaskTemplate": {}},
}


def _task(state, desired, node="n1", error="", at="2026-11-28T07:00:00.123456789Z"):
    status = {"State": state, "Err": error, "Timestamp": at}
    return {"ServiceID": "s1", "NodeID": node, "DesiredState": desired, "Status": status}


def test_services_are_read_with_the_nodes_of_their_tasks(swarm, monkeypatch):
    tasks = [
        _task("running", "running"),
        _task("starting", "running"),
        _task("ready", "ready", "n2"),
        _task("running", "shutdown", "n2"),
        _task("shutdown", "shutdown"),
        _task("failed", "running"),
        _task("pending", "running", "", "no suitable node\n(1 node)"),
    ]
    monkeypatch.setattr(swarm._connected, "services", lambda: [SERVICE, PLAIN], raising=False)
    monkeypatch.setattr(swarm._connected, "tasks", lambda: tasks)
    plain, web = swarm.services()
    assert plain == Service("s2", "agent", "global", renewable=True)
    assert web == Service(
        "s1",
        "web",
        replicas=3,
        start_first=True,
        health_checked=True,
        balanced=True,
        parallelism=2,
        updating=True,
        labels={"a": "1"},
        stop_seconds=20,
        needs=Needs(("node.role==worker",), 2, 1000, 5, (80,), ("node.labels.zone",)),
        healthy={"n1": 1},
        starting={"n1": 1, "n2": 1},
        stopping={"n2": 1},
        pending=1,
        why_pending="no suitable node (1 node)",
        image="x",
    )


@pytest.mark.parametrize(("test", "checked"), [([], False), (["NONE"], False), (["CMD-SHELL", "true"], True)])
def test_a_disabled_health_check_is_recognised(test, checked):
    template = {"ContainerSpec": {"Healthcheck": {"Test": test}}}
    (told,) = services.read([{**PLAIN, "Spec": {**PLAIN["Spec"], "TaskTemplate": template}}], [])
    assert told.health_checked is checked


@pytest.fixture
def sent(swarm, monkeypatch):
    """The sent updates of services."""
    sent = []
    api = swarm._connected
    monkeypatch.setattr(api, "services", lambda: [SERVICE], raising=False)
    monkeypatch.setattr(api, "post", lambda url, **more: sent.append((url, more)) or api.answer, raising=False)
    swarm.services()
    return sent


def test_scaling_changes_the_replicas_and_nothing_else(swarm, sent):
    swarm.scale("s1", 5, {"b": "2"})
    expected = {**SERVICE["Spec"], "Labels": {"b": "2"}, "Mode": {"Replicated": {"Replicas": 5}}}
    more = {"json": expected, "params": {"version": 5}, "headers": None, "timeout": 30}
    assert sent == [("http+docker://localhost/v1.44/services/s1/update", more)]
    with pytest.raises(Unavailable, match="must be read before"):
        swarm.scale("s1", 5, {})


def test_the_reason_for_a_refused_service_update_is_reported(swarm, sent):
    answer = swarm._connected.answer
    answer.status_code, answer._content = 400, b'{"message": "rpc error: update out of sequence"}'
    with pytest.raises(Unavailable, match=r"^The engine refused to change the service s1: update out of sequence$"):
        swarm.scale("s1", 5, {})


def test_credentials_are_passed_and_nothing_else_changes(swarm, sent):
    swarm.authorize("s1", Grant("AWS", "pass", 0, 1), {"b": "2"})
    ((_url, more),) = sent
    assert (more["json"], more["params"]) == ({**SERVICE["Spec"], "Labels": {"b": "2"}}, {"version": 5})
    auth = json.loads(base64.urlsafe_b64decode(more["headers"]["X-Registry-Auth"]))
    assert auth == {"username": "AWS", "password": "pass"}


def _read(template, *tasks, mode=None, update=None):
    spec = {"Name": "x", "Mode": mode or {"Replicated": {"Replicas": 1}}, "TaskTemplate": template}
    service = {"ID": "s1", "Spec": spec, "UpdateStatus": update and {"State": update}}
    return services.read([service], tasks)[0]


def _renewable(template, *tasks, mode=None):
    return _read(template, *tasks, mode=mode).renewable


ONCE = {"RestartPolicy": {"Condition": "none"}}


@pytest.mark.parametrize(
    ("update", "updating", "paused"),
    [
        ("updating", True, False),
        ("rollback_started", True, False),
        ("paused", False, True),
        ("rollback_paused", False, True),
        ("completed", False, False),
        ("rollback_completed", False, False),
        (None, False, False),
    ],
)
def test_an_update_in_progress_or_paused_is_recognised(update, updating, paused):
    found = _read({}, update=update)
    assert (found.updating, found.paused, found.renewable) == (updating, paused, not (updating or paused))


def test_a_task_that_runs_only_once_is_not_restarted():
    assert not _renewable({}, mode={"ReplicatedJob": {}}) and not _renewable({}, mode={"GlobalJob": {}})
    assert not _renewable(ONCE, {**_task("complete", "shutdown"), "Slot": 1})
    assert not _renewable({"RestartPolicy": {"MaxAttempts": 2}}, {**_task("failed", "shutdown"), "Slot": 1})
    # Docker restarts the others, or they run.
    assert _renewable({}, {**_task("complete", "shutdown"), "Slot": 1})
    again = {**_task("running", "running"), "Slot": 1}
    assert _renewable({"RestartPolicy": {"Condition": "on-failure"}}, {**_task("failed", "shutdown"), "Slot": 1}, again)
    # Docker creates no successor, even if its node was drained.
    assert not _renewable(ONCE, {**_task("shutdown", "shutdown"), "Slot": 2}, again)


def test_a_completed_task_of_a_global_service_is_over_on_its_node():
    tasks = [_task("complete", "shutdown", node="n1"), _task("running", "running", node="n2")]
    assert _read(ONCE, *tasks, mode={"Global": {}}).over == {"n1"}


ON_FAILURE = {"RestartPolicy": {"Condition": "on-failure"}}


@pytest.mark.parametrize(
    ("template", "states", "done"),
    [
        (ONCE, ["complete"], 1),
        (ONCE, ["failed"], 1),
        (ONCE, ["shutdown"], 1),
        (ONCE, ["complete", "running"], 0),
        (ON_FAILURE, ["failed", "complete"], 1),
        (ON_FAILURE, ["complete", "starting"], 0),
        (ON_FAILURE, ["shutdown"], 0),
        ({"RestartPolicy": {"Condition": "on-failure", "MaxAttempts": 2}}, ["failed", "failed"], 0),
        ({"RestartPolicy": {"Condition": "any", "MaxAttempts": 2}}, ["complete", "complete"], 0),
        ({}, ["complete"], 0),
    ],
)
def test_a_completed_task_counts_as_done(template, states, done):
    tasks = [
        {**_task(state, "running" if state in ("running", "starting") else "shutdown"), "Slot": 1, "CreatedAt": str(at)}
        for at, state in enumerate(states)
    ]
    assert _read(template, *reversed(tasks)).done == done


def test_a_task_that_runs_only_once_is_not_started_elsewhere_first():
    for template, first in ((ONCE, False), (ON_FAILURE, True), ({}, True)):
        spec = {**SERVICE["Spec"], "TaskTemplate": template}
        (told,) = services.read([{**SERVICE, "Spec": spec}], [])
        assert told.start_first is first


ENDED = ("failed", "rejected", "shutdown")


@given(
    ended=st.lists(st.tuples(st.sampled_from(ENDED), st.integers(0, 1200)), max_size=5),
    healthy=st.booleans(),
    order=st.randoms(),
)
def test_a_task_that_fails_repeatedly_marks_its_node_as_failing(ended, healthy, order):
    tasks = [_task(state, "shutdown", at=f"2026-11-28T07:{at // 60:02}:{at % 60:02}.123456789Z") for state, at in ended]
    tasks += [_task("running" if healthy else "starting", "running"), *[_task("failed", "shutdown", node="n2")] * 2]
    order.shuffle(tasks)
    last = sorted((at, state) for state, at in ended)[-3:]
    fails = len(last) == 3 and last[-1][0] - last[0][0] <= 600 and all(state != "shutdown" for _, state in last)
    assert _read({}, *tasks, mode={"Global": {}}).failing == ({"n1"} if fails and not healthy else set())


def test_a_restart_increases_the_counter_and_changes_nothing_else(swarm, sent, monkeypatch):
    swarm.restart("s1")
    template = {**SERVICE["Spec"]["TaskTemplate"], "ForceUpdate": 2}
    ((_url, more),) = sent
    assert more["json"] == {**SERVICE["Spec"], "TaskTemplate": template}
    monkeypatch.setattr(swarm._connected, "inspect_service", lambda name: SERVICE, raising=False)
    assert swarm.update_state("s1") == ("updating", "")
