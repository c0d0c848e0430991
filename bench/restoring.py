"""A restore after two of three managers have lost their state, beside Docker's own commands."""

from __future__ import annotations

from collections.abc import Iterator

from bench.comparison import Comparison
from bench.joining import join, leave, reachable, start_agents, stop_agents
from bench.lab import done, seconds
from tests.lab.site import Site

RUNS = 2


def measure(site: Site) -> Iterator[Comparison]:
    """From the lost quorum until the three managers reach each other."""
    ours = [restored(site) for _ in range(RUNS)]
    bare = [forced(site) for _ in range(RUNS)]
    yield Comparison("restoring a lost quorum", ours, "`docker swarm init --force-new-cluster` and joins", bare)


def restored(site: Site) -> float:
    """The seconds of restore.yml."""
    site.settle()
    _, *others = site.managers()
    stop_agents(site, others)
    leave(site, others)
    start_agents(site, others)
    return seconds(lambda: done(site.playbook("playbooks/restore.yml")))


def forced(site: Site) -> float:
    """The seconds of the commands that somebody types who knows them by heart."""
    site.settle()
    survivor, *others = site.managers()
    stop_agents(site, [survivor, *others])
    leave(site, others)

    def commands() -> None:
        site.must(survivor, "docker", "swarm", "init", "--force-new-cluster")
        join(site, survivor, others)
        site.wait("three managers", lambda: reachable(site, survivor) == len(others) + 1)

    took = seconds(commands)
    start_agents(site, [survivor, *others])
    return took
