"""Measures the time from the first instance's boot to three managers, against a bare `docker swarm init` and two joins.

python -m bench.joining
"""

from __future__ import annotations

import json
import subprocess
import time

from bench.lab import fresh
from lab import status
from lab.waiting import until
from tests.lab.site import ROOT, Site

MANAGERS = 3


def main() -> None:
    """Measure once, and print both times and their ratio."""
    with fresh("bench-joining") as site:
        formed = from_first_boot(site)
        bare = init_and_joins(site)
    print(f"first boot to {MANAGERS} managers: {formed:.1f} s")
    print(f"bare init and {MANAGERS - 1} joins on the same instances: {bare:.1f} s")
    print(f"ratio: {formed / bare:.1f} (the difference is booting, installing nothing, and finding each other)")


def from_first_boot(site: Site) -> float:
    """Seconds from the launch of the first instance until three managers reach each other."""
    build = subprocess.Popen(
        ["ansible-playbook", "site.yml", "--skip-tags", "stack"],
        cwd=ROOT,
        env=site.environment,
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    try:
        until("the first instance", lambda: status.instances(site.lab), seconds=120)
        began = time.monotonic()
        until("all managers", lambda: len(site.instances("manager")) == MANAGERS, seconds=60)
        asked = site.instances("manager")[0]["instance_id"]
        until("three managers", lambda: reachable(site, asked) == MANAGERS, seconds=300)
        return time.monotonic() - began
    finally:
        build.wait(timeout=300)


def init_and_joins(site: Site) -> float:
    """Seconds in which the same instances form the swarm by command, after they have left it."""
    site.settle()
    first, *others = [member["instance_id"] for member in site.instances("manager")]
    for instance in (first, *others):
        site.must(instance, "systemctl", "stop", "swarm-agent")
        site.must(instance, "docker", "swarm", "leave", "--force")
    began = time.monotonic()
    site.must(first, "docker", "swarm", "init")
    token = site.must(first, "docker", "swarm", "join-token", "--quiet", "manager").strip()
    address = next(member["private_ip"] for member in site.instances() if member["instance_id"] == first)
    for instance in others:
        site.must(instance, "docker", "swarm", "join", "--token", token, f"{address}:2377")
    until("three managers", lambda: reachable(site, first) == MANAGERS, seconds=120)
    return time.monotonic() - began


def reachable(site: Site, instance: str) -> int:
    """The number of managers that an instance's engine reaches."""
    listed = site.on(instance, "docker", "node", "ls", "--format", "{{json .}}")
    if listed.code:
        return 0
    nodes = [json.loads(line) for line in listed.output.splitlines()]
    return sum(1 for node in nodes if node["ManagerStatus"] in ("Leader", "Reachable"))


if __name__ == "__main__":
    main()
