"""Tests of every node, of any role."""

from __future__ import annotations

import json

import nodes
import pytest
from testinfra.host import Host

testinfra_hosts = [*nodes.urls("swarm_role_manager"), *nodes.urls("swarm_role_worker")]
AGENT = "/usr/local/lib/swarm-agent"
ENGINE_API = {2375, 2376}


def test_the_engine_is_configured(host: Host) -> None:
    settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert settings["log-opts"]["max-size"]
    assert int(settings["log-opts"]["max-file"]) > 1
    assert settings["metrics-addr"].startswith("127.0.0.1:")


def test_the_engine_runs_with_that_configuration(host: Host) -> None:
    engine = json.loads(host.check_output("docker info --format '{{json .}}'"))
    settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert engine["LiveRestoreEnabled"] is False
    assert engine["LoggingDriver"] == "json-file"
    assert sorted(engine["Labels"]) == sorted(settings["labels"])
    assert engine["Swarm"]["LocalNodeState"] == "active"
    assert host.service("docker").is_enabled
    assert host.service("docker").is_running


def test_the_engine_names_its_own_instance_and_zone(host: Host) -> None:
    settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
    labels = dict(label.split("=", 1) for label in settings["labels"])
    expected = {"swarm.aws.agent", "swarm.aws.group", "swarm.aws.instance", "swarm.aws.zone"}
    assert set(labels) == expected | (set() if host.file("/proc/net/ip_vs").exists else {"swarm.aws.lacks"})
    address = host.backend.host.name
    found = nodes.inventory()["_meta"]["hostvars"][labels["swarm.aws.instance"]]
    assert found["aws_public_ip_address"] == address
    assert found["aws_placement"]["availability_zone"] == labels["swarm.aws.zone"]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/docker/daemon.json",
        "/etc/swarm-agent/config.json",
        "/etc/systemd/system/swarm-agent.service",
        f"{AGENT}/setup",
        f"{AGENT}/swarm-agent.pyz",
    ],
)
def test_only_root_can_change_the_files_that_control_the_node(host: Host, path: str) -> None:
    file = host.file(path)
    assert file.is_file
    assert file.user == "root"
    assert file.mode & 0o022 == 0, oct(file.mode)


def test_the_agent_has_the_checksum_of_its_unit(host: Host) -> None:
    wanted = host.check_output("systemctl show --property=ExecStartPre --value swarm-agent")
    assert host.file(f"{AGENT}/swarm-agent.pyz").sha256sum in wanted


def test_the_journal_has_the_seconds_of_the_first_boot(host: Host) -> None:
    said = host.check_output("journalctl --no-pager")
    for step in ("swarm-setup: Python packages ready in ", "swarm-setup: node set up in ", " was downloaded in "):
        assert step in said


def test_the_agent_is_enabled_running_and_has_never_restarted(host: Host) -> None:
    assert host.service("swarm-agent").is_enabled
    assert host.service("swarm-agent").is_running
    assert host.check_output("systemctl show --property=Result --value swarm-agent") == "success"
    assert host.check_output("systemctl show --property=NRestarts --value swarm-agent") == "0"


def test_a_timer_prunes_unused_objects(host: Host) -> None:
    assert host.service("swarm-prune.timer").is_enabled
    assert host.service("swarm-prune.timer").is_running


def test_the_login_user_can_use_the_engine(host: Host) -> None:
    assert "docker" in host.user(nodes.LOGIN_USER).groups


def test_the_engines_api_is_only_reachable_on_the_node_itself(host: Host) -> None:
    sockets = nodes.listening(host)
    assert sockets
    assert not {port for _, port in sockets} & ENGINE_API
    assert {address for address, port in sockets if port == 9323} == {"127.0.0.1"}
    assert host.file("/var/run/docker.sock").mode & 0o007 == 0


def test_metadata_needs_a_token(host: Host) -> None:
    url = "http://169.254.169.254/latest/meta-data/instance-id"
    assert host.check_output(f"curl -s -o /dev/null -w '%{{http_code}}' {url}") == "401"


def test_no_join_token_is_on_the_disk_outside_of_the_engines_state(host: Host) -> None:
    # The word is in two parts, so that this command, also in a log, does not match itself.
    search = (
        "part=SWMTKN; ls -d /etc /home /root /run /tmp /usr/local /var/log /var/tmp /var/lib/* "
        "| grep -vx /var/lib/docker | xargs grep -rIl --devices=skip -e $part-1-"
    )
    assert host.run(f"sh -c '{search}'").stdout == ""
