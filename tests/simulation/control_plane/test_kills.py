"""Agents and commands are killed before and after each of their effects.

A first run of each story, without kills, collects the effects.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.removal_check import RequestRefused

from . import faults
from .cloud import Machine
from .operator import Operator, Result
from .simulated_cluster import SimCluster
from .test_faults import follower, leader, live_voters, managers, node, settled, workers
from .work import START_FIRST, Service


def _removal(whose: Callable[[SimCluster], Machine]) -> Callable[[SimCluster], None]:
    return lambda world: faults.request_removal(world, whose(world))


def _command(world: SimCluster, command: Callable[[Operator], Result], *, away_from: Machine | None = None) -> Result:
    """Run a command to its end; after each kill, it is run again."""
    there = next(manager for manager in managers(world) if manager is not away_from)
    operator = Operator(world, there, command)
    world.until(lambda: operator.result is not None)
    return operator.result


def _operator_removes(whose: Callable[[SimCluster], Machine], **how: object) -> Callable[[SimCluster], None]:
    def story(world: SimCluster) -> None:
        machine = whose(world)
        desired = machine.group.desired
        _command(world, lambda here: here.remove(machine, **how), away_from=machine)
        assert world.swarm.member_of(machine) is None
        assert machine.group.desired == desired - (0 if how.get("replace", True) else 1)
        again = _command(world, lambda here: here.drain(machine, **how), away_from=machine)
        assert not again["changed"]
        assert again["over"]

    return story


def _two_operators_remove(world: SimCluster) -> None:
    """The module of a killed playbook goes on while a second playbook runs."""
    machine = follower(world)
    there = next(manager for manager in managers(world) if manager is not machine)
    both = [Operator(world, there, lambda here: here.remove(machine)) for _ in range(2)]
    world.until(lambda: all(command.result is not None for command in both))
    assert world.swarm.member_of(machine) is None


def _operator_cancels(world: SimCluster) -> None:
    """The operator cancels a removal that waits for replacements."""
    web = world.work.services["web"]
    web.starts_in, machine = 20.0, web.tasks[0].member.machine
    faults.request_removal(world, machine)
    world.until(lambda: node(world, machine).availability == "pause", 20.0)
    _command(world, lambda here: here.drain(machine, state="kept"), away_from=machine)
    world.settle(after=1.0)
    assert machine.alive


def _operator_removes_an_instance_that_never_joins(world: SimCluster) -> None:
    world.cloud.next_joins = False
    world.cloud.scale(world.cloud.groups["worker"], 3)
    world.until(lambda: len(workers(world)) == 3 and workers(world)[-1].lifecycle == "Pending:Wait")
    stray = workers(world)[-1]
    _command(world, lambda here: here.remove(stray, replace=False))
    assert world.cloud.groups["worker"].desired == 2
    assert not stray.alive


def _removal_without_a_place_is_cancelled(world: SimCluster) -> None:
    """The replacements are not healthy in time, so the command cancels the removal."""
    batch = world.work.add(Service("batch", 2, START_FIRST, role="worker"))
    world.run(5.0)
    batch.starts_in = 200.0
    machine = workers(world)[0]

    def command(here: Operator) -> Result:
        with pytest.raises(RequestRefused, match="Its removal was cancelled"):
            here.remove(machine)
        return {}

    _command(world, command)
    world.settle(after=1.0)
    assert machine.alive
    assert batch.healthy(world.now) == 2


def _operator_tidies(whose: Callable[[SimCluster], Machine]) -> Callable[[SimCluster], None]:
    """Tidy while the agents, which would do the same, are stopped."""

    def story(world: SimCluster) -> None:
        dead = whose(world)
        ghost = node(world, dead)
        for agent in world.agents.values():
            agent.stop()
        world.kill(dead)
        world.until(lambda: ghost.state == "down")
        _command(world, lambda here: here.tidy(), away_from=dead)
        assert ghost.id not in world.swarm.members
        for agent in world.agents.values():
            agent.start(1.0)

    return story


STORIES: dict[str, Callable[[SimCluster], None]] = {
    "remove a worker": _removal(lambda world: workers(world)[0]),
    "remove a manager": _removal(follower),
    "remove the leader": _removal(leader),
    "terminate a manager": lambda world: world.cloud.begin_termination(follower(world)),
    "repair after a hard kill": lambda world: world.kill(follower(world)),
    "replace the leader": lambda world: world.kill(leader(world)),
    "publish rotated tokens": lambda world: world.rotate(),
    "correct the record": lambda world: world.zone.put(world.own_record("203.0.113.7")),
    "the command removes a worker": _operator_removes(lambda world: workers(world)[0]),
    "the command removes a worker for good": _operator_removes(lambda world: workers(world)[0], replace=False),
    "the command removes a manager": _operator_removes(follower),
    "the command removes the leader": _operator_removes(leader),
    "two commands remove a manager": _two_operators_remove,
    "the command cancels a removal": _operator_cancels,
    "the command removes an instance that never joins": _operator_removes_an_instance_that_never_joins,
    "the command cancels a removal without a place": _removal_without_a_place_is_cancelled,
    "tidying deletes a dead worker": _operator_tidies(lambda world: workers(world)[0]),
    "tidying deletes a dead voter": _operator_tidies(follower),
    "tidying deletes the dead leader": _operator_tidies(leader),
}


@pytest.mark.fault(16)
@pytest.mark.fault(30)
@pytest.mark.parametrize("story", STORIES)
def test_fault_30_a_kill_before_or_after_any_effect_is_survived(story: str) -> None:
    with settled() as world:
        begun = len(world.effects)
        STORIES[story](world)
        world.settle(after=1.0)
        effects = len(world.effects)
    assert effects > begun
    for effect in range(begun + 1, effects + 1):
        for before in (True, False):
            with settled() as world:
                assert len(world.effects) == begun
                world.crash_at = (effect, before)
                STORIES[story](world)
                world.settle(after=1.0)
                assert len(world.effects) >= effect
                assert (len(world.swarm.voters), live_voters(world)) == (3, 3)
