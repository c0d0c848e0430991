"""One number makes a whole story: the weather, what happens and when."""

from __future__ import annotations

from . import faults
from .balancing import Client
from .world import BALANCED, POLICY, World

# Until when things happen, in seconds.
WHILE = 100.0


def story(seed: int, *, trace: bool = False) -> World:
    """A world with all that is going to happen in it, which is still to happen."""
    world = World(seed, trace=trace, policy=POLICY if seed % 4 else BALANCED)
    rng = world.rng
    kinds = faults.BALANCED if world.policy.target_groups else faults.ALL
    if world.policy.target_groups:
        Client(world)
    for _ in range(rng.choice((1, 2, 3, 5, 8))):
        fault = rng.choice(kinds)
        # Half of them fall together with others.
        when = rng.choice((rng.uniform(5, WHILE), rng.choice((10.0, 30.0)) + rng.uniform(0, 10)))
        world.scheduler.at(when, lambda fault=fault: world.suffer(fault))
    return world


def tell(seed: int, *, trace: bool = False) -> World:
    """Have the story of a seed happen, and end well. Raises Broken."""
    world = story(seed, trace=trace)
    try:
        world.settle(after=WHILE)
    finally:
        world.end()
    return world
