"""Clients that come by a load balancer see no failure, whatever of what is planned goes on behind it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import actions as act
from ansible_collections.swarm.aws.plugins.module_utils._core import node_removal

from . import faults
from .balancing import STRANGERS, Client
from .cloud import Machine
from .invariants import Broken, Invariants
from .test_faults import BOUND, CALM, PERIOD, REBALANCE, follower, leader, managers, node
from .weather import Weather
from .work import Service
from .world import BALANCED, World

# Services answer with errors, late, or not at all though they did what was asked; agents are killed and stand still.
ROUGH = replace(CALM, refuse=0.1, stall=0.05, lose_reply=0.2, stale=0.3, crash=0.05, freeze=0.02, skew=0.5)


@contextmanager
def balanced(weather: Weather = CALM, seed: int = 1, *, delay: float = 12.0) -> Iterator[World]:
    """A cluster whose managers are all healthy targets, shared with others, and whose agents end with the test."""
    world = World(seed, weather, policy=BALANCED)
    try:
        world.balancing.delay = delay
        world.settle()
        world.until(lambda: all(world.balancing.is_healthy(manager.id) for manager in managers(world)), PERIOD)
        world.calm = False
        yield world
    finally:
        world.end()


def _client(world: World) -> Client:
    """A client whose first requests are as old as they get."""
    client = Client(world)
    world.run(world.balancing.delay + 1.0)
    return client


def _goes_well(world: World, going: Machine, client: Client, seconds: float = 90.0) -> None:
    world.settle(after=seconds)
    world.run(world.balancing.delay + 1.0)
    assert not going.alive
    assert client.requests > 2 * seconds - 5.0
    assert client.failures == 0


@pytest.mark.fault(23)
@pytest.mark.parametrize("delay", [0.0, 12.0, 30.0])
@pytest.mark.parametrize("whose", [follower, leader])
def test_fault_23_requests_by_the_load_balancer_outlive_a_removal(
    whose: Callable[[World], Machine], delay: float
) -> None:
    for seed in range(3):
        with balanced(seed=seed, delay=delay) as world:
            client, machine = _client(world), whose(world)
            faults.ask_removal(world, machine)
            _goes_well(world, machine, client)


@pytest.mark.fault(23)
@pytest.mark.parametrize("whose", [follower, leader])
def test_fault_23_so_they_do_when_auto_scaling_ends_it_or_ec2_gives_notice_in_time(
    whose: Callable[[World], Machine],
) -> None:
    with balanced() as world:
        client, machine = _client(world), whose(world)
        world.cloud.begin_termination(machine)
        _goes_well(world, machine, client)
    with balanced() as world:
        client, machine = _client(world), whose(world)
        faults.interrupt(world, machine, 120.0)
        _goes_well(world, machine, client, 130.0)
    with balanced() as world:
        client, machine = _client(world), whose(world)
        world.queue.publish(json.dumps({**REBALANCE, "detail": {"instance-id": machine.id}}))
        _goes_well(world, machine, client)


@pytest.mark.fault(23)
def test_fault_23_so_they_do_when_all_managers_are_replaced_one_after_the_other_and_when_fewer_are_wanted() -> None:
    with balanced() as world:
        client, old = _client(world), managers(world)
        for machine in old:
            world.cloud.scale(machine.group, 4)
            world.until(lambda: len(managers(world)) == 4 and world.unsettled == "", BOUND)
            faults.ask_removal(world, machine, replace=True)
            machine.group.desired = 3
            world.run(1.0)
            world.until(lambda machine=machine: not machine.alive and world.unsettled == "", 2 * BOUND)
        world.cloud.scale(world.cloud.groups["manager"], 1)
        world.settle(after=60.0)
        assert len(managers(world)) == 1
        assert client.requests > 200
        assert client.failures == 0


@pytest.mark.fault(16)
@pytest.mark.fault(18)
def test_fault_16_requests_outlive_a_removal_in_rough_weather() -> None:
    """While calls to all services fail, hang, or do what they say they did not, and agents are killed anywhere."""
    for seed in range(12):
        with balanced(ROUGH, seed=seed) as world:
            client, machine = _client(world), follower(world)
            faults.ask_removal(world, machine)
            _goes_well(world, machine, client)


@pytest.mark.fault(16)
def test_fault_16_requests_outlive_a_change_of_leader_in_the_middle_of_a_removal() -> None:
    for seconds in range(1, 24, 3):
        with balanced() as world:
            client, machine = _client(world), follower(world)
            faults.ask_removal(world, machine)
            world.run(float(seconds))
            other = next(voter for voter in world.swarm.voters if voter.machine not in (machine, leader(world)))
            world.swarm.lead(other)
            _goes_well(world, machine, client)


@pytest.mark.fault(16)
def test_fault_16_an_agent_that_wakes_up_too_late_does_not_register_what_another_drained() -> None:
    """It has seen that a node is no target, stands still, and would then have it sent requests again."""
    with balanced(delay=0.0) as world:
        going, old = follower(world), world.leader_agent
        # So that it is still there, drained, when the agent wakes up.
        world.work.add(Service("slow", None, role="manager", stops_in=15.0))
        world.balancing.deregister([going.id])
        honest = old.call

        def call(service: str, what: str, effect: Callable[[], object], *, write: bool = False) -> object:
            answer = honest(service, what, effect, write=write)
            if service == act.BALANCING:
                old.call = honest  # type: ignore[method-assign]
                world.pause(15.0)
            return answer

        old.call = call  # type: ignore[method-assign,assignment]
        world.until(lambda: old.call is honest, PERIOD + 5)
        woken = world.now + 15.0
        other = next(agent for agent in world.agents.values() if agent.machine not in (old.machine, going))
        faults.ask_removal(world, going)
        other.acts_anyway = True
        world.until(lambda: node(world, going).availability == "drain", 15.0)
        assert world.now < woken
        world.until(lambda: world.now > woken + 5.0)
        assert going.id not in world.balancing.registered()
        world.settle()


@pytest.mark.fault(18)
def test_fault_18_a_removal_waits_while_elastic_load_balancing_does_not_answer() -> None:
    with balanced() as world:
        client, machine = _client(world), follower(world)
        world.outages[act.BALANCING] = world.now + 40.0
        faults.ask_removal(world, machine)
        world.run(39.0)
        assert node(world, machine).availability == "pause"
        awaited = world.leader_agent.last.decision.awaited  # type: ignore[union-attr]
        assert f"an answer from the target group sim, to deregister {machine.id}" in awaited
        _goes_well(world, machine, client)


@pytest.mark.fault(12)
def test_fault_12_users_notice_a_hard_kill_no_longer_than_the_load_balancer_does() -> None:
    with balanced(delay=0.0) as world:
        client = _client(world)
        killed = world.now
        # An instance that ends is no target any more, as soon as it does.
        world.kill(follower(world))
        world.settle(after=60.0)
        assert (client.last_failure or killed) - killed <= 1.0


def test_clients_notice_a_node_that_is_drained_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_removal.NodeRemoval, "_balanced", lambda self, instance: iter(()))
    monkeypatch.setattr(Invariants, "_unbalanced", lambda self, agent, member: None)
    with balanced(delay=30.0) as world:
        _client(world)
        faults.ask_removal(world, follower(world))
        with pytest.raises(Broken, match=r"I6: i-.* does not answer a request"):
            world.run(60.0)


def test_targets_of_somebody_else_stay_whatever_becomes_of_the_cluster() -> None:
    for seed in range(20):
        with balanced(seed=seed) as world:
            if world.balancing.strangers() == set(STRANGERS):
                break
    with balanced(seed=seed) as world:
        for machine in managers(world):
            faults.ask_removal(world, machine)
        world.settle(after=1.0)
        assert world.balancing.registered() == {*STRANGERS, *(manager.id for manager in managers(world))}


def test_a_target_that_somebody_deregistered_comes_back() -> None:
    with balanced() as world:
        machine = follower(world)
        world.balancing.deregister([machine.id])
        world.until(lambda: machine.id in world.balancing.registered(), PERIOD + 5)
