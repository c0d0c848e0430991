"""The rows of the fault table about the control plane, each as its own story."""

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

from tests.simulation.invariant import Broken

from . import faults
from .cloud import HOOK_SECONDS, TERMINATING, Machine
from .ports import SQS
from .simulated_cluster import POLICY, RECORD, TTL, SimCluster
from .swarm import SILENCE, Member
from .weather import Weather
from .work import START_FIRST, Service
from .zone import DnsClient

CALM = Weather(managers=3, workers=2)
# How often an agent looks without events, in seconds.
PERIOD = 30.0
# How long from the boot of a replacement until the cluster has converged, at most, in seconds.
BOUND = 120.0


@contextmanager
def settled(weather: Weather = CALM, seed: int = 1, policy: Policy = POLICY) -> Iterator[SimCluster]:
    """A converged cluster. Stops the agents at the end."""
    world = SimCluster(seed, weather, policy=policy)
    try:
        world.settle()
        world.calm = False
        yield world
    finally:
        world.end()


def managers(world: SimCluster) -> list[Machine]:
    return [machine for machine in world.cloud.living if machine.group.role == "manager"]


def workers(world: SimCluster) -> list[Machine]:
    return [machine for machine in world.cloud.living if machine.group.role == "worker"]


def follower(world: SimCluster) -> Machine:
    """A manager that does not lead."""
    return next(manager for manager in managers(world) if manager is not world.swarm.leader.machine)


def leader(world: SimCluster) -> Machine:
    return world.swarm.leader.machine


def node(world: SimCluster, machine: Machine) -> Member:
    return world.swarm.member_of(machine)


def logs(world: SimCluster) -> str:
    """The logs of all agents."""
    return "\n".join(line for agent in world.agents.values() for line in agent.said)


def live_voters(world: SimCluster) -> int:
    return sum(voter.machine.alive for voter in world.swarm.voters)


def _is_replaced(world: SimCluster, dead: Machine) -> None:
    ghost = node(world, dead)
    # The replacement starts no slow task, so that it could be in service at once.
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
def test_fault_12_a_killed_manager_is_replaced(whose: Callable[[SimCluster], Machine]) -> None:
    for seed in range(10):
        with settled(seed=seed) as world:
            _is_replaced(world, whose(world))


@pytest.mark.fault(12)
def test_fault_12_ten_killed_leaders_in_a_row_leave_three_voters() -> None:
    with settled() as world:
        for _ in range(10):
            world.kill(leader(world))
            world.settle(after=1.0)
            world.calm = False
        assert (len(world.swarm.voters), live_voters(world), len(world.swarm.members)) == (3, 3, 5)


@pytest.mark.fault(12)
@pytest.mark.parametrize("whose", [follower, leader])
def test_fault_12_a_kill_fails_requests_only_until_detection_and_ttl(
    whose: Callable[[SimCluster], Machine],
) -> None:
    for seed in range(10):
        with settled(seed=seed) as world:
            clients = [DnsClient(world) for _ in range(3)]
            world.run(5.0)
            killed = world.now
            world.kill(whose(world))
            world.settle(after=60.0)
            last = max((client.last_failure or killed for client in clients), default=killed)
            assert last - killed <= SILENCE + TTL + 5.0


@pytest.mark.fault(13)
def test_fault_13_two_of_five_managers_killed_at_once_are_replaced() -> None:
    with settled(replace(CALM, managers=5)) as world:
        for machine in managers(world)[:2]:
            world.kill(machine)
        world.settle(after=1.0)
        assert (len(world.swarm.voters), live_voters(world)) == (5, 5)


@pytest.mark.fault(13)
@pytest.mark.parametrize("survivor", [follower, leader])
def test_fault_13_without_a_quorum_nothing_changes_until_a_restore(survivor: Callable[[SimCluster], Machine]) -> None:
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
def test_fault_15_a_partitioned_manager_keeps_its_node(whose: Callable[[SimCluster], Machine]) -> None:
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


def test_a_change_of_leader_does_not_empty_the_record() -> None:
    """A new leader has no heartbeats yet, which must not send all clients to it."""
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
def test_fault_16_two_agents_at_once_remove_exactly_the_requested_node() -> None:
    for seed in range(30):
        with settled(seed=seed) as world:
            for agent in world.agents.values():
                agent.acts_anyway = True
            before = len(world.cloud.machines)
            faults.request_removal(world, workers(world)[0], replace=False)
            world.settle(after=90.0)
            assert world.cloud.groups["worker"].desired == len(workers(world)) == 1
            assert len(world.cloud.machines) == before


