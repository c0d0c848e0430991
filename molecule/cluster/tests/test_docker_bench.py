"""Sections of the Docker benchmark on the engine (2), its containers (5) and the swarm (7), numbered as there.

docs/security.md lists the exceptions with their reasons.
"""

from __future__ import annotations

import json
from typing import Any

import nodes
import pytest
from testinfra.host import Host

testinfra_hosts = [*nodes.urls("swarm_role_manager"), *nodes.urls("swarm_role_worker")]
# The lab's own registries, which speak plain HTTP; no role of the collection sets them.
LABS_REGISTRIES = {"198.19.0.1:5000", "123456789012.dkr.ecr.eu-west-1.amazonaws.com"}


def info(host: Host) -> dict[str, Any]:
    """`docker info`."""
    return json.loads(host.check_output("docker info --format '{{json .}}'"))  # type: ignore[no-any-return]


def running(host: Host) -> list[dict[str, Any]]:
    """`docker inspect` of the running containers: at least a proxy on managers, maybe none on a worker."""
    names = host.check_output("docker ps --quiet").split()
    if not names:
        assert info(host)["Swarm"]["ControlAvailable"] is False, "a manager of the example runs a proxy"
        return []
    found: list[dict[str, Any]] = json.loads(host.check_output(f"docker inspect {' '.join(names)}"))
    return found


# 2: the engine


def test_2_2_containers_on_the_default_bridge_are_isolated(host: Host) -> None:
    assert json.loads(host.file("/etc/docker/daemon.json").content_string)["icc"] is False


def test_2_3_2_4_and_2_7_the_engine_logs_with_firewall_and_no_tcp_socket(host: Host) -> None:
    settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert settings.get("log-level", "info") == "info"
    assert settings.get("iptables", True) is True
    arguments = host.check_output("tr '\\0' '\\n' < /proc/$(pidof -s dockerd)/cmdline").splitlines()
    assert "--iptables=false" not in arguments
    assert not [argument for argument in arguments if "tcp://" in argument]
    assert not [url for url in settings.get("hosts", []) if url.startswith("tcp://")]


def test_2_5_to_2_18_no_insecure_registry_old_storage_or_experiment(host: Host) -> None:
    engine = info(host)
    settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert "insecure-registries" not in settings
    insecure = {name for name, index in engine["RegistryConfig"]["IndexConfigs"].items() if not index["Secure"]}
    assert insecure <= LABS_REGISTRIES
    assert engine["Driver"] in ("overlay2", "fuse-overlayfs", "vfs")
    assert engine["ExperimentalBuild"] is False
    assert any(option.startswith("name=seccomp") for option in engine["SecurityOptions"])


# 5: the containers


def test_5_1_5_5_5_21_and_5_31_containers_have_no_access_to_the_host(host: Host) -> None:
    for container in running(host):
        settings = container["HostConfig"]
        assert settings["Privileged"] is False
        assert not {"unconfined", "seccomp=unconfined", "seccomp:unconfined"} & set(settings["SecurityOpt"] or [])
        assert not settings["Devices"]
        binds = [mount["Source"] for mount in container["Mounts"] if mount["Type"] == "bind"]
        # The engine mounts configs and secrets from its own files.
        assert [bind for bind in binds if not bind.startswith("/var/lib/docker/containers/")] == []
        assert not [mount for mount in container["Mounts"] if "docker.sock" in mount.get("Source", "")]
        assert not [mount for mount in container["Mounts"] if mount.get("Propagation") in ("shared", "rshared")]


def test_5_3_containers_have_no_capabilities(host: Host) -> None:
    for container in running(host):
        assert container["HostConfig"]["CapDrop"] == ["ALL"], container["Name"]
        assert not container["HostConfig"]["CapAdd"], container["Name"]
        assert container["Config"]["User"] not in ("", "0", "root"), container["Name"]


def test_5_9_5_15_to_5_20_and_5_30_containers_have_own_namespaces(host: Host) -> None:
    for container in running(host):
        settings = container["HostConfig"]
        assert not {"host", "bridge"} & set(container["NetworkSettings"]["Networks"])
        assert settings["PidMode"] == ""
        assert settings["IpcMode"] in ("private", "none", "")
        assert settings["UTSMode"] == ""
        assert settings["UsernsMode"] == ""


def test_5_10_5_11_and_5_28_memory_cpu_and_processes_are_limited(host: Host) -> None:
    for container in running(host):
        settings = container["HostConfig"]
        assert settings["Memory"] > 0, container["Name"]
        assert settings["NanoCpus"] > 0, container["Name"]
        assert 0 < settings["PidsLimit"] <= 1000, container["Name"]


def test_5_12_and_5_26_roots_are_read_only_and_health_is_checked(host: Host) -> None:
    for container in running(host):
        assert container["HostConfig"]["ReadonlyRootfs"] is True, container["Name"]
        assert container["State"]["Health"]["Status"] in ("healthy", "starting"), container["Name"]


def test_5_7_the_only_privileged_port_is_the_proxys(host: Host) -> None:
    mapped = {
        int(binding["HostPort"])
        for container in running(host)
        for bindings in container["NetworkSettings"]["Ports"].values()
        for binding in bindings or []
    }
    assert {port for port in mapped if port < 1024} <= {80}


# 7: the swarm


def test_7_2_and_7_3_few_managers_and_nodes_listen_on_their_own_address(host: Host) -> None:
    swarm = info(host)["Swarm"]
    if swarm["ControlAvailable"]:
        assert swarm["Managers"] in (3, 5, 7)
    assert {address for address, port in nodes.listening(host) if port in (2377, 7946)} == {swarm["NodeAddr"]}


def test_7_5_to_7_9_secrets_are_managed_and_certificates_expire(host: Host) -> None:
    if not info(host)["Swarm"]["ControlAvailable"]:
        pytest.skip("a worker cannot show the swarm")
    assert host.check_output("docker secret ls --quiet")
    expiry = info(host)["Swarm"]["Cluster"]["Spec"]["CAConfig"]["NodeCertExpiry"]
    assert 0 < expiry <= 90 * 24 * 3600 * 10**9
