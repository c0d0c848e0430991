"""The routing mesh, VIPs and an encrypted network, and the life of an instance with a kernel of its own."""

from __future__ import annotations

import json
import platform
import re

import pytest

from tests.lab.load import Load
from tests.lab.site import RECORD, Site, say

from .conftest import WORKERS

# Requests a second, each of which also asks the other service, and how many make a removal a test. A guest's kernel
# without KVM makes a system call ten times slower.
RATE, ENOUGH = 40.0, 400


def tasks(site: Site, service: str) -> set[str]:
    """The names of a service's tasks that are to run, as the tasks know them."""
    shown = (
        "docker",
        "service",
        "ps",
        "--no-trunc",
        "--filter",
        "desired-state=running",
        "--format",
        "{{.Name}}.{{.ID}}",
    )
    return set(site.must(site.managers()[0], *shown, f"mesh_{service}").split())


def through_the_mesh(site: Site) -> bool:
    """Whether every address of the record answers, and all tasks behind the mesh and behind the VIP."""
    try:
        answers = [
            json.loads(site.page_at(address, "/").body) for address in sorted(site.addresses()) for _ in range(8)
        ]
    except (OSError, ValueError):
        return False
    answered = ({answer["task"] for answer in answers}, {answer["api"]["task"] for answer in answers})
    return answered == (tasks(site, "web"), tasks(site, "api"))


def test_every_instance_has_a_kernel_of_its_own(site: Site) -> None:
    kernels = {site.must(instance, "uname", "-r").strip() for instance in site.ids()}
    assert len(kernels) == 1
    assert platform.release() not in kernels
    assert len({site.must(instance, "cat", "/proc/sys/kernel/random/boot_id") for instance in site.ids()}) == 5


def test_every_node_serves_the_page_through_the_mesh(site: Site) -> None:
    site.settle_record()
    assert len(tasks(site, "web")) == 4, "fewer than nodes"
    site.wait("the mesh to answer on every manager", lambda: through_the_mesh(site))
    addresses = site.public_addresses("manager") | site.public_addresses("worker")
    assert len(addresses) == 3 + WORKERS
    for address in addresses:
        assert site.page_at(address, "/").body, address


def test_services_find_each_other_by_vip_on_an_encrypted_network(site: Site) -> None:
    manager = site.managers()[0]
    endpoint = site.must(
        manager, "docker", "service", "inspect", "--format", "{{json .Endpoint.VirtualIPs}}", "mesh_api"
    )
    assert len(json.loads(endpoint)) == 1
    # Each direction between two nodes has its own counter.
    packets = re.findall(r"(\d+)\(packets\)", site.must(manager, "ip", "-s", "xfrm", "state"))
    assert len([count for count in packets if count != "0"]) >= 2 * WORKERS, packets


@pytest.mark.parametrize("kind", ["worker", "follower", "leader"])
def test_no_request_fails_while_a_node_of_the_mesh_is_removed(site: Site, kind: str) -> None:
    site.settle(workers=WORKERS)
    site.settle_record()
    site.wait("the mesh to answer on every manager", lambda: through_the_mesh(site))
    instance = site.pick(kind)
    with Load(site.lab, RECORD, "/", rate=RATE) as load:
        run = site.playbook("remove_node.yml", "-e", f"id={instance}")
    assert run.code == 0, run.output[-4000:]
    say(f"{kind}: {load.result}; {run.line('Seconds:')}")
    assert load.result.failures == []
    assert load.result.sent >= ENOUGH, str(load.result)


def test_netem_loses_and_delays_what_an_instance_sends(site: Site) -> None:
    worker = site.pick("worker")

    def netem(*settings: str) -> str:
        run = site.command("python", "-m", "lab", "netem", worker, *settings)
        assert run.code == 0, run.output
        return site.must(worker, "tc", "qdisc", "show", "dev", "eth0")

    assert re.search(r"netem .*delay 50ms.* loss 5%", netem("loss", "5%", "delay", "50ms"))
    assert "netem" not in netem()


def test_a_hanging_worker_is_down_and_returns(site: Site) -> None:
    worker = site.pick("worker")
    site.control("hang", worker)
    try:
        site.wait("the worker to be down", lambda: site.down() == {worker})
    finally:
        site.control("resume", worker)
    site.settle(workers=WORKERS)


def test_a_worker_that_reboots_itself_is_the_same_instance(site: Site) -> None:
    worker, before = site.pick("worker"), site.ids()
    boot = ("cat", "/proc/sys/kernel/random/boot_id")
    first = site.must(worker, *boot)
    site.on(worker, "systemctl", "reboot")
    site.wait("the worker to boot", lambda: site.on(worker, *boot).output not in (first, "") and is_up(site, worker))
    site.settle(workers=WORKERS)
    assert site.ids() == before


def is_up(site: Site, instance: str) -> bool:
    """Whether the system on an instance has booted."""
    return site.on(instance, "systemctl", "is-system-running").output.strip() in ("running", "degraded")


def test_a_killed_manager_is_replaced_and_the_mesh_serves_on_all(site: Site) -> None:
    follower = site.pick("follower")
    site.kill_host(follower)
    site.wait("the manager to be replaced", lambda: follower not in site.ids(), seconds=600)
    site.settle(workers=WORKERS)
    site.settle_record()
    site.wait("the mesh to answer on every manager", lambda: through_the_mesh(site))
