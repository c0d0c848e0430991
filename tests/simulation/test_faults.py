"""The rows of the fault table about boot and join, each as its own story."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.join import ports
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import FORMED, ClusterRecord
from ansible_collections.swarm.aws.plugins.module_utils._core.join.join_decision import LEASE_SECONDS
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import MANAGER, WORKER, Outcome, Token

from tests.simulation.bucket import CLUSTER_RECORD
from tests.simulation.joining_cluster import REFUSALS, JoiningCluster, Node, SimStore, Swarm
from tests.simulation.weather import Weather

CALM = Weather(workers=1, boot_spread=0.1, calm_after=0.0)
# Engines come up within 15 s and agents wait at most 15 s between attempts.
SOON = 120.0
Fails = Callable[[Callable[[], bool], str], None]


def alone() -> tuple[JoiningCluster, Node]:
    """A cluster with a single manager that has not started."""
    world = JoiningCluster(1, Weather(managers=1, workers=0, boot_spread=0.1, calm_after=0.0))
    return world, world.launch(MANAGER)


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Fails:
    """Make every S3 call of a node fail with a reason, while a condition holds."""

    def fail(condition: Callable[[], bool], reason: str) -> None:
        travel = SimStore._travel

        def travelling(store: SimStore, what: str) -> None:
            travel(store, what)
            if condition():
                raise Unavailable(reason)

        monkeypatch.setattr(SimStore, "_travel", travelling)

    return fail


def formed() -> JoiningCluster:
    """A cluster whose nodes have joined."""
    world = JoiningCluster(1, CALM)
    world.run()
    return world


def until(world: JoiningCluster, condition: Callable[[], bool], limit: float = SOON) -> None:
    assert world.scheduler.run(condition, world.now + limit)


def claimed(world: JoiningCluster) -> Node:
    """Boot until a node has claimed the right to initialise the swarm, and return it."""
    world.boot()
    until(world, lambda: world.cluster_record is not None)
    return next(node for node in world.nodes if node.instance == world.cluster_record.claimed_by)


def enters(stray: Node, swarm: Swarm) -> None:
    """Make a node a member of a swarm without its agent."""
    stray.state, stray.swarm, stray.certified, stray.node_id = ports.ACTIVE, swarm, True, "stranger"
    swarm.members.add(stray)
    swarm.voters.add(stray)


def all_join(weather: Weather) -> None:
    """Check that all nodes join the same cluster."""
    for seed in range(50):
        world = JoiningCluster(seed, weather)
        world.run()
        assert len(world.published) == 1


@pytest.mark.fault(1)
@pytest.mark.parametrize("managers", [1, 3, 5, 7])
def test_fault_01_nodes_that_boot_at_once_while_s3_stalls_all_join(managers: int) -> None:
    all_join(Weather(managers=managers, workers=max(0, 3 - managers), boot_spread=0.1, stall=0.3))


@pytest.mark.fault(2)
@pytest.mark.parametrize("kind", ["agent", "reboot", "replace"])
@pytest.mark.parametrize("step", range(1, 60, 2))
def test_fault_02_a_claim_is_taken_over_if_its_holder_dies_at_any_step(kind: str, step: int) -> None:
    world = JoiningCluster(step, CALM)
    holder = claimed(world)
    holder.crash_at[holder.steps + step] = kind
    world.settle()
    assert len(world.published) == 1


@pytest.mark.fault(2)
def test_fault_02_a_terminated_holder_is_not_waited_for() -> None:
    world = JoiningCluster(3, CALM)
    holder = claimed(world)
    died = world.now
    world.terminate(holder)
    world.settle()
    assert world.now - died < LEASE_SECONDS / 2
    assert world.cluster_record.claimed_by != holder.instance


@pytest.mark.fault(2)
def test_fault_02_a_holder_that_wakes_up_late_publishes_its_own_swarm() -> None:
    world = JoiningCluster(4, CALM)
    world.boot()
    until(world, lambda: any(node.swarm for node in world.nodes))
    holder = next(node for node in world.nodes if node.swarm)
    own = holder.swarm
    holder.crash_at[holder.steps + 1] = "agent"
    # Its agent stays dead while the others take over the claim; they must not initialise a second swarm.
    world.start = lambda node, delay: JoiningCluster.start(world, node, 600.0)  # type: ignore[method-assign]
    world.settle()
    assert world.cluster_record.claimed_by == holder.instance
    assert holder.swarm is own and world.published == {own.id}
    others = [node for node in world.nodes if node is not holder and node.role == MANAGER]
    assert any("so there may be a swarm" in sentence for node in others for sentence in node.said)


@pytest.mark.fault(3)
@pytest.mark.parametrize("refusal", REFUSALS)
def test_fault_03_an_error_is_never_read_as_an_empty_cluster(refusal: str, fails: Fails) -> None:
    world = formed()
    published, version = world.cluster_id, world.bucket.objects[CLUSTER_RECORD].version
    world.launch(MANAGER)
    late = world.nodes[-1]
    broken = True
    fails(lambda: broken, f"S3: {refusal}")
    until(world, lambda: len(late.said) > 20, 600)
    assert late.state == ports.INACTIVE
    assert world.bucket.objects[CLUSTER_RECORD].version == version
    assert f"S3: {refusal}" in late.said
    broken = False
    world.settle()
    assert world.published == {published}


@pytest.mark.fault(3)
@pytest.mark.parametrize("call", range(1, 25))
def test_fault_03_a_node_recovers_from_an_error_at_any_call(call: int, fails: Fails) -> None:
    world, node = alone()
    calls = itertools.count(1)
    fails(lambda: call <= next(calls) < call + 3, "S3: ServiceUnavailable (503)")
    world.settle(SOON)
    assert node.joined


@pytest.mark.fault(4)
@pytest.mark.parametrize("fault", ["conflict", "lose_reply", "repeat_write", "delay_write"])
def test_fault_04_after_a_conflict_or_lost_reply_the_record_is_read_again(fault: str) -> None:
    all_join(Weather(boot_spread=0.1, **{fault: 0.7}))


@pytest.mark.fault(4)
def test_fault_04_a_claimer_whose_reply_was_lost_holds_the_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    world, node = alone()
    swap = SimStore._swap

    def deaf(store: SimStore, key: str, value: Any, version: str | None) -> Outcome:
        outcome = swap(store, key, value, version)
        if world.cluster_record == value and value.phase != FORMED:
            raise Unavailable("S3: Read timeout")
        return outcome

    monkeypatch.setattr(SimStore, "_swap", deaf)
    world.settle(SOON)
    assert (world.cluster_record.claimed_by, world.cluster_record.generation) == (node.instance, 2)


@pytest.mark.fault(5)
def test_fault_05_ec2_lists_the_managers_after_all_were_replaced() -> None:
    world = formed()
    swarm = world.nodes[0].swarm
    for old in [node for node in world.nodes if node.role == MANAGER]:
        world.launch(MANAGER)
        world.settle()
        world.terminate(old)
        # The leader's agent does this.
        swarm.voters.discard(old)
        swarm.members.discard(old)
    world.launch(MANAGER)
    world.launch(WORKER)
    world.settle()
    assert world.published == {swarm.id}


@pytest.mark.fault(5)
def test_fault_05_without_any_manager_a_node_waits_and_names_restore() -> None:
    world = formed()
    for old in list(world.nodes):
        world.terminate(old)
    late = world.launch(MANAGER)
    until(world, lambda: any("playbooks/restore.yml" in sentence for sentence in late.said))
    world.scheduler.run(lambda: False, world.now + 3600)
    assert late.state == ports.INACTIVE
    assert len(world.published) == 1


@pytest.mark.fault(6)
def test_fault_06_a_joined_node_that_reboots_changes_nothing() -> None:
    world = formed()
    before = dict(world.bucket.objects)
    for node in world.nodes:
        identity, swarm = node.node_id, node.swarm
        node.joined = False
        world.crash(node, "reboot")
        world.settle()
        assert (node.node_id, node.swarm) == (identity, swarm)
    assert world.bucket.objects == before


@pytest.mark.fault(7)
@pytest.mark.parametrize("role", [MANAGER, WORKER])
@pytest.mark.parametrize("made_by", ["", "other/i-0009"])
def test_fault_07_a_member_of_another_cluster_refuses_with_both_ids(role: str, made_by: str) -> None:
    world = formed()
    before = dict(world.bucket.objects)
    stray = world.launch(role)
    other = Swarm("foreign", made_by)
    enters(stray, other)
    until(world, lambda: bool(stray.refused))
    assert "foreign" in stray.refused
    assert str(world.cluster_id) in stray.refused
    assert stray.swarm is other
    assert world.bucket.objects == before


@pytest.mark.fault(7)
def test_fault_07_a_foreign_swarm_is_not_published_as_the_cluster() -> None:
    world, stray = alone()
    enters(stray, Swarm("foreign", ""))
    until(world, lambda: bool(stray.refused))
    assert "foreign" in stray.refused
    assert world.bucket.objects == {}


@pytest.mark.fault(8)
@pytest.mark.parametrize("role", [MANAGER, WORKER])
def test_fault_08_a_rotated_token_is_read_again(role: str) -> None:
    world = formed()
    swarm = world.nodes[0].swarm
    late = world.launch(role)
    swarm.epoch += 1
    until(world, lambda: any("invalid join token" in sentence for sentence in late.said))
    secret = swarm.token(role)
    world.bucket.put(f"{role}/token", Token(swarm.id, secret))
    world.settle(SOON)
    assert not any(secret in sentence for node in world.nodes for sentence in node.said)


@pytest.mark.fault(8)
def test_fault_08_a_token_of_another_swarm_is_not_used_but_repaired() -> None:
    world = formed()
    world.bucket.put(f"{WORKER}/token", Token("other", "SWMTKN-other-worker-0"))
    late = world.launch(WORKER)
    until(world, lambda: any("has published no join token" in sentence for sentence in late.said))
    assert not any("Joining" in sentence for sentence in late.said)
    world.launch(MANAGER)
    world.settle(SOON)


@pytest.mark.fault(9)
@pytest.mark.parametrize(("fault", "rate"), [("engine_hiccup", 0.2), ("slow_join", 0.9)])
def test_fault_09_nodes_join_although_engines_restart_or_are_slow(fault: str, rate: float) -> None:
    all_join(Weather(**{fault: rate}))


@pytest.mark.fault(9)
def test_fault_09_a_stuck_join_is_started_again() -> None:
    world = formed()
    late = world.launch(WORKER)
    until(world, lambda: world.up(late))
    swarm = world.nodes[0].swarm
    late.state, late.swarm, late.certified, late.unfinished = ports.PENDING, swarm, True, True
    world.settle(SOON)
    assert any("has not joined the swarm" in sentence for sentence in late.said)


@pytest.mark.fault(9)
def test_fault_09_a_member_that_cannot_reach_its_managers_never_leaves() -> None:
    world = formed()
    member = world.nodes[0]
    member.state, member.joined = ports.ERROR, False
    world.start(member, 0)
    world.scheduler.run(lambda: False, world.now + 3600)
    assert (member.state, member.swarm) == (ports.ERROR, world.nodes[1].swarm)
    assert "trouble with its swarm" in member.said[-1]


@pytest.mark.fault(10)
def test_fault_10_clocks_of_two_hosts_are_never_compared() -> None:
    world, node = alone()
    # Another node, whose clock is wrong, claimed the cluster in the far future and hangs.
    hanging = world.launch(MANAGER)
    hanging.crash_at[1] = "freeze"
    world.bucket.put(CLUSTER_RECORD, ClusterRecord("claimed", hanging.instance, "2999-01-01T00:00:00Z", 1))
    began = world.now
    world.rng.uniform = lambda low, high: high  # type: ignore[method-assign]
    until(world, lambda: node.joined, 2 * LEASE_SECONDS)
    assert world.now - began > LEASE_SECONDS
    world.settle()
    assert len(world.published) == 1


@pytest.mark.fault(10)
def test_fault_10_a_node_with_expired_credentials_waits_and_joins(fails: Fails) -> None:
    world, node = alone()
    fails(lambda: world.now < 60.0, "AWS refused: ExpiredToken")
    world.settle(SOON)
    assert node.joined
    assert "AWS refused: ExpiredToken" in node.said
