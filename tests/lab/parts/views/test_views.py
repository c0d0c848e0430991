"""Views of a cluster: status, tables, a shell, a picture and a diagnosis."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.lab.site import RECORD, Run, Site

# Secrets that are planted on the nodes, and must not be in the diagnosis.
PASSWORD, ACCESS_KEY, UNLOCK_KEY = "correct-horse-battery", "AKIAQQQQSWARMQQQQQQQ", "SWMKEY-1-Q4nTqQWmF0o7ZlLkQK9"
SECRET_KEY, BODY = "9qQzJalrXUtnFEMIK7MDENGbPxRfiCYzEXAMPLEQ", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj"
LINES = (
    f"connected as app with {PASSWORD}",
    f"aws_access_key_id={ACCESS_KEY} aws_secret_access_key={SECRET_KEY} again {SECRET_KEY}",
    f"unlocked by {UNLOCK_KEY}",
    f"-----BEGIN PRIVATE KEY-----\\n{BODY}\\n-----END PRIVATE KEY-----",
)


def test_status_yml_writes_the_true_state_as_json(site: Site, tmp_path: Path) -> None:
    nodes = site.settle()
    site.settle_record()
    written = tmp_path / "status.json"
    seen = _document(site.playbook("playbooks/status.yml", "-e", "format=json", "-e", f"output={written}"))
    assert json.loads(written.read_text()) == seen
    rows = {row["instance"]: row for row in seen["members"]}
    assert set(rows) == site.ids()
    for node in nodes:
        row = rows[node.instance]
        assert (row["node"], row["role"], row["node_state"]) == (node.node_id, node.role, "ready")
    assert [member["instance"] for member in seen["members"] if member["raft"] == "leader"] == [site.pick("leader")]
    assert seen["quorum"] == {"voters": 3, "reachable": 3, "needed": 2, "margin": 1}
    assert (seen["record"]["name"], seen["record"]["addresses"]) == (RECORD, seen["record"]["wanted"])
    assert set(seen["record"]["ipv4_values"]) == site.addresses()
    assert set(seen["record"]["ipv6_values"]) == site.addresses("AAAA")
    web = next(service for service in seen["services"] if service["name"] == "example_web")
    assert (web["running"], web["wanted"]) == (6, 6)
    assert (seen["silent"], seen["failures"], seen["outdated"]) == ({}, [], [])
    assert seen["last_actions"] and seen["agent"]["version"]


def test_the_tables_list_instances_and_managers(site: Site) -> None:
    site.settle()
    run = site.playbook("playbooks/instances.yml")
    assert run.code == 0, run.output[-3000:]
    shown = {line.split()[0]: line.split() for line in run.output.splitlines() if line.strip().startswith("i-")}
    assert {instance: row[6] for instance, row in shown.items()} == {
        instance["instance_id"]: instance["private_ip"] for instance in site.instances()
    }
    seen = _document(site.playbook("playbooks/managers.yml", "-e", "format=json"))
    assert {manager["instance"] for manager in seen["managers"]} == site.ids("manager")


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("cluster_name=nobody", "tag:swarm.aws/cluster is example, but cluster_name is nobody: write"),
        ("account_id=999999999999", "The credentials are for the account 123456789012, but account_id is 999999999999"),
    ],
)
def test_another_cluster_or_account_is_refused_in_a_sentence(site: Site, option: str, sentence: str) -> None:
    run = site.playbook("playbooks/instances.yml", "-e", option)
    assert run.code != 0
    assert sentence in run.output


def test_make_ssh_runs_commands_on_a_manager_or_a_named_instance(site: Site) -> None:
    site.settle()
    run = site.command("make", "-s", "ssh", "CMD=docker node ls --format '{{.ID}}'")
    assert (run.code, set(run.output.split())) == (0, {node.node_id for node in site.nodes()})
    worker = next(instance for instance in site.instances("worker"))
    run = site.command("make", "-s", "ssh", f"ID={worker['instance_id']}", "CMD=hostname -I; exit 3")
    assert worker["private_ip"] in run.output
    assert "Error 3" in run.output, "the command's exit code is lost"


def test_a_picture_shows_the_resources_in_the_account(site: Site, tmp_path: Path) -> None:
    site.settle()
    picture = Path(os.environ.get("SWARM_PICTURES") or tmp_path).resolve() / "cluster.svg"
    run = site.playbook("playbooks/picture.yml", "-e", f"output={picture}")
    assert run.code == 0, run.output[-3000:]
    drawn = picture.read_text()
    assert {
        identifier for identifier in site.ids() if f"instance example-{_group(site, identifier)} {identifier}" in drawn
    } == site.ids()
    assert all(name in drawn for name in (RECORD, site.bucket, "example-events", "eu-west-1a", "3 in service of 3"))
    again = site.playbook("playbooks/picture.yml", "-e", f"output={picture}")
    assert (again.code, picture.read_text()) == (0, drawn), "the picture of an unchanged account changed"


def test_a_diagnosis_has_no_secrets_and_names_a_partitioned_node(site: Site, tmp_path: Path) -> None:
    site.settle()
    leader, worker, cut_off = site.pick("leader"), site.pick("worker"), site.pick("follower")
    tokens = [site.must(leader, "docker", "swarm", "join-token", "-q", role).strip() for role in ("manager", "worker")]
    for instance in (leader, worker):
        for line in (*LINES, *tokens):
            site.must(instance, "sh", "-c", _LOG, "log", line)
    options = ["--env", f"DB={PASSWORD}", "--mode", "global", "--update-order", "stop-first"]
    site.must(
        leader, "docker", "service", "create", "-d", "--name", "kept", *options, "python:3.13-slim", "sleep", "600"
    )
    bundle = tmp_path / "fault.tar.gz"
    try:
        site.wait("the service to run", lambda: PASSWORD in site.on(worker, "sh", "-c", _ENVIRONMENTS).output)
        site.control("partition", cut_off)
        try:
            status = site.playbook("playbooks/status.yml", "-e", "format=json")
            run = site.playbook("playbooks/diagnose.yml", "-vvv", "-e", f"output={bundle}")
        finally:
            site.control("heal", cut_off)
    finally:
        site.on(site.managers()[0], "docker", "service", "rm", "kept")
    assert list(_document(status)["silent"]) == [cut_off]
    assert run.code == 0, run.output[-4000:]
    assert str(bundle) in run.output and f"Not in it: {cut_off}: " in run.output

    files = _unpacked(bundle)
    assert {name.split("/")[1] for name in files if "/i-" in name} == site.ids() - {cut_off}
    for instance in (leader, worker):
        assert "connected as app with [removed]" in files[f"fault/{instance}/docker.log"], (
            "the planted lines are missing"
        )
    assert '"DB=[removed]"' in files[f"fault/{leader}/services.json"]
    secrets = [PASSWORD, ACCESS_KEY, SECRET_KEY, UNLOCK_KEY, BODY, *tokens]
    everything = "\n".join(files.values()) + run.output
    assert [secret for secret in secrets if secret in everything] == []
    assert site.on(leader, "sh", "-c", "ls -d /tmp/*.diagnosis").code != 0, "the diagnosis left files"
    for instance in (leader, worker):
        # Delete the planted secrets, so that other tests do not find them.
        site.must(instance, "journalctl", "--quiet", "--rotate", "--vacuum-time=1s")
    site.settle()


# Logs a line as if it came from the engine.
_LOG = r"""printf 'MESSAGE=%s\nOBJECT_PID=%s\n' "$1" "$(systemctl show -P MainPID docker)" | logger --journald"""
_ENVIRONMENTS = "docker inspect --format '{{.Config.Env}}' $(docker ps -q)"


def _group(site: Site, instance: str) -> str:
    return next(known["group"].rpartition("-")[2] for known in site.instances() if known["instance_id"] == instance)


def _document(run: Run) -> dict[str, Any]:
    assert run.code == 0, run.output[-3000:]
    # Ansible's warnings come before, from the standard error.
    found: dict[str, Any] = json.loads(run.output[run.output.index("{\n") :])
    return found


def _unpacked(bundle: Path) -> dict[str, str]:
    with tarfile.open(bundle) as archive:
        return {
            member.name: stream.read().decode()
            for member in archive.getmembers()
            if (stream := archive.extractfile(member))
        }
