"""The routing mesh, VIPs and an encrypted network, and the life of an instance with a kernel of its own."""

from __future__ import annotations

import platform
import re

from tests.lab.site import Site

from .conftest import WORKERS

PAGE = "import urllib.request as client; print(client.urlopen('http://web:8000', timeout=5).read().decode())"


def tasks(site: Site) -> set[str]:
    """The host names of the containers of `web`."""
    shown = ("docker", "ps", "--quiet", "--filter", "name=mesh_web")
    return {name for instance in site.ids("worker") for name in site.must(instance, *shown).split()}


def through_the_mesh(site: Site) -> bool:
    """Whether every address of the record answers, and all tasks behind it."""
    try:
        answered = {site.page_at(address, "/").body for address in sorted(site.addresses()) for _ in range(4)}
    except OSError:
        return False
    return answered == tasks(site)


def test_every_instance_has_a_kernel_of_its_own(site: Site) -> None:
    kernels = {site.must(instance, "uname", "-r").strip() for instance in site.ids()}
    assert len(kernels) == 1
    assert platform.release() not in kernels
    assert len({site.must(instance, "cat", "/proc/sys/kernel/random/boot_id") for instance in site.ids()}) == 5


def test_a_node_without_a_task_serves_the_page_through_the_mesh(site: Site) -> None:
    site.settle_record()
    assert len(tasks(site)) == WORKERS
    site.wait("the mesh to answer on every manager", lambda: through_the_mesh(site))


def test_a_vip_reaches_every_task_over_an_encrypted_network(site: Site) -> None:
    manager = site.managers()[0]
    client = site.must(manager, "docker", "ps", "--quiet", "--filter", "name=mesh_client").strip()
    addresses = site.must(manager, "docker", "exec", client, "getent", "ahostsv4", "web")
    assert len({line.split()[0] for line in addresses.splitlines()}) == 1, "the name must lead to a VIP"
    answers = {site.must(manager, "docker", "exec", client, "python3", "-c", PAGE).strip() for _ in range(6)}
    assert answers == tasks(site)
    # Each direction between two nodes has its own counter.
    packets = re.findall(r"(\d+)\(packets\)", site.must(manager, "ip", "-s", "xfrm", "state"))
    assert len([count for count in packets if count != "0"]) >= 2 * WORKERS, packets


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