@pytest.mark.fault(16)
def test_fault_16_an_agent_that_froze_publishes_no_drained_node() -> None:
    """The agent observes the cluster, freezes, and would then publish a node that was drained meanwhile."""
    with settled() as world:
        old = world.leader_agent
        removed = follower(world)
        # Somebody withdrew a node, so the agent is about to publish it again.
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
        other = next(agent for agent in world.agents.values() if agent.machine not in (old.machine, removed))
        other.acts_anyway = True
        faults.request_removal(world, removed)
        world.until(lambda: node(world, removed).availability == "drain", 60.0)
        drained = world.now
        seen: list[Record] = []
        put = world.zone.put
        world.zone.put = lambda record: (seen.append(record), put(record))[1]  # type: ignore[method-assign]
        world.run(60.0)
        assert world.now > drained
        assert not any(removed.public in record.addresses for record in seen)
        world.settle()


@pytest.mark.fault(17)
def test_fault_17_without_events_a_termination_is_seen_within_a_period() -> None:
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
        faults.request_removal(world, machine)
        world.until(lambda: node_labels.REMOVING in node(world, machine).labels, LOOK + 2.0)
        world.settle()


@pytest.mark.fault(17)
def test_fault_17_duplicate_late_and_reordered_events_do_no_harm() -> None:
    for seed in range(20):
        with settled(replace(CALM, double_message=1.0, slow_message=0.7), seed=seed) as world:
            world.cloud.begin_termination(workers(world)[0])
            world.kill(follower(world))
            world.run(120.0)
            assert world.unsettled == ""


@pytest.mark.fault(17)
def test_fault_17_invalid_messages_end_as_dead_letters() -> None:
    with settled() as world:
        for body in (*faults.JUNK, *faults.FOREIGN):
            world.queue.publish(body)
        world.run(300.0)
        assert sorted(world.queue.dead_letters) == sorted(faults.JUNK)
        assert world.queue.empty
        assert world.unsettled == ""


@pytest.mark.fault(18)
def test_fault_18_a_route_53_outage_delays_only_the_record() -> None:
    with settled() as world:
        world.outages[act.DNS] = world.now + 90.0
        dead = follower(world)
        world.kill(dead)
        world.run(80.0)
        assert (len(world.swarm.voters), live_voters(world)) == (3, 3)
        assert dead.public in world.zone.record.addresses
        assert "route53: route53: read the record: " in logs(world)
        tries = sum("read the record" in line for agent in world.agents.values() for line in agent.said)
        assert tries < 20
        world.settle(100.0)
        assert dead.public not in world.zone.record.addresses


@pytest.mark.fault(18)
def test_fault_18_a_missing_zone_delays_only_the_record() -> None:
    with settled() as world:
        world.zone.gone = True
        world.kill(workers(world)[0])
        world.run(80.0)
        assert "NoSuchHostedZone" in logs(world)
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
def test_fault_19_a_foreign_record_is_not_changed_but_reported(foreign: Record, reason: str) -> None:
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
        assert logs(world).count("is silent, so this agent acts for it.") == 1
        faults.request_removal(world, leader)
        world.until(lambda: not leader.alive)
        world.settle()


@pytest.mark.fault(44)
def test_fault_44_the_leaders_agent_acts_again_when_its_engine_answers() -> None:
    with settled() as world:
        leader = world.swarm.leader.machine
        world.agents[leader.id].hangs_until = world.now + SILENT_AFTER + 60.0
        world.run(SILENT_AFTER + 200.0)
        passes = {identifier: agent.passes for identifier, agent in world.agents.items()}
        world.run(60.0)
        assert {identifier for identifier, agent in world.agents.items() if agent.passes > passes[identifier]} == {
            leader.id
        }


@pytest.mark.fault(46)
@pytest.mark.parametrize(
    "remove", [faults.request_removal, lambda world, machine: world.cloud.begin_termination(machine)]
)
def test_fault_46_a_node_is_not_drained_while_nobody_can_withdraw_it(remove: Callable[..., None]) -> None:
    with settled() as world:
        before, machine = world.zone.record, follower(world)
        member = world.swarm.member_of(machine)
        world.record_is_foreign = True
        world.zone.put_by_hand(replace(before, owner=None))
        remove(world, machine)
        # Less than the time-out of the termination's hook.
        world.run(60.0)
        assert member.availability != "drain" and member.voter
        decision = world.leader_agent.last.decision
        why = f"{machine.id} cannot be withdrawn: {RECORD} exists already"
        assert why in " ".join((*decision.refused, *decision.awaited))
        world.restore_record(before)
        world.until(lambda: not machine.alive)
        world.settle()


