"""The engine's adapter over a stand-in for the SDK's client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import JoinPending, JoinRefused, Membership
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Policy
from ansible_collections.swarm.aws.plugins.module_utils.adapters.commands import Commands
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_engine import MADE_BY, DockerEngine
from docker.errors import APIError
from requests.exceptions import ConnectionError as NoConnection

from tests.unit.join.certificates import pem

TOKEN = "SWMTKN-1-ca-secret"


class Api:
    """Answers with the swarm's part of ``docker info`` and records what it is told."""

    def __init__(self, root: Path, **swarm: Any) -> None:
        self.root, self.swarm = root, {"LocalNodeState": "inactive", "NodeID": "", **swarm}
        self.told: list[Any] = []
        self.refusal = self.stays = ""
        self.kept: list[str] = []

    def networks(self) -> list[dict[str, str]]:
        return [
            {"Name": name, "Scope": scope} for name, scope in [("bridge", "local"), *((n, "swarm") for n in self.kept)]
        ]

    def run_command(self, words: list[str]) -> tuple[int, str, str]:
        self.told.append(words)
        self.kept = []
        return 0, "", ""

    def info(self) -> dict[str, Any]:
        return {"DockerRootDir": str(self.root), "Swarm": self.swarm}

    def create_swarm_spec(self, **spec: Any) -> dict[str, Any]:
        return spec

    def init_swarm(self, **arguments: Any) -> None:
        self.told.append(arguments)

    def join_swarm(self, addresses: list[str], token: str, **arguments: Any) -> None:
        self.told.append((addresses, arguments))
        if self.refusal:
            raise APIError("500 Server Error", explanation=self.refusal)

    def leave_swarm(self, force: bool) -> None:
        self.told.append("leave")
        if self.stays:
            reason, self.stays = self.stays, ""
            raise APIError("500 Server Error", explanation=reason)


def engine(api: Api) -> DockerEngine:
    made = DockerEngine("10.0.0.1", unfinished=api.root / "agent" / "joining", commands=Commands(api.run_command))
    made._connected = api
    return made


def certified(root: Path) -> None:
    folder = root / "swarm" / "certificates"
    folder.mkdir(parents=True)
    (folder / "swarm-node.crt").write_bytes(pem(O="swarm", OU="swarm-worker", CN="node"))


def test_a_manager_reports_its_swarm_and_its_founder(tmp_path: Path) -> None:
    cluster = {"ID": "swarm", "Spec": {"Labels": {MADE_BY: "demo/i-1"}}}
    api = Api(tmp_path, LocalNodeState="active", NodeID="node", ControlAvailable=True, Cluster=cluster, Nodes=1)
    found = engine(api).membership()
    assert found == Membership("active", "swarm", "node", manager=True, made_by="demo/i-1", alone=True, swarm_epoch=0)


def test_a_worker_reads_its_swarm_from_its_certificate(tmp_path: Path) -> None:
    certified(tmp_path)
    found = engine(Api(tmp_path, LocalNodeState="active", NodeID="node")).membership()
    assert found == Membership("active", "swarm", "node")


def test_a_node_that_left_is_in_no_swarm_despite_its_old_certificate(tmp_path: Path) -> None:
    certified(tmp_path)
    assert engine(Api(tmp_path)).membership() == Membership("inactive")


def test_a_new_swarm_has_its_founders_label_and_private_address(tmp_path: Path) -> None:
    api = Api(tmp_path)
    engine(api).init("demo/i-1")
    assert api.told == [
        {
            "advertise_addr": "10.0.0.1",
            "listen_addr": "10.0.0.1:2377",
            "swarm_spec": {"labels": {MADE_BY: "demo/i-1"}},
        }
    ]


def test_a_new_swarm_has_the_address_pool_of_the_policy(tmp_path: Path) -> None:
    api, policy = Api(tmp_path), Policy("demo", {}, address_pool=("172.30.0.0/16",), subnet_size=26)
    made = DockerEngine("10.0.0.1", unfinished=tmp_path / "joining", policy=lambda: policy)
    made._connected = api
    made.init("demo/i-1")
    assert (api.told[0]["default_addr_pool"], api.told[0]["subnet_size"]) == (["172.30.0.0/16"], 26)


