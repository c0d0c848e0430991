"""A fleet that boots at once, against AWS's request limits."""

from __future__ import annotations

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import WORKER

from tests.simulation.joining_cluster import JoiningCluster
from tests.simulation.limits import Limits
from tests.simulation.weather import Weather

MANAGERS, WORKERS = 3, 200
# Of all members, from the first boot on.
SECONDS = 300.0
# Per node, from its boot until it is a member.
CALLS = {"EC2": 3, "S3 read": 15, "S3 write": 1}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spread", [0.1, 60.0])
def test_two_hundred_nodes_join_within_the_request_limits(seed: int, spread: float) -> None:
    limits = Limits()
    world = JoiningCluster(seed, Weather(MANAGERS, WORKERS, boot_spread=spread), limits=limits)
    world.boot()
    world.settle(SECONDS)
    assert len(world.published) == 1
    assert sum(node.joined for node in world.nodes if node.role == WORKER) == WORKERS
    nodes = MANAGERS + WORKERS
    print(f"joined after {world.now:.0f} s; calls {dict(limits.calls)}, refused {dict(limits.refused)}")
    for name, most in CALLS.items():
        assert limits.calls[name] <= most * nodes, limits.calls
