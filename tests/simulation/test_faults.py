"""The rows of the fault table about boot and join, each told as a story of its own."""

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
from tests.simulation.weather import Weather
from tests.simulation.world import REFUSALS, Node, SimStore, Swarm, World

CALM = Weather(workers=1, boot_spread=0.1, calm_after=0.0)
# Engines come up within 15 s and agents wait at most 15 s between attempts.
SOON = 120.0
Fails = Callable[[Callable[[], bool], str], None]


def alone() -> tuple[World, Node]:
    """A world with one manager, which has not begun yet."""
    world = World(1, Weather(managers=1, workers=0, boot_spread=0.1, calm_after=0.0))
    return world, world.launch(MANAGER)


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Fails:
    """Have every call of a node's to S3 fail with a reason, as long as a condition holds."""

    def fail(condition: Callable[[], bool], reason: str) -> None:
        travel = SimStore._travel

        def travelling(store: SimStore, what: str) -> None:
            travel(store, what)
            if condition():
                raise Unavailable(reason)

        monkeypatch.setattr(SimStore, "_travel", travelling)

    return fail


def formed() -> World:
    """A world whose nodes have joined."""
    world = World(1, CALM)
    world.run()
    return world


def until(world: World, condition: Callable[[], bool], limit: float = SOON) -> None:
    assert world.scheduler.run(condition, world.now + limit)


def claimed(world: World) -> Node:
    """Boot until somebody has claimed the right to initialise, and tell who."""
    world.boot()
    until(world, lambda: world.cluster_record is not None)
    return next(node for node in world.nodes if node.instance == world.cluster_record.claimed_by)


def enters(stray: Node, swarm: Swarm) -> None:
    """Have somebody make a node a member of a swarm, past its agent."""
    stray.state, stray.swarm, stray.certified, stray.node_id = ports.ACTIVE, swarm, True, "stranger"
    swarm.members.add(stray)
    swarm.voters.add(stray)


def all_join(weather: Weather) -> None:
    """Whatever happens, there is one cluster and all are in it."""
    for seed in range(50):
        world = World(seed, weather)
        world.run()
        assert len(world.published) == 1


@pytest.mark.fault(1)
@pytest.mark.parametrize("managers", [1, 3, 5, 7])
def test_fault_01_all_boot_at_once_while_s3_stalls(managers: int) -> None:
    all_join(Weather(managers=managers, workers=max(0, 3 - managers), boot_spread=0.1, stall=0.3))


@pytest.mark.fault(2)
@pytest.mark.parametrize("kind", ["agent", "reboot", "replace"])
@pytest.mark.parametrize("step", range(1, 60, 2))
def test_fault_02_the_claims_holder_dies_at_any_step(kind: str, step: int) -> None:
    world = World(step, CALM)
    holder = claimed(world)
    holder.crash_at[holder.steps + step] = kind
    world.settle()
    assert len(world.published) == 1


@pytest.mark.fault(2)
def test_fault_02_a_holder_that_ec2_calls_terminated_is_not_waited_for() -> None:
    world = World(3, CALM)
    holder = claimed(world)
    died = world.now
    world.terminate(holder)
    world.settle()
    assert world.now - died < LEASE_SECONDS / 2
    assert world.cluster_record.claimed_by != holder.instance


@pytest.mark.fault(2)
def test_fault_02_a_holder_that_wakes_up_late_publishes_the_swarm_that_it_made() -> None:
    world = World(4, CALM)
    world.boot()
    until(world, lambda: any(node.swarm for node in world.nodes))
    holder = next(node for node in world.nodes if node.swarm)
    own = holder.swarm
    holder.crash_at[holder.steps + 1] = "agent"
    # Its agent stays dead while the others take the claim over; they make no swarm beside the one that is there.
    world.start = lambda node, delay: World.start(world, node, 600.0)  # type: ignore[method-assign]
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
def test_fault_03_an_error_at_each_call_is_got_over(call: int, fails: Fails) -> None:
    world, node = alone()
    calls = itertools.count(1)
    fails(lambda: call <= next(calls) < call + 3, "S3: ServiceUnavailable (503)")
    world.settle(SOON)
    assert node.joined


@pytest.mark.fault(4)
@pytest.mark.parametrize("fault", ["conflict", "lose_reply", "repeat_write", "delay_write"])
def test_fault_04_after_a_conflict_or_a_lost_reply_the_truth_is_read_again(fault: str) -> None:
    all_join(Weather(boot_spread=0.1, **{fault: 0.7}))


@pytest.mark.fault(4)
def test_fault_04_who_claimed_without_hearing_of_it_holds_the_claim(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_fault_05_managers_are_found_through_ec2_after_all_of_them_were_replaced() -> None:
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
def test_fault_05_when_all_managers_are_gone_it_waits_and_says_what_mends_that() -> None:
    world = formed()
    for old in list(world.nodes):
        world.terminate(old)
    late = world.launch(MANAGER)
    until(world, lambda: any("playbooks/restore.yml" in sentence for sentence in late.said))
    world.scheduler.run(lambda: False, world.now + 3600)
    assert late.state == ports.INACTIVE
    assert len(world.published) == 1


@pytest.mark.fault(6)
def test_fault_06_a_joined_node_reboots_and_does_nothing() -> None:
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
def test_fault_07_a_stranger_does_not_become_the_cluster_either() -> None:
    world, stray = alone()
    enters(stray, Swarm("foreign", ""))
    until(world, lambda: bool(stray.refused))
    assert "foreign" in stray.refused
    assert world.bucket.objects == {}


@pytest.mark.fault(8)
@pytest.mark.parametrize("role", [MANAGER, WORKER])
def test_fault_08_a_token_that_was_rotated_is_read_again(role: str) -> None:
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
def test_fault_08_a_token_of_another_swarm_is_never_used_and_managers_repair_it() -> None:
    world = formed()
    world.bucket.put(f"{WORKER}/token", Token("other", "SWMTKN-other-worker-0"))
    late = world.launch(WORKER)
    until(world, lambda: any("has published no join token" in sentence for sentence in late.said))
    assert not any("Joining" in sentence for sentence in late.said)
    world.launch(MANAGER)
    world.settle(SOON)


@pytest.mark.fault(9)
@pytest.mark.parametrize(("fault", "rate"), [("engine_hiccup", 0.2), ("slow_join", 0.9)])
def test_fault_09_an_engine_that_is_late_restarts_or_is_slow(fault: str, rate: float) -> None:
    all_join(Weather(**{fault: rate}))


@pytest.mark.fault(9)
def test_fault_09_a_join_that_got_stuck_is_begun_anew() -> None:
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
def test_fault_10_the_clocks_of_two_hosts_are_never_compared() -> None:
    world, node = alone()
    # By its own clock, which is minutes off, another node claimed the cluster in the far future, and then hangs.
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
def test_fault_10_credentials_that_expire_during_boot_are_waited_out(fails: Fails) -> None:
    world, node = alone()
    fails(lambda: world.now < 60.0, "AWS refused: ExpiredToken")
    world.settle(SOON)
    assert node.joined
    assert "AWS refused: ExpiredToken" in node.said
