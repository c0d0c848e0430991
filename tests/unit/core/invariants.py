"""What no plan may ever do, as checks that fail with an AssertionError."""

from __future__ import annotations

from ansible_collections.swarm.aws.plugins.module_utils._core import actions as act
from ansible_collections.swarm.aws.plugins.module_utils._core.apply import Refused
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Cluster
from ansible_collections.swarm.aws.plugins.module_utils._core.dns import BOTH
from ansible_collections.swarm.aws.plugins.module_utils._core.plan import decide
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Policy

from .memory_cluster import DUAL, POLICY, ModelWorld, shuffled

NOW = 1_000_000.0
# A node that nobody can withdraw is held for as long as its termination may be, which is 120 of them.
PASSES = 160


def plan_is_safe(cluster: Cluster, policy: Policy) -> None:
    """I3 and I7 of a plan, and that it only removes nodes that are gone or interrupted."""
    nodes = {node.id: node for node in cluster.nodes or ()}
    instances = {instance.id: instance for instance in cluster.instances or ()}
    voters = [node for node in nodes.values() if node.voter]
    needed = len(voters) // 2 + 1
    decision = decide(cluster, policy, NOW)
    planned, failed = decision.actions, [why for why in decision.refused if "an unexpected " in why]
    assert not failed, f"a part of the plan fails: {failed}"
    demoted = {action.node for action in planned if isinstance(action, act.Demote) and nodes[action.node].voter}
    if demoted:
        left = [node for node in voters if node.reachable and node.id not in demoted]
        assert len(left) >= needed, f"I7: {len(left)} of {len(voters)} voters would be left reachable"
        assert len(demoted) <= (len(voters) - 1) // 2, "I7: more voters demoted in one pass than may be"
    for action in planned:
        if isinstance(action, (act.Demote, act.Delete)) and action.reason == act.GONE:
            host = instances.get(action.instance)
            assert host is None or host.gone, "removed as gone, though EC2 says that it is there"
            assert nodes[action.node].state == "down", "removed, though it is up"
        if isinstance(action, act.SyncRecord):
            _record_is_true(cluster, action, policy)


def _record_is_true(cluster: Cluster, action: act.SyncRecord, policy: Policy) -> None:
    assert action.addresses, "I3: the record would be empty"
    assert action.before.owner in (None, POLICY.owner, POLICY.owner + BOTH), "the record is somebody else's"
    ours = policy == DUAL and not action.before.ipv6_unowned
    assert ours or not action.after.ipv6, "an AAAA record that is not wanted, or somebody else's"
    living = [instance for instance in cluster.instances or () if not instance.gone]
    hosts = {address: instance for instance in living for address in instance.addresses("public", ipv6=True)}
    if action.after.ipv4 == action.before.ipv4 and not hosts.keys() & set(action.after.ipv4):
        # Nobody could be in it, and it is never emptied.
        hosts.update(dict.fromkeys(action.after.ipv4, living[-1]))
    ready = {node.labels.get("swarm.aws.instance") for node in cluster.nodes or () if node.ready} | {
        node.engine_labels.get("swarm.aws.instance") for node in cluster.nodes or () if node.ready
    }
    for address in action.addresses:
        assert address in hosts, f"I3: {address} is no living instance's"
        assert hosts[address].id in ready, f"I3: {address} is of a node that is not ready"
        assert hosts[address].lifecycle not in ("Pending", "Pending:Wait"), f"I3: {address} is not in service yet"


def converges(cluster: Cluster, seed: int | None, policy: Policy) -> None:
    """I2, I3, I5 and I7 on the way to a cluster that nothing is planned for.

    With a seed, the agent is killed in most passes, before it has done all of them.
    """
    world = ModelWorld(cluster, policy)
    for number in range(PASSES):
        decision = decide(world.observe(), policy, world.time)
        planned = decision.actions
        # A last undisturbed while, or an unlucky agent would never get to the end of its plan.
        if seed is not None and number < PASSES // 2:
            planned = shuffled(planned, seed + number)
        for action in planned:
            before, served = world.quorum, bool(world.record.ipv4)
            try:
                world.do(action)
            except Refused:
                continue
            assert before.margin < 0 or world.quorum.margin >= 0, f"I7: {action} lost the quorum"
            assert not served or world.record.ipv4, "I3: the record was emptied"
        world.tick()
    left = decide(world.observe(), policy, world.time)
    busy = [action for action in left.actions if not isinstance(action, act.Heartbeat)]
    assert not busy, f"I5: after {PASSES} passes there still is {busy}"
    if world.quorum.margin < 0:
        # Too many died at once; that is for a restore to mend.
        return
    gone = {instance.id for instance in world.instances() if instance.gone}
    ghosts = [node for node in world.nodes() if node.voter and node.labels.get("swarm.aws.instance") in gone]
    assert not ghosts, f"I2: {ghosts} vote, though their instances are gone"
