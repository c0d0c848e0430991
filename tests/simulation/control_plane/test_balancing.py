"""Clients of a load balancer see no failure during planned work."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import actions as act
from ansible_collections.swarm.aws.plugins.module_utils._core import node_removal

from tests.simulation.invariant import Broken

from . import faults
from .balancing import STRANGERS, BalancedClient
from .cloud import Machine
from .invariants import Invariants
from .simulated_cluster import BALANCED, SimCluster
from .test_faults import BOUND, CALM, PERIOD, REBALANCE, follower, leader, managers, node
from .weather import Weather
from .work import Service

# Calls fail, are slow or lose their reply; agents are killed and freeze.
ROUGH = replace(CALM, refuse=0.1, stall=0.05, lose_reply=0.2, stale=0.3, crash=0.05, freeze=0.02, skew=0.5)


@contextmanager
def balanced(
    weather: Weather = CALM, seed: int = 1, *, delay: float = 12.0, hold: float = BALANCED.hold_seconds
) -> Iterator[SimCluster]:
    """A cluster whose managers are healthy targets of a shared target group. Stops the agents at the end.

    ``hold`` is the time in seconds that a removal has.
    """
    world = SimCluster(seed, weather, policy=replace(BALANCED, hold_seconds=hold))
    try:
        world.balancing.delay = delay
        world.settle()
        world.until(lambda: all(world.balancing.is_healthy(manager.id) for manager in managers(world)), PERIOD)
        world.calm = False
        yield world
    finally:
        world.end()


def _client(world: SimCluster) -> BalancedClient:
    """A client that has run for longer than its longest request."""
    client = BalancedClient(world)
    world.run(world.balancing.delay + 1.0)
    return client


def _fails_no_request(world: SimCluster, removed: Machine, client: BalancedClient, seconds: float = 90.0) -> None:
    world.settle(after=seconds)
    world.run(world.balancing.delay + 1.0)
    assert not removed.alive
    assert client.requests > 2 * seconds - 5.0
    assert client.failures == 0


@pytest.mark.fault(23)
@pytest.mark.parametrize("delay", [0.0, 12.0, 30.0])
@pytest.mark.parametrize("whose", [follower, leader])
def test_fault_23_a_removal_fails_no_request_of_the_load_balancer(
    whose: Callable[[SimCluster], Machine], delay: float
) -> None:
    for seed in range(3):
        with balanced(seed=seed, delay=delay) as world:
            client, machine = _client(world), whose(world)
            faults.request_removal(world, machine)
            _fails_no_request(world, machine, client)


@pytest.mark.fault(23)
@pytest.mark.parametrize("whose", [follower, leader])
def test_fault_23_an_announced_termination_fails_no_request(
    whose: Callable[[SimCluster], Machine],
) -> None:
    with balanced() as world:
        client, machine = _client(world), whose(world)
        world.cloud.begin_termination(machine)
        _fails_no_request(world, machine, client)
    with balanced() as world:
        client, machine = _client(world), whose(world)
        faults.interrupt(world, machine, 120.0)
        _fails_no_request(world, machine, client, 130.0)
    with balanced() as world:
        client, machine = _client(world), whose(world)
        world.queue.publish(json.dumps({**REBALANCE, "detail": {"instance-id": machine.id}}))
        _fails_no_request(world, machine, client)


@pytest.mark.fault(23)
def test_fault_23_replacing_all_managers_and_a_scale_in_fail_no_request() -> None:
    with balanced() as world:
        client, old = _client(world), managers(world)
        for machine in old:
            world.cloud.scale(machine.group, 4)
            world.until(lambda: len(managers(world)) == 4 and world.unsettled == "", BOUND)
            faults.request_removal(world, machine, replace=True)
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
def test_fault_16_a_removal_in_rough_weather_fails_no_request() -> None:
    # An agent that freezes twice uses up the short time that a removal has in the other stories.
    for seed in range(12):
        with balanced(ROUGH, seed=seed, hold=300) as world:
            client, machine = _client(world), follower(world)
            faults.request_removal(world, machine)
            _fails_no_request(world, machine, client)


@pytest.mark.fault(16)
def test_fault_16_a_change_of_leader_during_a_removal_fails_no_request() -> None:
    for seconds in range(1, 24, 3):
        with balanced() as world:
            client, machine = _client(world), follower(world)
            faults.request_removal(world, machine)
            world.run(float(seconds))
            other = next(voter for voter in world.swarm.voters if voter.machine not in (machine, leader(world)))
            world.swarm.lead(other)
            _fails_no_request(world, machine, client)


@pytest.mark.fault(16)
def test_fault_16_an_agent_that_froze_registers_no_drained_node() -> None:
    """The agent sees that a node is no target, freezes, and would then register the node again."""
    with balanced(delay=0.0) as world:
        removed, old = follower(world), world.leader_agent
        # The drained node still exists when the agent wakes up.
        world.work.add(Service("slow", None, role="manager", stops_in=15.0))
        world.balancing.deregister([removed.id])
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
        other = next(agent for agent in world.agents.values() if agent.machine not in (old.machine, removed))
        faults.request_removal(world, removed)
        other.acts_anyway = True
        world.until(lambda: node(world, removed).availability == "drain", 15.0)
        assert world.now < woken
        world.until(lambda: world.now > woken + 5.0)
        assert removed.id not in world.balancing.registered()
        world.settle()


@pytest.mark.fault(18)
def test_fault_18_a_removal_waits_while_load_balancing_is_unavailable() -> None:
    with balanced() as world:
        client, machine = _client(world), follower(world)
        world.outages[act.BALANCING] = world.now + 40.0
        faults.request_removal(world, machine)
        world.run(39.0)
        assert node(world, machine).availability == "pause"
        awaited = world.leader_agent.last.decision.awaited  # type: ignore[union-attr]
        assert f"an answer from the target group sim, to deregister {machine.id}" in awaited
        _fails_no_request(world, machine, client)


@pytest.mark.fault(12)
def test_fault_12_a_kill_fails_requests_only_until_deregistration() -> None:
    with balanced(delay=0.0) as world:
        client = _client(world)
        killed = world.now
        # A terminated instance stops being a target at once.
        world.kill(follower(world))
        world.settle(after=60.0)
        assert (client.last_failure or killed) - killed <= 1.0


def test_the_simulator_catches_a_drain_before_deregistration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_removal.NodeRemoval, "_balanced", lambda self, instance: iter(()))
    monkeypatch.setattr(Invariants, "_unbalanced", lambda self, agent, member: None)
    with balanced(delay=30.0) as world:
        _client(world)
        faults.request_removal(world, follower(world))
        with pytest.raises(Broken, match=r"I6: i-.* does not answer a request"):
            world.run(60.0)


def test_foreign_targets_stay_when_all_managers_are_replaced() -> None:
    for seed in range(20):
        with balanced(seed=seed) as world:
            if world.balancing.strangers() == set(STRANGERS):
                break
    with balanced(seed=seed) as world:
        for machine in managers(world):
            faults.request_removal(world, machine)
        world.settle(after=1.0)
        assert world.balancing.registered() == {*STRANGERS, *(manager.id for manager in managers(world))}


def test_a_target_that_somebody_deregistered_is_registered_again() -> None:
    with balanced() as world:
        machine = follower(world)
        world.balancing.deregister([machine.id])
        world.until(lambda: machine.id in world.balancing.registered(), PERIOD + 5)
