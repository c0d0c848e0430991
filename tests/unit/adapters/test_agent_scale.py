"""The agent stays small: the modules and models that it loads, and the calls of a pass over any number of nodes."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.adapters import control_plane, swarm
from ansible_collections.swarm.aws.plugins.module_utils.aws import aws_session
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.runtime.swarm_agent import watch

from bench import agent
from bench.fleet import BUCKET, CLUSTER, REGION, Fleet, Server

LOADED = "import sys; from ansible_collections.swarm.aws.runtime.swarm_agent import cli; print(*sys.modules)"
# What the operator's session and the manager's loop need.
UNNEEDED = ("boto3", "s3transfer", "control_plane", "plan", "monitor", "look", "backup_job", "http.server")


def test_a_worker_loads_neither_boto3_nor_the_control_plane() -> None:
    words = [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {LOADED}"]
    found = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    # The agent's own modules by their last names.
    own = {name.rpartition(".")[2] if "swarm.aws" in name else name for name in found}
    assert "watch" in own and own.isdisjoint(UNNEEDED)


def test_the_sdks_models_are_shared_and_dropped_with_the_sessions() -> None:
    sessions = [AwsSession.on_node(REGION) for _dummy in range(2)]
    first, second = (session.client("s3") for session in sessions)
    assert first.meta.service_model.operation_model("GetObject").documentation == ""
    assert len({id(session._session.get_component("data_loader")) for session in sessions}) == 1
    del sessions, first, second
    gc.collect()
    assert not aws_session._loaders


def test_a_pass_makes_the_same_few_calls_for_any_number_of_nodes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    counts = [calls(nodes, monkeypatch, tmp_path) for nodes in (30, 90)]
    assert counts[0] == counts[1]
    assert sum(counts[0].values()) <= 25
    assert counts[0]["GET /engine/v1.47/tasks"] == 1


@pytest.mark.real("processes: the measurement runs an agent beside an engine and AWS over HTTP")
@pytest.mark.parametrize("what", ["worker", "manager"])
def test_an_idle_agent_can_be_measured(what: str) -> None:
    with agent.serving(3) as url:
        figures = agent.measured(what, url)
    # It looks at the bucket and, as the leader, at the nodes.
    assert figures["calls"] > agent.HOUR / watch.EVERY
    assert 0 < figures["rss"] <= figures["peak"]


def calls(nodes: int, monkeypatch: pytest.MonkeyPatch, folder: Path) -> dict[str, int]:
    """The requests of a pass of the leader over a fleet at rest."""
    server = Server(Fleet(nodes, 3, nodes))
    monkeypatch.setattr(swarm.DockerSwarm.__init__, "__defaults__", (f"tcp://127.0.0.1:{server.port}/engine",))
    monkeypatch.setattr(control_plane, "LAST_POLICY", folder / "policy.json")
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}"),
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
    ):
        monkeypatch.setenv(name, value)
    try:
        plane = control_plane.ControlPlane(CLUSTER, REGION, BUCKET)
        policy = plane.policy()
        server.calls.clear()
        result = plane.reconcile(policy)
        assert not result.failures and not result.decision.actions
        return dict(server.calls)
    finally:
        server.stop()
