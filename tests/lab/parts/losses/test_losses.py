"""Instances end without a word, and nobody does anything about it."""

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


def test_an_engine_removes_what_one_before_it_left_of_a_network(site: Site) -> None:
    """As one leaves it that is stopped while it makes the network; its VXLAN could not be made a second time."""
    site.settle()
    manager = site.one("follower")
    word = '{{index .Options "com.docker.network.driver.overlay.vxlanid_list"}}'
    vxlan = site.must(manager, "docker", "network", "inspect", "--format", word, "example_front").strip()
    site.must(manager, "systemctl", "stop", "docker.socket", "docker")
    try:
        left = site.on(manager, "ip", "link", "add", "vx-left", "type", "vxlan", "id", vxlan, "dstport", "4789")
        assert left.code == 0 or "already exists" in left.output, "the engine may have left one itself"
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


# Takes the port as soon as nobody has it.
_TAKES = """import socket, time
while True:
    try:
        taken = socket.create_server(("0.0.0.0", 80))
        break
    except OSError:
        time.sleep(0.05)
time.sleep(600)
"""


def test_a_node_on_which_something_else_has_the_proxys_port_is_in_the_record_only_before_and_after(site: Site) -> None:
    site.settle()
    manager = site.one("follower")
    address = next(instance["public_ip"] for instance in site.instances() if instance["instance_id"] == manager)
    everywhere = site.public_addresses()
    site.wait("the record to be whole", lambda: site.addresses() == everywhere)
    site.must(manager, "systemd-run", "--quiet", "--unit=taker", "python3", "-c", _TAKES)
    try:
        proxy = "docker ps --quiet --filter label=com.docker.swarm.service.name=example_proxy"
        site.must(manager, "sh", "-c", f"docker kill $({proxy})")
        site.wait("the node to be left out", lambda: site.addresses() == everywhere - {address})
        assert site.page().status == 200
    finally:
        site.must(manager, "systemctl", "stop", "taker")
    site.wait("the node to be back", lambda: site.addresses() == everywhere)


# Accepts whoever connects, and answers nothing. Raft and the tasks go on without the socket.
_MUTE = """import os, socket
os.rename("/run/docker.sock", "/run/docker.sock.away")
listener, kept = socket.socket(socket.AF_UNIX), []
listener.bind("/run/docker.sock")
listener.listen(1000)
while True:
    kept.append(listener.accept())
"""


@pytest.mark.fault(44)
def test_fault_44_the_leaders_engine_answers_nothing_and_the_leader_is_taken_out(site: Site) -> None:
    site.settle()
    leader = site.one("leader")
    with Load(site.lab, RECORD) as load:
        site.wait("the load to have begun", lambda: load.result.sent > 200)
        site.must(leader, "systemd-run", "--quiet", "--unit=mute", "python3", "-c", _MUTE)
        # Its agent holds a connection from before.
        site.must(leader, "systemctl", "restart", "swarm-agent")
        site.wait("its agent to tell", lambda: "does not answer" in site.agent_status(leader), 120)
        run = site.playbook("playbooks/remove_node.yml", "-e", f"id={leader}")
        assert run.code == 0, run.output[-4000:]
        assert leader not in {node.instance for node in site.settle()}
    say(f"the leader's engine hangs: {load.result}")
    assert not load.result.failures
    site.settle_record()
