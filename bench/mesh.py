"""`python -m bench.mesh [RUNS]`: failed requests through the routing mesh, as a Markdown table.

On instances with kernels of their own, with `stacks/mesh`: every request also asks a second service through its virtual
address, on an encrypted network.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from bench.lab import done, fresh, with_task
from tests.lab.configured import node_groups
from tests.lab.load import Load, Result
from tests.lab.site import RECORD, ROOT, Site

WORKERS = 2
# Requests a second.
RATE = 40.0
SERVICES = ("mesh_web", "mesh_api")
ORDERS = ("start-first", "stop-first")
EVENTS = (
    "a worker is removed",
    "a follower is removed",
    "the leader is removed",
    "the node of the only task is removed",
    "a deployment",
    "a worker's host fails",
)


def main(runs: int) -> None:
    """Build the cluster, measure each event ``runs`` times for each order of updates, and print the table."""
    with fresh("bench-mesh", kernel="own") as site:
        stack = ROOT / "stacks/mesh/docker-compose.yml"
        done(site.playbook("site.yml", *node_groups(worker={"desired": WORKERS}), "-e", f"stack_file={stack}"))
        found = {order: dict(measured(site, order, runs)) for order in ORDERS}
    print(f"| failed requests while | {' | '.join(ORDERS)} |\n|---|{'---|' * len(ORDERS)}")
    for event in EVENTS:
        cells = [", ".join(f"{len(load.failures)} of {load.sent}" for load in found[order][event]) for order in ORDERS]
        print(f"| {event} | {' | '.join(cells)} |")


def measured(site: Site, order: str, runs: int) -> Iterator[tuple[str, list[Result]]]:
    """The loads of each event, with this order of updates."""
    update(site, "--update-order", order)
    for event, work in zip(EVENTS, (worker, follower, leader, only_task, deployment, failure), strict=True):
        loads = []
        for _ in range(runs):
            update(site, "--replicas", "1" if work is only_task else "4")
            ready(site)
            with Load(site.lab, RECORD, "/", rate=RATE) as load:
                work(site)
            print(f"bench: {order}: {event}: {load.result}", file=sys.stderr, flush=True)
            loads.append(load.result)
        yield event, loads


def ready(site: Site) -> None:
    """Wait until the nodes, the record and the mesh of every manager are complete."""
    site.settle(workers=WORKERS)
    site.settle_record()
    site.wait("the mesh", lambda: all(site.page_at(address, "/").body for address in site.addresses() for _ in "123"))


def update(site: Site, *words: str) -> None:
    """Update both services, and wait for them."""
    for service in SERVICES:
        site.must(site.managers()[0], "docker", "service", "update", "--quiet", *words, service)


def worker(site: Site) -> None:
    remove(site, site.pick("worker"))


def follower(site: Site) -> None:
    remove(site, site.pick("follower"))


def leader(site: Site) -> None:
    remove(site, site.pick("leader"))


def remove(site: Site, instance: str) -> None:
    done(site.playbook("remove_node.yml", "-e", f"id={instance}"))


def only_task(site: Site) -> None:
    """Remove the node of the published service's task."""
    remove(site, with_task(site, SERVICES[0]))


def deployment(site: Site) -> None:
    update(site, "--force")


def failure(site: Site) -> None:
    """Fail a worker's host, and wait until it is replaced."""
    instance = site.pick("worker")
    site.kill_host(instance)
    site.wait("the worker to be replaced", lambda: instance not in site.ids(), seconds=600)
    site.settle(workers=WORKERS)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 3)
