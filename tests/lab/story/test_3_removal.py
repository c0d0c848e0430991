"""A worker and the leader are removed under hundreds of requests a second."""

from __future__ import annotations

import pytest

from tests.lab.load import Load
from tests.lab.site import RECORD, Site, say

# How many requests make a removal a test. The client sends 220 a second and more.
ENOUGH = 2000


@pytest.mark.fault(23)
@pytest.mark.fault(29)
@pytest.mark.parametrize("kind", ["worker", "leader"])
def test_no_request_fails_while_a_node_is_removed(site: Site, kind: str) -> None:
    """The record points to the managers, so it also points to the leader."""
    site.settle()
    site.settle_record()
    instance = site.pick(kind)
    with Load(site.lab, RECORD) as load:
        run = site.playbook("remove_node.yml", "-e", f"id={instance}")
    assert run.code == 0, run.output[-4000:]
    say(f"{kind}: {load.result}; {run.line('Seconds:')}")
    assert load.result.failures == []
    assert load.result.sent >= ENOUGH, str(load.result)
    healthy = "example_web: lowest healthy: 6 of 6"
    assert healthy in run.output, f"{run.output[-3000:]}\n{site.history('example_web')}"
    nodes = site.settle()
    assert instance not in {node.instance for node in nodes}
    site.settle_record()
    site.wait("the AAAA record", lambda: site.addresses("AAAA") == site.ipv6_addresses())
    site.wait("the services to have as many tasks as they declare", lambda: site.replicas("example_web") == "6/6")

    again = site.playbook("remove_node.yml", "-e", f"id={instance}")
    assert again.code == 0, again.output[-3000:]
    assert again.changed == 0
    assert f"{instance} is no longer in the swarm" in again.output


@pytest.mark.fault(24)
def test_the_removal_of_two_of_three_managers_is_refused(site: Site) -> None:
    before = site.settle()
    managers = [node.instance for node in before if node.role == "manager"]
    run = site.playbook("remove_node.yml", "-e", f"id={managers[0]},{managers[1]}")
    assert run.code != 0
    assert "it would leave 1 of 3 managers reachable, fewer than their quorum of 2" in run.said
    assert run.changed == 0
    assert site.nodes() == before
