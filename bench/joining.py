"""Three managers that form a swarm: by their agents, by bare commands, and by a discovery without a lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from bench.comparison import Comparison
from bench.lab import seconds
from lab import lifecycle
from tests.lab.site import Site

RUNS = 5
Way = Callable[[Site, Sequence[str]], None]
# The agent's, which has boto3.
NODE_PYTHON = "/usr/local/lib/swarm-agent/venv/bin/python3"
DISCOVERY = Path(__file__).with_name("discovery.py").read_text()


def measure(site: Site) -> Iterator[Comparison]:
    """From the start of the agents, or of the commands, until the managers reach each other."""
    site.settle()
    managers = sorted(site.managers())
    everyone = sorted(site.ids())
    stop_agents(site, everyone)
    took: dict[Way, list[float]] = {by_agents: [], by_commands: [], by_discovery: []}
    for _ in range(RUNS):
        for way, found in took.items():
            leave(site, everyone)
            forget(site)
            found.append(seconds(partial(way, site, managers)))
            stop_agents(site, managers)
    ours, bare, discovered = took.values()
    yield Comparison("three managers join", ours, "`docker swarm init` and two joins", bare)
    yield Comparison("three managers join", ours, "check, put, sleep, as Terraform modules do", discovered)


def by_agents(site: Site, managers: Sequence[str]) -> None:
    """Start the agents, and wait."""
    start_agents(site, managers)
    formed(site, managers)


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
    site.wait("the managers", lambda: any(reachable(site, manager) == len(managers) for manager in managers))


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