@pytest.mark.fault(20)
def test_fault_20_an_instance_without_a_public_address_is_not_published() -> None:
    with settled() as world:
        world.cloud.public = False
        world.kill(follower(world))
        world.run(100.0)
        assert live_voters(world) == 3
        assert world.zone.record.addresses == world.serving()
        assert len(world.zone.record.addresses) == 2
        assert "has no public address, so www.example.com omits it." in logs(world)
        world.settle()


@pytest.mark.fault(20)
def test_fault_20_an_empty_and_a_deleted_group_leave_no_nodes() -> None:
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
def test_fault_20_a_detached_instance_is_not_published() -> None:
    with settled() as world:
        detached = follower(world)
        world.cloud.detach(detached)
        world.settle(after=1.0)
        assert detached.public not in world.zone.record.addresses
        assert f"{detached.id} is in no Auto Scaling group" in logs(world)
        assert world.swarm.member_of(detached) is not None


@pytest.mark.fault(21)
def test_fault_21_an_instance_that_never_joins_is_replaced() -> None:
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
def test_fault_21_terminating_an_instance_that_has_not_joined_is_quick() -> None:
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
def test_fault_23_a_removal_fails_no_request_within_the_ttl(
    whose: Callable[[SimCluster], Machine],
) -> None:
    for seed in range(10):
        with settled(seed=seed) as world:
            world.run(5.0)
            clients = [DnsClient(world) for _ in range(3)]
            machine = whose(world)
            faults.request_removal(world, machine)
            world.settle(after=60.0)
            assert not machine.alive
            assert sum(client.requests for client in clients) > 100
            assert sum(client.failures for client in clients) == 0


@pytest.mark.fault(24)
def test_fault_24_the_last_manager_is_not_removed() -> None:
    with settled(Weather(managers=1, workers=2)) as world:
        machine = managers(world)[0]
        record = world.zone.record
        faults.request_removal(world, machine)
        world.run(100.0)
        member = node(world, machine)
        assert (member.availability, member.role) == ("active", "manager")
        assert world.zone.record == record
        assert "it would leave 0 of 1 manager reachable, fewer than their quorum of 1" in logs(world)


@pytest.mark.fault(24)
def test_fault_24_two_of_three_managers_are_removed_in_sequence() -> None:
    for seed in range(10):
        with settled(seed=seed) as world:
            for machine in managers(world)[:2]:
                faults.request_removal(world, machine)
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
def test_fault_24_a_scale_in_from_three_managers_to_one_leaves_one_voter() -> None:
    """Managers are demoted before they are terminated; otherwise the last manager would never have a quorum."""
    for seed in range(10):
        with settled(seed=seed) as world:
            world.cloud.scale(world.cloud.groups["manager"], 1)
            world.settle(after=1.0)
            assert (len(world.swarm.voters), live_voters(world)) == (1, 1)
            assert world.zone.record.addresses == (managers(world)[0].public,)


@pytest.mark.fault(24)
def test_fault_24_a_removal_that_would_break_the_quorum_is_refused() -> None:
    with settled() as world:
        dead, asked = follower(world), leader(world)
        world.partition(frozenset({dead}))
        world.run(SILENCE + 5)
        faults.request_removal(world, asked)
        world.run(60.0)
        member = node(world, asked)
        assert (member.availability, member.role) == ("active", "manager")
        assert "it would leave 1 of 3 managers reachable, fewer than their quorum of 2" in logs(world)
        world.partition(frozenset())
        world.settle(after=1.0)
        assert not asked.alive


@pytest.mark.fault(25)
def test_fault_25_without_room_elsewhere_only_force_drains_a_node() -> None:
    with settled(Weather(managers=3, workers=1)) as world:
        world.work.add(Service("batch", 1, START_FIRST, role="worker"))
        world.run(5.0)
        machine = workers(world)[0]
        faults.request_removal(world, machine)
        world.run(120.0)
        member = node(world, machine)
        assert member.availability != "drain"
        assert world.work.services["batch"].healthy(world.now) == 1
        assert "there is no room elsewhere for 1 task of batch" in logs(world)
        faults.request_removal(world, machine, force=True)
        world.settle(after=60.0)
        assert not machine.alive


