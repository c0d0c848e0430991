"""The election that this project had first: look, put one's name there, sleep, look again.

It is here to be caught by the simulator, which proves that the simulator can fail.
"""

from __future__ import annotations

from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import FORMED, ClusterRecord
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import LISTENS, MANAGER, Token

from tests.simulation.bucket import CLUSTER_RECORD
from tests.simulation.weather import Weather
from tests.simulation.world import Node, SimEc2, SimEngine, SimStore, World

LOCK = "lock"
SETTLE_SECONDS = 5.0
WEATHER = Weather(managers=3, workers=0, boot_spread=10.0, stall=0.05)


def world(seed: int, trace: bool = False) -> World:
    """Three managers that boot while some calls stall; nothing else goes wrong."""
    return World(seed, WEATHER, trace, elect)


def elect(world: World, node: Node) -> None:
    """The process of a node."""
    store, engine, ec2 = SimStore(world, node), SimEngine(world, node), SimEc2(world, node)
    while True:
        try:
            if engine.membership().cluster_id:
                break
            if _attempt(world, node, store, engine, ec2):
                break
        except SwarmError:
            pass
        world.pause(node, 1)
    node.joined = True


def _attempt(world: World, node: Node, store: SimStore, engine: SimEngine, ec2: SimEc2) -> bool:
    if store.get(LOCK) is None:
        store.put(LOCK, node.instance)
        world.pause(node, SETTLE_SECONDS)
    if store.get(LOCK).value == node.instance:
        engine.init(node.instance)
        cluster = engine.membership().cluster_id or ""
        for role, secret in engine.tokens().items():
            store.put(f"{role}/token", Token(cluster, secret))
        store.put(CLUSTER_RECORD, ClusterRecord(FORMED, node.instance, "", 1, cluster))
        return True
    token = store.get(f"{MANAGER}/token")
    if store.get(CLUSTER_RECORD) is None or token is None:
        return False
    for peer in ec2.running_managers():
        if peer.instance != node.instance and engine.probe(peer.address) == LISTENS:
            engine.join(peer.address, token.value.secret, 0)
            return True
    return False
