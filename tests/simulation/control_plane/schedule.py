"""A seed determines a whole story: the weather, the faults and their times."""

from __future__ import annotations

from . import faults
from .balancing import BalancedClient
from .simulated_cluster import BALANCED, POLICY, SimCluster

# Until when faults happen, in seconds.
FAULT_SECONDS = 100.0


def story(seed: int, *, trace: bool = False) -> SimCluster:
    """A cluster with its scheduled faults, before anything happens."""
    world = SimCluster(seed, trace=trace, policy=POLICY if seed % 4 else BALANCED)
    rng = world.rng
    kinds = faults.BALANCED if world.policy.target_groups else faults.ALL
    if world.policy.target_groups:
        BalancedClient(world)
    for _ in range(rng.choice((1, 2, 3, 5, 8))):
        fault = rng.choice(kinds)
        # Half of the faults coincide with others.
        when = rng.choice((rng.uniform(5, FAULT_SECONDS), rng.choice((10.0, 30.0)) + rng.uniform(0, 10)))
        world.scheduler.at(when, lambda fault=fault: world.suffer(fault))
    return world


def run(seed: int, *, trace: bool = False) -> SimCluster:
    """Run the story of a seed until the cluster has converged. Raises Broken."""
    world = story(seed, trace=trace)
    try:
        world.settle(after=FAULT_SECONDS)
    finally:
        world.end()
    return world
