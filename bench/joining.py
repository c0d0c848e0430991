"""Three managers that form a swarm: by their agents, by bare commands, and by a discovery without a lock."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from bench.comparison import Comparison
from bench.lab import seconds
from lab import lifecycle
from lab.waiting import until
from tests.lab.site import Site

RUNS = 3
# The agent's, which has boto3.
NODE_PYTHON = "/usr/local/lib/swarm-agent/venv/bin/python3"
DISCOVERY = Path(__file__).with_name("discovery.py").read_text()


def measure(site: Site) -> Iterator[Comparison]:
    """Until the managers reach each other: by their agents on new instances, and then by hand on the same."""
    site.settle()
    stop_agents(site, sorted(site.ids() - set(site.managers())))
    ours, bare, discovered = list[float](), list[float](), list[float]()
    for _ in range(RUNS):
        managers = sorted(site.managers())
        stop_agents(site, managers)
        forget(site)
        ours.append(by_agents(site, managers))
        managers = sorted(site.managers())
        stop_agents(site, managers)
        for way, found in ((by_commands, bare), (by_discovery, discovered)):
            leave(site, managers)
            forget(site)
            found.append(seconds(partial(way, site, managers)))
    yield Comparison("three managers join", ours, "`docker swarm init` and two joins", bare)
    yield Comparison("three managers join", ours, "check, put, sleep, as Terraform modules do", discovered)


def by_agents(site: Site, old: Sequence[str]) -> float:
    """Replace all managers. The seconds from the start of the last new agent, which its engine precedes.

    Managers that were in service make no swarm by themselves: another one could be running.
    """
    known = site.ids()
    site.aws("ec2").terminate_instances(InstanceIds=list(old))
    until("the new managers", lambda: len(site.ids() - known) == len(old), seconds=120)
    new = sorted(site.ids() - known)
    formed(site, new)
    took = time.monotonic()
    # systemd's clock is the lab's.
    shown = ("systemctl", "show", "--property=ExecMainStartTimestampMonotonic", "--value", "swarm-agent")
    return took - max(int(site.must(manager, *shown)) for manager in new) / 1e6


def by_commands(site: Site, managers: Sequence[str]) -> None:
    """Type the commands, and wait."""
    first, *others = managers
    site.must(first, "docker", "swarm", "init")
    join(site, first, others)
    formed(site, managers)


def by_discovery(site: Site, managers: Sequence[str]) -> None:
    """Run the discovery on all managers at once, and wait."""
    settings = [f"{key}={value}" for key, value in lifecycle.environment(site.lab).items() if key.startswith("AWS_")]

    def discover(manager: str) -> None:
        site.must(manager, "env", *settings, NODE_PYTHON, "-c", DISCOVERY, site.bucket, private_address(site, manager))

    with ThreadPoolExecutor(len(managers)) as pool:
        list(pool.map(discover, managers))
    formed(site, managers)


def formed(site: Site, managers: Sequence[str]) -> None:
    """Wait until a manager reaches all of them."""
    until(
        "the managers to reach each other",
        lambda: any(reachable(site, manager) == len(managers) for manager in managers),
        seconds=300,
        every=0.1,
    )


def join(site: Site, manager: str, others: Sequence[str]) -> None:
    """Join others to a manager's swarm as managers, one after the other."""
    token = site.must(manager, "docker", "swarm", "join-token", "--quiet", "manager").strip()
    for other in others:
        site.must(other, "docker", "swarm", "join", "--token", token, f"{private_address(site, manager)}:2377")


def private_address(site: Site, instance: str) -> str:
    """The private address of an instance."""
    return next(found["private_ip"] for found in site.instances() if found["instance_id"] == instance)


def reachable(site: Site, instance: str) -> int:
    """The number of managers that an instance's engine reaches."""
    listed = site.on(instance, "docker", "node", "ls", "--format", "{{.ManagerStatus}}")
    return 0 if listed.code else sum(line in ("Leader", "Reachable") for line in listed.output.splitlines())


def leave(site: Site, instances: Sequence[str]) -> None:
    """Let instances leave their swarm, if they are in any."""
    for instance in instances:
        site.on(instance, "docker", "swarm", "leave", "--force")


def forget(site: Site) -> None:
    """Delete what the bucket knows of a swarm."""
    s3 = site.aws("s3")
    for key in ("cluster.json", "manager/token", "worker/token", "discovery/primary", "discovery/token"):
        s3.delete_object(Bucket=site.bucket, Key=key)


def stop_agents(site: Site, instances: Sequence[str]) -> None:
    """Stop the agents of instances."""
    on_each(site, instances, "systemctl", "stop", "swarm-agent")


def start_agents(site: Site, instances: Sequence[str]) -> None:
    """Start the agents of instances, without waiting."""
    on_each(site, instances, "systemctl", "start", "--no-block", "swarm-agent")


def on_each(site: Site, instances: Sequence[str], *words: str) -> None:
    """Run a command on all instances at once."""
    with ThreadPoolExecutor(len(instances)) as pool:
        list(pool.map(lambda instance: site.must(instance, *words), instances))
