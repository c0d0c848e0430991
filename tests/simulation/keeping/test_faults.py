"""The rows of the fault table about keeping a cluster, each told as a story of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import actions as act
from ansible_collections.swarm.aws.plugins.module_utils._core import node_labels
from ansible_collections.swarm.aws.plugins.module_utils._core.aws_time import AwsTime
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Record
from ansible_collections.swarm.aws.plugins.module_utils._core.deputy import SILENT_AFTER
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Group, Policy
from ansible_collections.swarm.aws.runtime.swarm_agent.loop import LOOK

from . import faults
from .cloud import HOOK_SECONDS, TERMINATING, Machine
from .invariants import Broken
from .ports import SQS
from .swarm import SILENCE, Member
from .weather import Weather
from .work import START_FIRST, Service
from .world import POLICY, RECORD, TTL, World
from .zone import Client

CALM = Weather(managers=3, workers=2)
# An agent that is woken by nothing looks again after so long, in seconds.
PERIOD = 30.0
# From the boot of a replacement to a cluster that is as it should be, at most.
BOUND = 120.0


@contextmanager
def settled(weather: Weather = CALM, seed: int = 1, policy: Policy = POLICY) -> Iterator[World]:
    """A cluster that is as it should be, whose agents end with the test."""
    world = World(seed, weather, policy=policy)
    try:
        world.settle()
        world.calm = False
        yield world
    finally:
        world.end()


def managers(world: World) -> list[Machine]:
    return [one for one in world.cloud.living if one.group.role == "manager"]


def workers(world: World) -> list[Machine]:
    return [one for one in world.cloud.living if one.group.role == "worker"]


def follower(world: World) -> Machine:
    """A manager that does not lead."""
    return next(manager for manager in managers(world) if manager is not world.swarm.leader.machine)


def leader(world: World) -> Machine:
    return world.swarm.leader.machine


def node(world: World, machine: Machine) -> Member:
    return world.swarm.member_of(machine)


def said(world: World) -> str:
    """All that agents have logged."""
    return "\n".join(line for agent in world.agents.values() for line in agent.said)


def live_voters(world: World) -> int:
    return sum(voter.machine.alive for voter in world.swarm.voters)


def _is_replaced(world: World, dead: Machine) -> None:
    ghost = node(world, dead)
    # The new one has nothing to start, so that it could count at once.
    world.work.services["edge"].starts_in = 0.0
    order: list[str] = []
    honest = world.cloud.complete

    def complete(group: str, hook: str, instance: str, result: str) -> bool:
        if hook == "sim-launching":
            order.append("alone" if not ghost.voter else "beside the ghost")
        return honest(group, hook, instance, result)

    world.cloud.complete = complete  # type: ignore[method-assign]
    world.kill(dead)
    world.until(lambda: len(managers(world)) == 3)
    booted = world.now
    world.settle(BOUND)
    assert world.now - booted < BOUND
    assert (len(world.swarm.voters), live_voters(world)) == (3, 3)
    assert order == ["alone"]
    assert dead.public not in world.zone.record.addresses
    assert len(world.zone.record.addresses) == 3


@pytest.mark.fault(12)
@pytest.mark.parametrize("whose", [follower, leader])
def test_fault_12_a_manager_is_terminated_hard(whose: Callable[[World], Machine]) -> None:
    for seed in range(10):
        with settled(seed=seed) as world:
            _is_replaced(world, whose(world))


@pytest.mark.fault(12)
def test_fault_12_ten_leaders_in_a_row_leave_three_voters() -> None:
    with settled() as world:
        for _ in range(10):
            world.kill(leader(world))
            world.settle(after=1.0)
            world.calm = False
        assert (len(world.swarm.voters), live_voters(world), len(world.swarm.members)) == (3, 3, 5)


@pytest.mark.fault(12)
@pytest.mark.parametrize("whose", [follower, leader])
def test_fault_12_users_notice_a_hard_kill_no_longer_than_it_takes_to_see_it_and_the_ttl(
    whose: Callable[[World], Machine],
) -> None:
    for seed in range(10):
        with settled(seed=seed) as world:
            clients = [Client(world) for _ in range(3)]
            world.run(5.0)
            killed = world.now
            world.kill(whose(world))
            world.settle(after=60.0)
            last = max((client.last_failure or killed for client in clients), default=killed)
            assert last - killed <= SILENCE + TTL + 5.0


@pytest.mark.fault(13)
def test_fault_13_two_of_five_managers_die_at_once() -> None:
    with settled(replace(CALM, managers=5)) as world:
        for machine in managers(world)[:2]:
            world.kill(machine)
        world.settle(after=1.0)
        assert (len(world.swarm.voters), live_voters(world)) == (5, 5)


@pytest.mark.fault(13)
@pytest.mark.parametrize("survivor", [follower, leader])
def test_fault_13_two_of_three_managers_die_at_once(survivor: Callable[[World], Machine]) -> None:
    with settled() as world:
        alive = survivor(world)
        before = (world.zone.record, dict(world.swarm.members), [dict(voter.labels) for voter in world.swarm.voters])
        for machine in managers(world):
            if machine is not alive:
                world.kill(machine)
        world.run(200.0)
        after = (world.zone.record, dict(world.swarm.members), [dict(voter.labels) for voter in world.swarm.voters])
        assert after == before
        assert all(voter.role == "manager" for voter in world.swarm.voters)
        assert "restore" in world.agents[alive.id].state
        assert world.swarm.lost


@pytest.mark.fault(15)
@pytest.mark.parametrize("whose", [follower, leader])
def test_fault_15_a_manager_is_cut_off_and_returns(whose: Callable[[World], Machine]) -> None:
    with settled() as world:
        cut = whose(world)
        member = node(world, cut)
        world.partition(frozenset({cut}))
        world.run(2 * SILENCE + 2 * PERIOD)
        assert member.state == "down"
        assert cut.public not in world.zone.record.addresses
        assert world.swarm.member_of(cut) is member
        assert member.voter
        world.partition(frozenset())
        world.settle()
        assert world.swarm.member_of(cut) is member
        assert cut.public in world.zone.record.addresses


def test_a_change_of_leader_leaves_the_record_alone() -> None:
    """A new leader has heard nobody yet, which is no reason to send all users to it."""
    for seed in range(20):
        with settled(seed=seed) as world:
            seen = set()
            honest = world.zone.put

            def put(record: Record, honest: Callable[[Record], None] = honest, seen: set[int] = seen) -> None:
                seen.add(len(record.addresses))
                honest(record)

            world.zone.put = put  # type: ignore[method-assign]
            world.kill(leader(world))
            world.settle(after=1.0)
            assert seen == {2, 3}


@pytest.mark.fault(16)
def test_fault_16_two_agents_act_at_once() -> None:
    """Even so, a group that is to have one less has exactly one less."""
    for seed in range(30):
        with settled(seed=seed) as world:
            for agent in world.agents.values():
                agent.acts_anyway = True
            before = len(world.cloud.machines)
            faults.ask_removal(world, workers(world)[0], replace=False)
            world.settle(after=90.0)
            assert world.cloud.groups["worker"].desired == len(workers(world)) == 1
            assert len(world.cloud.machines) == before


@pytest.mark.fault(16)
def test_fault_16_an_agent_that_wakes_up_too_late_does_not_undo_what_another_did() -> None:
    """It has seen everything, stands still, and would then publish a node again that was drained meanwhile."""
    with settled() as world:
        old = world.leader_agent
        going = follower(world)
        # Somebody took a node out of the record, so the agent is about to put it back.
        world.zone.put_by_hand(world.own_record(*[manager.public or "" for manager in managers(world)[:1]]))
        honest, frozen_from = old.call, world.now

        def call(service: str, what: str, effect: Callable[[], object], *, write: bool = False) -> object:
            answer = honest(service, what, effect, write=write)
            if what == "describe the instances" and world.now > frozen_from:
                old.call = honest  # type: ignore[method-assign]
                world.pause(60.0)
            return answer

        old.call = call  # type: ignore[method-assign,assignment]
        world.run(PERIOD + 5)
        other = next(agent for agent in world.agents.values() if agent.machine not in (old.machine, going))
        other.acts_anyway = True
        faults.ask_removal(world, going)
        world.until(lambda: node(world, going).availability == "drain", 60.0)
        drained = world.now
        seen: list[Record] = []
        put = world.zone.put
        world.zone.put = lambda record: (seen.append(record), put(record))[1]  # type: ignore[method-assign]
        world.run(60.0)
        assert world.now > drained
        assert not any(going.public in record.addresses for record in seen)
        world.settle()


@pytest.mark.fault(17)
def test_fault_17_no_event_ever_arrives() -> None:
    with settled(replace(CALM, lose_message=1.0)) as world:
        machine = workers(world)[0]
        world.cloud.begin_termination(machine)
        began = world.now
        world.until(lambda: node_labels.REMOVING in node(world, machine).labels, PERIOD + 5)
        assert world.now - began <= PERIOD + 5
        world.until(lambda: not machine.alive)
        world.run(60.0)
        assert world.unsettled == ""


@pytest.mark.fault(17)
def test_fault_17_the_operators_request_is_seen_without_its_message() -> None:
    with settled(replace(CALM, lose_message=1.0)) as world:
        # In the middle of the wait between two passes.
        passes = world.leader_agent.passes
        world.until(lambda: world.leader_agent.passes > passes)
        world.run(PERIOD / 3)
        machine = workers(world)[0]
        faults.ask_removal(world, machine)
        world.until(lambda: node_labels.REMOVING in node(world, machine).labels, LOOK + 2.0)
        world.settle()


@pytest.mark.fault(17)
def test_fault_17_events_come_twice_late_and_out_of_order() -> None:
    for seed in range(20):
        with settled(replace(CALM, double_message=1.0, slow_message=0.7), seed=seed) as world:
            world.cloud.begin_termination(workers(world)[0])
            world.kill(follower(world))
            world.run(120.0)
            assert world.unsettled == ""


@pytest.mark.fault(17)
def test_fault_17_what_nobody_can_read_ends_as_dead_letters() -> None:
    with settled() as world:
        for body in (*faults.JUNK, *faults.FOREIGN):
            world.queue.publish(body)
        world.run(300.0)
        assert sorted(world.queue.dead_letters) == sorted(faults.JUNK)
        assert world.queue.empty
        assert world.unsettled == ""


@pytest.mark.fault(18)
def test_fault_18_route_53_throttles_and_the_rest_goes_on() -> None:
    with settled() as world:
        world.outages[act.DNS] = world.now + 90.0
        dead = follower(world)
        world.kill(dead)
        world.run(80.0)
        assert (len(world.swarm.voters), live_voters(world)) == (3, 3)
        assert dead.public in world.zone.record.addresses
        assert "route53: route53: read the record: " in said(world)
        tries = sum("read the record" in line for agent in world.agents.values() for line in agent.said)
        assert tries < 20
        world.settle(100.0)
        assert dead.public not in world.zone.record.addresses


@pytest.mark.fault(18)
def test_fault_18_the_zone_is_gone() -> None:
    with settled() as world:
        world.zone.gone = True
        world.kill(workers(world)[0])
        world.run(80.0)
        assert "NoSuchHostedZone" in said(world)
        assert len(world.swarm.members) == 5
        assert all(member.machine.alive for member in world.swarm.members.values())
        world.settle(100.0)


@pytest.mark.fault(19)
@pytest.mark.parametrize(
    ("foreign", "reason"),
    [
        (Record(("203.0.113.7",), 60, "heritage=other"), "www.example.com belongs to 'heritage=other'"),
        (Record(("203.0.113.7",), 60, None), "www.example.com exists already"),
        (Record(obstacle="a CNAME"), "www.example.com is a CNAME"),
    ],
)
def test_fault_19_somebody_elses_record_is_left_alone_and_shown(foreign: Record, reason: str) -> None:
    with settled() as world:
        world.record_is_foreign = True
        world.zone.put(foreign)
        world.kill(follower(world))
        world.run(150.0)
        assert world.zone.record == foreign
        assert reason in world.leader_agent.document["refused"][0]
        assert (len(world.swarm.voters), live_voters(world)) == (3, 3)


@pytest.mark.fault(44)
def test_fault_44_a_leader_whose_engine_hangs_is_removed_by_another_agent() -> None:
    with settled() as world:
        leader = world.swarm.leader.machine
        world.agents[leader.id].hangs_until = float("inf")
        world.run(SILENT_AFTER + 60.0)
        assert "the engine does not answer" in world.agents[leader.id].state
        assert said(world).count("is silent, so this one acts for it.") == 1
        faults.ask_removal(world, leader)
        world.until(lambda: not leader.alive)
        world.settle()


@pytest.mark.fault(44)
def test_fault_44_the_leaders_agent_acts_again_when_its_engine_answers() -> None:
    with settled() as world:
        leader = world.swarm.leader.machine
        world.agents[leader.id].hangs_until = world.now + SILENT_AFTER + 60.0
        world.run(SILENT_AFTER + 200.0)
        passes = {one: agent.passes for one, agent in world.agents.items()}
        world.run(60.0)
        assert {one for one, agent in world.agents.items() if agent.passes > passes[one]} == {leader.id}


@pytest.mark.fault(46)
@pytest.mark.parametrize("asks", [faults.ask_removal, lambda world, machine: world.cloud.begin_termination(machine)])
def test_fault_46_a_node_is_not_drained_while_nobody_can_withdraw_it(asks: Callable[..., None]) -> None:
    with settled() as world:
        before, machine = world.zone.record, follower(world)
        member = world.swarm.member_of(machine)
        world.record_is_foreign = True
        world.zone.put_by_hand(replace(before, owner=None))
        asks(world, machine)
        # Less than a termination is held for.
        world.run(60.0)
        assert member.availability != "drain" and member.voter
        decision = world.leader_agent.last.decision
        why = f"{machine.id} cannot be withdrawn: {RECORD} exists already"
        assert why in " ".join((*decision.refused, *decision.awaited))
        world.give_record_back(before)
        world.until(lambda: not machine.alive)
        world.settle()


@pytest.mark.fault(20)
def test_fault_20_an_instance_without_a_public_address_is_skipped() -> None:
    with settled() as world:
        world.cloud.public = False
        world.kill(follower(world))
        world.run(100.0)
        assert live_voters(world) == 3
        assert world.zone.record.addresses == world.serving()
        assert len(world.zone.record.addresses) == 2
        assert "has no public address, so www.example.com omits it." in said(world)
        world.settle()


@pytest.mark.fault(20)
def test_fault_20_a_group_at_zero_and_one_that_was_deleted_by_hand() -> None:
    with settled() as world:
        world.cloud.scale(world.cloud.groups["worker"], 0)
        world.settle(after=1.0)
        assert len(world.swarm.members) == 3
    with settled() as world:
        faults.delete_group(world)
        world.settle(after=1.0)
        assert len(world.swarm.members) == 3
        assert len(world.zone.record.addresses) == 3


@pytest.mark.fault(20)
def test_fault_20_an_instance_that_somebody_took_out_of_its_group_is_not_published() -> None:
    with settled() as world:
        detached = follower(world)
        world.cloud.detach(detached)
        world.settle(after=1.0)
        assert detached.public not in world.zone.record.addresses
        assert f"{detached.id} is in no Auto Scaling group" in said(world)
        assert world.swarm.member_of(detached) is not None


@pytest.mark.fault(21)
def test_fault_21_an_instance_that_never_joins_is_replaced_and_never_published() -> None:
    with settled() as world:
        world.cloud.next_joins = False
        world.kill(follower(world))
        world.until(lambda: any(not machine.joins and machine.alive for machine in world.cloud.machines.values()))
        stray = next(machine for machine in world.cloud.machines.values() if not machine.joins)
        world.until(lambda: stray.lifecycle == "Terminating:Wait", HOOK_SECONDS + 60)
        waits = world.now
        world.until(lambda: stray.lifecycle != "Terminating:Wait", PERIOD)
        assert world.now - waits < 5.0
        world.settle()
        assert live_voters(world) == 3


@pytest.mark.fault(21)
def test_fault_21_the_termination_of_one_that_has_not_joined_is_not_held_up() -> None:
    with settled() as world:
        world.cloud.next_joins = False
        world.cloud.scale(world.cloud.groups["worker"], 3)
        world.until(lambda: len(workers(world)) == 3 and workers(world)[-1].lifecycle == "Pending:Wait")
        stray = workers(world)[-1]
        world.cloud.groups["worker"].desired = 2
        world.cloud.begin_termination(stray)
        began = world.now
        world.until(lambda: not stray.alive, 10.0)
        assert world.now - began < 5.0
        world.settle()


@pytest.mark.fault(23)
@pytest.mark.parametrize("whose", [lambda world: workers(world)[0], follower, leader])
def test_fault_23_a_client_that_honours_the_ttl_sees_no_failure(whose: Callable[[World], Machine]) -> None:
    for seed in range(10):
        with settled(seed=seed) as world:
            world.run(5.0)
            clients = [Client(world) for _ in range(3)]
            machine = whose(world)
            faults.ask_removal(world, machine)
            world.settle(after=60.0)
            assert not machine.alive
            assert sum(client.requests for client in clients) > 100
            assert sum(client.failures for client in clients) == 0


@pytest.mark.fault(24)
def test_fault_24_the_last_manager_stays() -> None:
    with settled(Weather(managers=1, workers=2)) as world:
        machine = managers(world)[0]
        record = world.zone.record
        faults.ask_removal(world, machine)
        world.run(100.0)
        member = node(world, machine)
        assert (member.availability, member.role) == ("active", "manager")
        assert world.zone.record == record
        assert "it would leave 0 of 1 managers reachable, fewer than their quorum of 1" in said(world)


@pytest.mark.fault(24)
def test_fault_24_two_of_three_are_taken_out_one_after_the_other() -> None:
    for seed in range(10):
        with settled(seed=seed) as world:
            for machine in managers(world)[:2]:
                faults.ask_removal(world, machine)
            fewest = live_voters(world)

            def watch() -> bool:
                nonlocal fewest
                fewest = min(fewest, live_voters(world))
                return False

            world.scheduler.run(watch, world.now + 150.0)
            world.settle()
            assert fewest >= 2
            assert (len(world.swarm.voters), live_voters(world)) == (3, 3)


@pytest.mark.fault(24)
def test_fault_24_auto_scaling_takes_two_of_three_and_nobody_comes() -> None:
    """Their votes are taken while they live, or the one that stays would wait for them for ever."""
    for seed in range(10):
        with settled(seed=seed) as world:
            world.cloud.scale(world.cloud.groups["manager"], 1)
            world.settle(after=1.0)
            assert (len(world.swarm.voters), live_voters(world)) == (1, 1)
            assert world.zone.record.addresses == (managers(world)[0].public,)


@pytest.mark.fault(24)
def test_fault_24_more_than_the_quorum_allows_is_refused_before_anything_changes() -> None:
    with settled() as world:
        dead, asked = follower(world), leader(world)
        world.partition(frozenset({dead}))
        world.run(SILENCE + 5)
        faults.ask_removal(world, asked)
        world.run(60.0)
        member = node(world, asked)
        assert (member.availability, member.role) == ("active", "manager")
        assert "it would leave 1 of 3 managers reachable, fewer than their quorum of 2" in said(world)
        world.partition(frozenset())
        world.settle(after=1.0)
        assert not asked.alive


@pytest.mark.fault(25)
def test_fault_25_no_place_elsewhere_holds_the_drain_and_force_goes_on() -> None:
    with settled(Weather(managers=3, workers=1)) as world:
        world.work.add(Service("batch", 1, START_FIRST, role="worker"))
        world.run(5.0)
        machine = workers(world)[0]
        faults.ask_removal(world, machine)
        world.run(120.0)
        member = node(world, machine)
        assert member.availability != "drain"
        assert world.work.services["batch"].healthy(world.now) == 1
        assert "there is no room elsewhere for 1 tasks of batch" in said(world)
        faults.ask_removal(world, machine, force=True)
        world.settle(after=60.0)
        assert not machine.alive


@pytest.mark.fault(27)
def test_fault_27_the_hooks_heartbeat_expires_in_the_middle_of_a_drain() -> None:
    with settled() as world:
        world.work.add(Service("slow", 4, START_FIRST, stops_in=40.0))
        world.run(5.0)
        machine = workers(world)[0]
        world.cloud.begin_termination(machine)
        world.until(lambda: node(world, machine).availability == "drain", 60.0)
        # Nobody can tell Auto Scaling to wait any longer.
        world.outages[act.SCALING] = world.now + 2 * HOOK_SECONDS
        world.until(lambda: not machine.alive, HOOK_SECONDS + 10)
        world.settle()
        assert all(member.machine.alive for member in world.swarm.members.values())


@pytest.mark.fault(27)
@pytest.mark.parametrize("when", [0.5, 3.0, 8.0, 12.0])
@pytest.mark.parametrize("whose", [lambda world: workers(world)[0], follower])
def test_fault_27_somebody_else_completes_the_hook(whose: Callable[[World], Machine], when: float) -> None:
    with settled() as world:
        machine = whose(world)
        world.cloud.begin_termination(machine)
        world.run(when)
        world.work.excuse()
        world.cloud.complete(machine.scaling_group or "", TERMINATING, machine.id, "CONTINUE")
        world.settle(after=1.0)
        assert (len(world.swarm.voters), live_voters(world), len(world.swarm.members)) == (3, 3, 5)


@pytest.mark.fault(28)
@pytest.mark.parametrize("notice", [120.0, 40.0, 20.0])
def test_fault_28_a_spot_instance_is_empty_before_it_is_taken_back(notice: float) -> None:
    with settled() as world:
        machine = workers(world)[0]
        member = node(world, machine)
        faults.interrupt(world, machine, notice)
        world.until(lambda: not machine.alive, notice + 1)
        tasks = [task for service in world.work.services.values() for task in service.tasks]
        assert not any(task.member is member for task in tasks)
        world.settle(after=1.0)


@pytest.mark.fault(28)
def test_fault_28_a_deadline_shortens_the_wait_for_resolvers_first() -> None:
    patient = replace(POLICY, dns=replace(POLICY.dns, ttl=300))
    with settled(policy=patient) as world:
        machine = follower(world)
        faults.interrupt(world, machine, 60.0)
        began = world.now
        world.until(lambda: node(world, machine).availability == "drain", 60.0)
        longest = max(service.stops_in for service in world.work.services.values())
        assert world.now - began >= 60.0 - 10.0 - longest - 5.0
        world.until(lambda: not machine.alive, 60.0)
        world.settle(after=1.0)


REBALANCE = {"detail-type": "EC2 Instance Rebalance Recommendation"}
MAINTENANCE = {"detail-type": "AWS Health Event"}


@pytest.mark.fault(28)
def test_fault_28_a_rebalance_recommendation_and_scheduled_maintenance_have_the_instance_replaced() -> None:
    with settled() as world:
        first, second = workers(world)
        world.queue.publish(json.dumps({**REBALANCE, "detail": {"instance-id": first.id}}))
        detail = {"eventTypeCategory": "scheduledChange", "affectedEntities": [{"entityValue": second.id}]}
        world.queue.publish(json.dumps({**MAINTENANCE, "detail": detail}))
        world.settle(after=60.0)
        assert not first.alive
        assert not second.alive
        assert len(workers(world)) == 2


@pytest.mark.fault(28)
def test_fault_28_where_auto_scaling_replaces_what_is_at_risk_itself_it_leaves_once_another_one_serves() -> None:
    groups = {**POLICY.groups, "worker": replace(POLICY.groups["worker"], rebalance=True)}
    with settled(policy=replace(POLICY, groups=groups)) as world:
        risky, other = workers(world)
        world.queue.publish(json.dumps({**REBALANCE, "detail": {"instance-id": risky.id}}))
        # One more than desired, until it serves.
        replacement = world.cloud.launch(risky.group)
        world.until(lambda: replacement.lifecycle == "InService", BOUND)
        assert node(world, risky).availability == "active"
        assert risky.lifecycle == "InService"
        world.cloud.begin_termination(risky)
        world.settle()
        assert {worker.id for worker in workers(world)} == {other.id, replacement.id}


@pytest.mark.fault(31)
def test_fault_31_only_what_ec2_says_is_gone_is_removed() -> None:
    """None down; several down for good; one that reboots and one that is cut off, which both come back."""
    with settled(replace(CALM, managers=5, workers=3)) as world:
        before = dict(world.swarm.members)
        world.run(100.0)
        assert world.swarm.members == before
        gone = [workers(world)[0], workers(world)[1], managers(world)[0]]
        rebooting, cut = workers(world)[2], managers(world)[1]
        kept = [node(world, rebooting), node(world, cut)]
        for machine in gone:
            world.kill(machine)
        world.reboot(rebooting, 60.0)
        world.partition(frozenset({cut}))
        world.run(55.0)
        assert [one.state for one in kept] == ["down", "down"]
        world.run(20.0)
        world.partition(frozenset())
        world.settle()
        assert all(world.swarm.members.get(one.id) is one for one in kept)
        assert not any(member.machine in gone for member in world.swarm.members.values())


@pytest.mark.fault(17)
def test_fault_17_the_queue_is_away_for_long() -> None:
    with settled() as world:
        world.outages[SQS] = world.now + 300.0
        world.kill(workers(world)[0])
        world.run(90.0)
        assert world.unsettled == ""


def test_a_removal_waits_for_resolvers_anew_when_its_node_was_published_again() -> None:
    """As the only one that can serve, a node that is about to go is published again; resolvers then know it anew."""
    with settled() as world:
        machine = follower(world)
        faults.ask_removal(world, machine)
        world.until(lambda: node_labels.WITHDRAWN in node(world, machine).labels, 20.0)
        world.zone.put(world.own_record(machine.public or ""))
        world.leader_agent.stop()
        world.leader_agent.start(2 * TTL)
        world.until(lambda: node(world, machine).availability == "drain", 60.0)
        assert world.now >= world.zone.withdrawn_at[machine.public or ""] + TTL - 1.0
        world.settle()


@pytest.mark.fault(16)
def test_fault_16_the_leader_changes_in_the_middle_of_a_removal() -> None:
    """The next one has not heard from the node yet, which is no reason to drain it without replacements."""
    for seconds in range(1, 30, 2):
        with settled() as world:
            web = world.work.services["web"]
            # Replacements take longer than resolvers.
            web.starts_in = 4.0 * TTL
            machine = web.tasks[0].member.machine
            faults.ask_removal(world, machine)
            world.run(float(seconds))
            other = next(voter for voter in world.swarm.voters if voter.machine not in (machine, leader(world)))
            world.swarm.lead(other)
            world.settle(after=1.0)
            assert not web.excused


@pytest.mark.fault(24)
def test_fault_24_all_managers_are_to_go_and_their_replacements_have_no_public_address() -> None:
    """Then the record leads to one that is on its way out, rather than to nobody, and that one is not drained."""
    for seed in range(10):
        with settled(seed=seed) as world:
            world.cloud.public = False
            for machine in managers(world):
                faults.ask_removal(world, machine)
                world.run(world.rng.uniform(0.0, 5.0))
            world.run(200.0)
            published = world.zone.record.addresses
            assert published
            assert all(world.serves(address) for address in published)


def test_a_record_is_not_withdrawn_before_the_earlier_withdrawal_is_forgotten() -> None:
    """Or whoever comes next would believe that resolvers have had their time."""
    with settled() as world:
        machine = follower(world)
        faults.ask_removal(world, machine)
        world.until(lambda: node_labels.WITHDRAWN in node(world, machine).labels, 20.0)
        world.zone.put(world.own_record(machine.public or ""))
        agent, identifier = world.leader_agent, node(world, machine).id
        honest, left = agent.call, [2]

        def call(service: str, what: str, effect: Callable[[], object], *, write: bool = False) -> object:
            if what == f"change {identifier}: labels" and left[0]:
                left[0] -= 1
                raise Unavailable("the engine is away")
            return honest(service, what, effect, write=write)

        agent.call = call  # type: ignore[method-assign,assignment]
        world.settle(after=60.0)
        assert left == [0]


def test_a_node_is_not_drained_in_the_pass_that_publishes_it_again() -> None:
    """The other one that users could be sent to goes down just when nobody knows this one any more."""
    policy = replace(POLICY, groups={"manager": Group("manager"), "worker": Group("worker", dns=True)})
    for tenths in range(0, 120, 5):
        with settled(policy=policy) as world:
            going, other = workers(world)
            world.reboot(other, 30.0)
            world.run(tenths / 10)
            faults.ask_removal(world, going)
            world.settle(after=60.0)


@pytest.mark.fault(24)
def test_fault_24_all_managers_are_to_go_at_once_and_one_makes_way_for_the_next() -> None:
    """No other node serves the record, so those whose turn has not come yet go on doing so."""
    for seed in range(10):
        with settled(seed=seed) as world:
            old = managers(world)
            for machine in old:
                faults.ask_removal(world, machine)
            world.settle(after=1.0)
            assert not any(machine.alive for machine in old)
            assert (len(world.swarm.voters), live_voters(world)) == (3, 3)


@pytest.mark.fault(24)
def test_fault_24_all_workers_are_to_go_at_once_though_the_record_leads_to_nobody_else() -> None:
    """No quorum keeps workers back, so that all begin to go; the one that began last goes on being led to."""
    groups = {"manager": replace(POLICY.groups["manager"], dns=False), "worker": Group("worker", dns=True)}
    for seed in range(5):
        with settled(seed=seed, policy=replace(POLICY, groups=groups)) as world:
            old = workers(world)
            assert len(old) > 1
            for machine in old:
                faults.ask_removal(world, machine)
            world.settle(after=1.0)
            assert not any(machine.alive for machine in old)


@pytest.mark.fault(45)
@pytest.mark.parametrize("skew", [-200.0, 200.0])
def test_fault_45_a_leader_whose_clock_is_wrong_does_nothing_early(skew: float) -> None:
    """The world looks at every drain by its own time, and at what the next leader makes of what that one noted."""
    _change_leaders_while_one_goes(skew)


def _change_leaders_while_one_goes(skew: float) -> None:
    for seed in range(10):
        with settled(seed=seed) as world:
            world.leader_agent.skew = skew
            faults.ask_removal(world, follower(world))
            world.run(6.0)
            world.swarm.lead(next(voter for voter in world.swarm.voters if voter is not world.swarm.leader))
            world.settle(after=60.0)


def test_by_its_own_clock_that_leader_would_have_drained_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AwsTime, "observe", lambda self, date, took: None)
    with pytest.raises(Broken, match="I6:"):
        _change_leaders_while_one_goes(-200.0)


@pytest.mark.fault(45)
def test_fault_45_another_agent_acts_for_a_leader_whose_signatures_aws_refuses() -> None:
    with settled() as world:
        mute, machine = world.leader_agent, workers(world)[0]
        mute.skew = 600.0
        world.run(SILENT_AFTER + 2 * PERIOD)
        faults.ask_removal(world, machine)
        world.until(lambda: not machine.alive, BOUND)
        assert "s ahead of AWS's time" in mute.state
        acting = [agent for agent in world.agents.values() if "acts for it" in agent.state]
        assert len(acting) == 1 and "acts for it" in acting[0].document["agents"]
        mute.skew = 0.0
        world.settle()


@pytest.mark.fault(47)
def test_fault_47_a_poisoned_message_keeps_no_spot_warning_of_its_batch() -> None:
    poison = "[" * 100_000
    with settled() as world:
        machine = workers(world)[0]
        member = node(world, machine)
        world.queue.publish(poison)
        faults.interrupt(world, machine, 120.0)
        world.queue.publish(json.dumps({**REBALANCE, "detail": {"instance-id": "i-elsewhere"}}))
        world.until(lambda: not machine.alive, 121.0)
        tasks = [task for service in world.work.services.values() for task in service.tasks]
        assert not any(task.member is member for task in tasks)
        world.run(180.0)
        assert world.queue.dead_letters == [poison]
        assert world.queue.empty
        (told,) = world.leader_agent.document["unhandled_messages"]
        assert said(world).count("is left for the dead-letter queue") == said(world).count(told) == 1
        world.settle()


@pytest.mark.fault(47)
def test_fault_47_a_node_that_cannot_be_changed_keeps_no_other_from_its_removal() -> None:
    with settled() as world:
        stuck, machine = sorted(workers(world), key=lambda worker: node(world, worker).id)
        honest, stuck_node = world.swarm.update, node(world, stuck)

        def update(asking: Machine, identifier: str, *change: Any) -> None:
            if identifier == stuck_node.id:
                raise Unavailable("The engine refused to change the node.")
            honest(asking, identifier, *change)

        world.swarm.update = update  # type: ignore[method-assign]
        stuck_node.labels = {}
        stuck_node.version += 1
        member = node(world, machine)
        faults.interrupt(world, machine, 120.0)
        world.until(lambda: not machine.alive, 121.0)
        tasks = [task for service in world.work.services.values() for task in service.tasks]
        assert not any(task.member is member for task in tasks)
        assert member.id not in world.swarm.members
        world.swarm.update = honest  # type: ignore[method-assign]
        world.settle(after=1.0)
