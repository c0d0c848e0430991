"""Instances, networks, ports and engines fail, and the cluster recovers by itself."""

from __future__ import annotations

import pytest

from tests.lab.load import Load
from tests.lab.site import RECORD, Site, say


@pytest.mark.fault(14)
def test_fault_14_a_terminated_worker_is_replaced(site: Site) -> None:
    site.settle()
    worker = site.instances("worker")[0]["instance_id"]
    site.aws("ec2").terminate_instances(InstanceIds=[worker])
    site.wait("another worker", lambda: worker not in _group(site, "worker") and _group(site, "worker"))
    assert worker not in {node.instance for node in site.settle()}


@pytest.mark.fault(12)
def test_fault_12_a_host_that_fails_is_replaced(site: Site) -> None:
    site.settle()
    manager = sorted(_group(site, "manager"))[0]
    site.kill_host(manager)
    site.wait("another manager", lambda: manager not in _group(site, "manager") and len(_group(site, "manager")) == 3)
    assert manager not in {node.instance for node in site.settle()}
    site.settle_record()


def test_a_started_engine_removes_a_left_over_vxlan_interface(site: Site) -> None:
    """An engine that stops while it creates a network leaves the interface, which would block the network."""
    site.settle()
    manager = site.pick("follower")
    word = '{{index .Options "com.docker.network.driver.overlay.vxlanid_list"}}'
    vxlan = site.must(manager, "docker", "network", "inspect", "--format", word, "example_front").strip()
    site.must(manager, "systemctl", "stop", "docker.socket", "docker")
    try:
        left = site.on(manager, "ip", "link", "add", "vx-left", "type", "vxlan", "id", vxlan, "dstport", "4789")
        assert left.code == 0 or "already exists" in left.output, "the interface cannot be added"
    finally:
        site.must(manager, "systemctl", "start", "docker")
    proxies = (
        "docker",
        "ps",
        "--filter",
        "label=com.docker.swarm.service.name=example_proxy",
        "--format",
        "{{.Status}}",
    )
    site.wait("the proxy to run there again", lambda: "(healthy)" in site.on(manager, *proxies).output)
    assert site.on(manager, "ip", "link", "show", "vx-left").code != 0
    site.settle()


def _group(site: Site, group: str) -> set[str]:
    return {instance["instance_id"] for instance in site.instances(group)}


# Binds the port as soon as it is free.
_TAKES = """import socket, time
while True:
    try:
        taken = socket.create_server(("0.0.0.0", 80))
        break
    except OSError:
        time.sleep(0.05)
time.sleep(600)
"""


def test_a_node_without_a_proxy_is_withdrawn_until_the_proxy_runs_again(site: Site) -> None:
    site.settle()
    manager = site.pick("follower")
    address = next(instance["public_ip"] for instance in site.instances() if instance["instance_id"] == manager)
    everywhere = site.public_addresses()
    site.wait("the record to have all managers", lambda: site.addresses() == everywhere)
    site.must(manager, "systemd-run", "--quiet", "--unit=taker", "python3", "-c", _TAKES)
    try:
        proxy = "docker ps --quiet --filter label=com.docker.swarm.service.name=example_proxy"
        site.must(manager, "sh", "-c", f"docker kill $({proxy})")
        site.wait("the node to be withdrawn", lambda: site.addresses() == everywhere - {address})
        assert site.page().status == 200
    finally:
        site.must(manager, "systemctl", "stop", "taker")
    site.wait("the node to be published", lambda: site.addresses() == everywhere)


# Accepts connections and never answers. Raft and the tasks do not need the socket.
_MUTE = """import os, socket
os.rename("/run/docker.sock", "/run/docker.sock.away")
listener, kept = socket.socket(socket.AF_UNIX), []
listener.bind("/run/docker.sock")
listener.listen(1000)
while True:
    kept.append(listener.accept())
"""


@pytest.mark.fault(44)
def test_fault_44_a_leader_whose_engine_hangs_can_be_removed(site: Site) -> None:
    site.settle()
    leader = site.pick("leader")
    with Load(site.lab, RECORD) as load:
        site.wait("the load to begin", lambda: load.result.sent > 200)
        site.must(leader, "systemd-run", "--quiet", "--unit=mute", "python3", "-c", _MUTE)
        # The agent has an open connection to the engine.
        site.must(leader, "systemctl", "restart", "swarm-agent")
        site.wait("its agent to report it", lambda: "does not answer" in site.agent_status(leader), 120)
        run = site.playbook("playbooks/remove_node.yml", "-e", f"id={leader}")
        assert run.code == 0, run.output[-4000:]
        assert leader not in {node.instance for node in site.settle()}
    say(f"the leader's engine hangs: {load.result}")
    assert not load.result.failures
    site.settle_record()