def test_a_swarm_that_is_revived_keeps_the_pool_in_its_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(tmp_path)
    monkeypatch.setattr("docker.APIClient", lambda **_: api)
    engine(api).revive()
    assert api.told[0]["force_new_cluster"]
    assert "default_addr_pool" not in api.told[0]


@pytest.mark.parametrize("join", [False, True])
@pytest.mark.parametrize("kept", [[], ["example_front"]])
def test_networks_of_a_former_swarm_are_removed_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, join: bool, kept: list[str]
) -> None:
    api = Api(tmp_path)
    api.kept = kept
    monkeypatch.setattr("docker.APIClient", lambda **_: api)
    if join:
        engine(api).join("10.0.0.2", TOKEN, 0)
    else:
        engine(api).init("demo/i-1")
    assert api.told[:-1] == ([["systemctl", "restart", "docker.service"]] if kept else [])


@pytest.mark.fault(8)
def test_fault_08_a_refused_token_differs_from_a_stopped_engine(tmp_path: Path) -> None:
    api = Api(tmp_path)
    api.refusal = f"rpc error: code = InvalidArgument desc = invalid join token {TOKEN}"
    with pytest.raises(JoinRefused, match="invalid join token") as raised:
        engine(api).join("10.0.0.2", TOKEN, 0)
    assert TOKEN not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.fault(9)
def test_fault_09_the_remains_of_a_refused_join_are_cleared(tmp_path: Path) -> None:
    api = Api(tmp_path, LocalNodeState="error", Error="no route to host")
    api.refusal = "no route to host"
    with pytest.raises(JoinRefused):
        engine(api).join("10.0.0.2", TOKEN, 0)
    assert api.told[-1] == "leave"


@pytest.mark.fault(9)
def test_fault_09_a_background_join_is_remembered_until_it_completes(tmp_path: Path) -> None:
    certified(tmp_path)
    api = Api(tmp_path)
    api.refusal = (
        "Timeout was reached before node joined. The attempt to join the swarm will continue in the background."
    )
    with pytest.raises(JoinPending):
        engine(api).join("10.0.0.2", TOKEN, 0)
    api.swarm.update(LocalNodeState="pending")
    assert engine(api).membership().unfinished
    api.swarm.update(LocalNodeState="active", NodeID="node")
    assert not engine(api).membership().unfinished
    api.swarm.update(LocalNodeState="pending")
    assert not engine(api).membership().unfinished


@pytest.mark.fault(9)
def test_fault_09_an_engine_that_is_not_running_is_waited_for(tmp_path: Path) -> None:
    absent = DockerEngine("10.0.0.1", url=f"unix://{tmp_path}/docker.sock", unfinished=tmp_path / "joining")
    with pytest.raises(Unavailable, match="No such file or directory"):
        absent.membership()


def test_a_node_only_leaves_the_intended_swarm(tmp_path: Path) -> None:
    cluster = {"ID": "swarm", "Spec": {}}
    api = Api(tmp_path, LocalNodeState="active", NodeID="node", ControlAvailable=True, Cluster=cluster)
    for meant in ("another", None):
        with pytest.raises(Unavailable, match="changed meanwhile"):
            engine(api).leave(meant)
    assert api.told == []
    engine(api).leave("swarm")
    assert api.told == ["leave"]


def test_an_engine_whose_manager_stops_slowly_is_asked_again(tmp_path: Path) -> None:
    api = Api(tmp_path, LocalNodeState="active", NodeID="node", Cluster={"ID": "swarm"})
    api.stays = "context deadline exceeded"
    engine(api).leave("swarm")
    assert api.told == ["leave", "leave"]
    api.stays = "the raft log is locked"
    with pytest.raises(Unavailable, match="refused to leave its swarm: the raft log is locked"):
        engine(api).leave("swarm")


def test_a_lost_connection_is_unavailable_and_opened_again(tmp_path: Path) -> None:
    made = engine(Api(tmp_path))

    def broken() -> None:
        raise NoConnection("Connection aborted.")

    made._connected.info = broken
    with pytest.raises(Unavailable, match="Connection aborted"):
        made.membership()
    assert made._connected is None
