"""An upgrade of all nodes, beside the boot of a single instance."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.comparison import Comparison
from bench.lab import done, seconds
from tests.lab.configured import node_groups
from tests.lab.load import Load
from tests.lab.site import RECORD, Site

RUNS = 2
USER_DATA = "#cloud-config\n# another template\n"


def measure(site: Site) -> Iterator[Comparison]:
    """The seconds for each node."""
    boots = [boot(site) for _ in range(RUNS)]
    site.settle()
    changed = node_groups(manager={"user_data": USER_DATA}, worker={"user_data": USER_DATA})
    done(site.playbook("site.yml", "--tags", "node_groups", *changed))
    nodes = len(site.ids())
    with Load(site.lab, RECORD) as load:
        took = seconds(lambda: done(site.playbook("playbooks/upgrade.yml", *changed)))
    failed = f"{nodes} nodes, {len(load.result.failures)} failed requests"
    yield Comparison("upgrading a node", [took / nodes], "an instance's boot, until its engine answers", boots, failed)


def boot(site: Site) -> float:
    """The seconds from a worker's launch until its engine answers."""
    site.settle()
    known = site.ids()
    site.aws("ec2").terminate_instances(InstanceIds=[site.pick("worker")])
    (new,) = site.wait("the replacement", lambda: site.ids() - known)
    began = time.monotonic()
    site.wait("its engine", lambda: site.on(new, "docker", "version").code == 0)
    return time.monotonic() - began
