"""The first election of this project: look, put a name there, sleep, look again.

The simulator must catch it, which proves that the simulator can fail.
"""

from __future__ import annotations

from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import FORMED, ClusterRecord
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import LISTENS, MANAGER, Token

from tests.simulation.bucket import CLUSTER_RECORD
from tests.simulation.joining_cluster import JoiningCluster, Node, SimEc2, SimEngine, SimStore
from tests.simulation.weather import Weather

LOCK = "lock"
SETTLE_SECONDS = 5.0
WEATHER = Weather(managers=3, workers=0, boot_spread=10.0, stall=0.05)


def world(seed: int, trace: bool = False) -> JoiningCluster:
    """Three managers that boot while some calls stall; nothing else goes wrong."""
    return JoiningCluster(seed, WEATHER, trace, elect)


def elect(world: JoiningCluster, node: Node) -> None:
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


def _attempt(world: JoiningCluster, node: Node, store: SimStore, engine: SimEngine, ec2: SimEc2) -> bool:
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