@pytest.mark.fault(27)
def test_fault_27_a_hook_that_expires_during_a_drain_is_survived() -> None:
    with settled() as world:
        world.work.add(Service("slow", 4, START_FIRST, stops_in=40.0))
        world.run(5.0)
        machine = workers(world)[0]
        world.cloud.begin_termination(machine)
        world.until(lambda: node(world, machine).availability == "drain", 60.0)
        # No heartbeat reaches Auto Scaling.
        world.outages[act.SCALING] = world.now + 2 * HOOK_SECONDS
        world.until(lambda: not machine.alive, HOOK_SECONDS + 10)
        world.settle()
        assert all(member.machine.alive for member in world.swarm.members.values())


@pytest.mark.fault(27)
@pytest.mark.parametrize("when", [0.5, 3.0, 8.0, 12.0])
@pytest.mark.parametrize("whose", [lambda world: workers(world)[0], follower])
def test_fault_27_a_hook_completed_by_somebody_else_is_survived(
    whose: Callable[[SimCluster], Machine], when: float
) -> None:
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
def test_fault_28_a_spot_instance_has_no_tasks_when_ec2_terminates_it(notice: float) -> None:
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
def test_fault_28_a_rebalance_or_maintenance_event_replaces_the_instance() -> None:
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
def test_fault_28_an_instance_at_risk_is_removed_after_its_replacement() -> None:
    groups = {**POLICY.groups, "worker": replace(POLICY.groups["worker"], rebalance=True)}
    with settled(policy=replace(POLICY, groups=groups)) as world:
        risky, other = workers(world)
        world.queue.publish(json.dumps({**REBALANCE, "detail": {"instance-id": risky.id}}))
        # Above the desired capacity, until it is in service.
        replacement = world.cloud.launch(risky.group)
        world.until(lambda: replacement.lifecycle == "InService", BOUND)
        assert node(world, risky).availability == "active"
        assert risky.lifecycle == "InService"
        world.cloud.begin_termination(risky)
        world.settle()
        assert {worker.id for worker in workers(world)} == {other.id, replacement.id}


@pytest.mark.fault(31)
def test_fault_31_only_nodes_without_an_instance_are_deleted() -> None:
    """First no node is down; then several are terminated, another reboots and another is partitioned: both return."""
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
        assert [member.state for member in kept] == ["down", "down"]
        world.run(20.0)
        world.partition(frozenset())
        world.settle()
        assert all(world.swarm.members.get(member.id) is member for member in kept)
        assert not any(member.machine in gone for member in world.swarm.members.values())


@pytest.mark.fault(17)
def test_fault_17_a_long_outage_of_the_queue_is_survived() -> None:
    with settled() as world:
        world.outages[SQS] = world.now + 300.0
        world.kill(workers(world)[0])
        world.run(90.0)
        assert world.unsettled == ""


def test_a_removal_waits_for_resolvers_again_after_a_second_publication() -> None:
    """A withdrawn node is published again because no other node can serve; resolvers then cache it again."""
    with settled() as world:
        machine = follower(world)
        faults.request_removal(world, machine)
        world.until(lambda: node_labels.WITHDRAWN in node(world, machine).labels, 20.0)
        world.zone.put(world.own_record(machine.public or ""))
        world.leader_agent.stop()
        world.leader_agent.start(2 * TTL)
        world.until(lambda: node(world, machine).availability == "drain", 60.0)
        assert world.now >= world.zone.withdrawn_at[machine.public or ""] + TTL - 1.0
        world.settle()


@pytest.mark.fault(16)
def test_fault_16_a_change_of_leader_during_a_removal_stops_no_task_early() -> None:
    """The next leader has no heartbeat of the node yet, which must not drain it without replacements."""
    for seconds in range(1, 30, 2):
        with settled() as world:
            web = world.work.services["web"]
            # Replacements take longer than resolvers.
            web.starts_in = 4.0 * TTL
            machine = web.tasks[0].member.machine
            faults.request_removal(world, machine)
            world.run(float(seconds))
            other = next(voter for voter in world.swarm.voters if voter.machine not in (machine, leader(world)))
            world.swarm.lead(other)
            world.settle(after=1.0)
            assert not web.excused


@pytest.mark.fault(24)
def test_fault_24_the_record_stays_when_no_replacement_has_an_address() -> None:
    """The record keeps the address of a node that is being removed, and that node is not drained."""
    for seed in range(10):
        with settled(seed=seed) as world:
            world.cloud.public = False
            for machine in managers(world):
                faults.request_removal(world, machine)
                world.run(world.rng.uniform(0.0, 5.0))
            world.run(200.0)
            published = world.zone.record.addresses
            assert published
            assert all(world.serves(address) for address in published)


