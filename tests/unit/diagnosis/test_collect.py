"""A node's diagnosis, with fake commands; and the archives."""

from __future__ import annotations

import json
import tarfile

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.diagnosis.archive import pack, unpack
from ansible_collections.swarm.aws.plugins.module_utils.diagnosis.collect import Collector
from ansible_collections.swarm.aws.plugins.modules.diagnosis import gather

TOKEN = "SWMTKN-1-" + "a" * 50 + "-" + "b" * 25
SERVICE = [{"Spec": {"Name": "web", "ContainerSpec": {"Env": ["DB=opensesame", "NODE=ip-10-0-0-1"]}}}]


class Node:
    """Answers commands by their first words."""

    def __init__(self, *, engine=True, manager=True):
        self.engine, self.manager, self.asked = engine, manager, []

    def run(self, command):
        assert command[0] == "timeout", "none is waited for without an end"
        words = command[2:]
        self.asked.append(words)
        if words[0] != "docker" or words[1] == "--version":
            return self.other(words)
        if not self.engine:
            return 124, "", ""
        return self.docker(words[1:])

    def other(self, words):
        if words[0] == "journalctl":
            return 0, f"ip-10-0-0-1 joined with opensesame and {TOKEN}\n", ""
        if words[-1] == "status":
            return 0, '{"role": "manager"}', ""
        return 0, "fine\n", ""

    def docker(self, words):
        managers = words[0] in ("node", "service", "swarm", "config", "secret")
        if managers and not self.manager:
            return 1, "", "This node is not a swarm manager."
        found = {
            ("swarm", "join-token"): TOKEN,
            ("service", "ls"): "web" if "--format={{.Name}}" in words else "s1",
            ("node", "ls"): "ip-10-0-0-1" if "--format={{.Hostname}}" in words else "n1",
            ("container", "ls"): "c1",
            ("service", "inspect"): json.dumps(SERVICE),
            ("container", "inspect"): json.dumps([{"Config": {"Env": ["API=letmein!"]}}]),
            ("node", "inspect"): "[{}]",
            ("info", "--format"): '{"Name": "ip-10-0-0-1"}',
        }
        return 0, found.get(tuple(words[:2]), ""), ""


def collect(node):
    collector = Collector(node.run, 100, 24)
    return collector.files(), collector.failures


def test_a_manager_collects_the_swarms_state_without_secrets():
    files, failures = collect(Node())
    told = json.dumps(files)
    assert failures == []
    assert not [secret for secret in ("opensesame", "letmein!", TOKEN, "a" * 50) if secret in told]
    assert {"swarm.txt", "nodes.json", "services.json", "containers.json", "swarm-agent.log"} <= set(files)
    assert files["swarm-agent.log"].startswith("ip-10-0-0-1 joined with"), "a node's name is no secret"
    assert '"DB=[removed]"' in files["services.json"]


def test_a_worker_collects_its_own_state_only():
    files, failures = collect(Node(manager=False))
    assert failures == []
    assert "containers.json" in files and "swarm.txt" not in files


def test_logs_are_collected_although_the_engine_hangs():
    node = Node(engine=False)
    files, failures = collect(node)
    assert failures == ["The engine does not answer, so its state is missing."]
    assert files["docker.log"] and "engine.json" not in files
    assert sum(words[0] == "docker" for words in node.asked) == 2, "it is asked whether it answers, and no more"


def test_an_archive_is_private_and_never_incomplete(tmp_path):
    path = tmp_path / "a.tar.gz"
    size = pack({"x/one.txt": "1", "two.txt": "zwei\udce4"}, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert (size, unpack(path)) == (path.stat().st_size, {"x/one.txt": "1", "two.txt": "zwei?"})
    assert [file.name for file in tmp_path.iterdir()] == ["a.tar.gz"]
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(OSError, match="not a complete archive"):
        unpack(path)


def test_a_bundle_has_files_and_documents_without_secrets(tmp_path):
    pack({"system.txt": "fine"}, tmp_path / "i-1.tar.gz")
    nodes, files = gather(tmp_path, {"aws": {"Token": "x", "seen": TOKEN}, "index": {"missing": {}}}, "example")
    assert nodes == ["i-1"]
    assert sorted(files) == ["example/aws.json", "example/i-1/system.txt", "example/index.json"]
    assert json.loads(files["example/aws.json"]) == {"Token": "[removed]", "seen": "SWMTKN-[removed]"}
    pack(files, tmp_path / "whole.tar.gz")
    with tarfile.open(tmp_path / "whole.tar.gz") as archive:
        assert len(archive.getmembers()) == 3