def test_a_withdrawal_waits_until_the_earlier_withdrawal_is_cleared() -> None:
    """Otherwise the next leader would think that resolvers had their time."""
    with settled() as world:
        machine = follower(world)
        faults.request_removal(world, machine)
        world.until(lambda: node_labels.WITHDRAWN in node(world, machine).labels, 20.0)
        world.zone.put(world.own_record(machine.public or ""))
        agent, identifier = world.leader_agent, node(world, machine).id
        honest, left = agent.call, [2]

        def call(service: str, what: str, effect: Callable[[], object], *, write: bool = False) -> object:
            if what == f"change {identifier}: labels" and left[0]:
                left[0] -= 1
                raise Unavailable("the engine does not answer")
            return honest(service, what, effect, write=write)

        agent.call = call  # type: ignore[method-assign,assignment]
        world.settle(after=60.0)
        assert left == [0]


def test_a_node_is_not_drained_in_the_pass_that_publishes_it_again() -> None:
    """The only other published node goes down as soon as no resolver caches this node."""
    policy = replace(POLICY, groups={"manager": Group("manager"), "worker": Group("worker", dns=True)})
    for tenths in range(0, 120, 5):
        with settled(policy=policy) as world:
            removed, other = workers(world)
            world.reboot(other, 30.0)
            world.run(tenths / 10)
            faults.request_removal(world, removed)
            world.settle(after=60.0)


@pytest.mark.fault(24)
def test_fault_24_all_managers_removed_at_once_are_replaced_in_sequence() -> None:
    """No other node is published, so managers whose turn has not come stay in the record."""
    for seed in range(10):
        with settled(seed=seed) as world:
            old = managers(world)
            for machine in old:
                faults.request_removal(world, machine)
            world.settle(after=1.0)
            assert not any(machine.alive for machine in old)
            assert (len(world.swarm.voters), live_voters(world)) == (3, 3)


@pytest.mark.fault(24)
def test_fault_24_all_published_workers_can_be_removed_at_once() -> None:
    """No quorum holds workers back, so all removals start; the last worker stays in the record."""
    groups = {"manager": replace(POLICY.groups["manager"], dns=False), "worker": Group("worker", dns=True)}
    for seed in range(5):
        with settled(seed=seed, policy=replace(POLICY, groups=groups)) as world:
            old = workers(world)
            assert len(old) > 1
            for machine in old:
                faults.request_removal(world, machine)
            world.settle(after=1.0)
            assert not any(machine.alive for machine in old)


@pytest.mark.fault(45)
@pytest.mark.parametrize("skew", [-200.0, 200.0])
def test_fault_45_a_leader_with_a_wrong_clock_drains_nothing_early(skew: float) -> None:
    """The simulation checks every drain by its own time, also after the next leader reads the labels."""
    _change_leader_during_a_removal(skew)


def _change_leader_during_a_removal(skew: float) -> None:
    for seed in range(10):
        with settled(seed=seed) as world:
            world.leader_agent.skew = skew
            faults.request_removal(world, follower(world))
            world.run(6.0)
            world.swarm.lead(next(voter for voter in world.swarm.voters if voter is not world.swarm.leader))
            world.settle(after=60.0)


def test_the_simulator_catches_a_leader_that_trusts_its_own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AwsTime, "observe", lambda self, date, took: None)
    with pytest.raises(Broken, match="I6:"):
        _change_leader_during_a_removal(-200.0)


@pytest.mark.fault(45)
def test_fault_45_a_deputy_acts_when_aws_refuses_the_leaders_signatures() -> None:
    with settled() as world:
        mute, machine = world.leader_agent, workers(world)[0]
        mute.skew = 600.0
        world.run(SILENT_AFTER + 2 * PERIOD)
        faults.request_removal(world, machine)
        world.until(lambda: not machine.alive, BOUND)
        assert "s ahead of AWS's time" in mute.state
        acting = [agent for agent in world.agents.values() if "acts for it" in agent.state]
        assert len(acting) == 1 and "acts for it" in acting[0].document["agents"]
        mute.skew = 0.0
        world.settle()


@pytest.mark.fault(47)
def test_fault_47_an_invalid_message_does_not_block_a_spot_warning() -> None:
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
        assert logs(world).count("is left for the dead-letter queue") == logs(world).count(told) == 1
        world.settle()


@pytest.mark.fault(47)
def test_fault_47_a_node_that_cannot_be_changed_blocks_no_other_removal() -> None:
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
