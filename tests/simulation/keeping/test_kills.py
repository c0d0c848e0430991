"""Agents and commands are killed before and after each of their effects.

Which effects there are is not listed anywhere: they are those of the same story when nobody is killed.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.removal_check import RequestRefused

from . import faults
from .cloud import Machine
from .operator import Operator, Result
from .test_faults import follower, leader, live_voters, managers, node, settled, workers
from .work import START_FIRST, Service
from .world import World


def _removal(whose: Callable[[World], Machine]) -> Callable[[World], None]:
    return lambda world: faults.ask_removal(world, whose(world))


def _command(world: World, command: Callable[[Operator], Result], *, away_from: Machine | None = None) -> Result:
    """Have a command run, until it has come to its end; wherever it is killed, somebody runs it again."""
    there = next(manager for manager in managers(world) if manager is not away_from)
    operator = Operator(world, there, command)
    world.until(lambda: operator.result is not None)
    return operator.result


def _operator_removes(whose: Callable[[World], Machine], **how: object) -> Callable[[World], None]:
    def story(world: World) -> None:
        machine = whose(world)
        desired = machine.group.desired
        _command(world, lambda here: here.remove(machine, **how), away_from=machine)
        assert world.swarm.member_of(machine) is None
        assert machine.group.desired == desired - (0 if how.get("replace", True) else 1)
        again = _command(world, lambda here: here.drain(machine, **how), away_from=machine)
        assert not again["changed"]
        assert again["over"]

    return story


def _two_operators_remove(world: World) -> None:
    """As when a playbook was killed, whose module goes on, and another one was started."""
    machine = follower(world)
    there = next(manager for manager in managers(world) if manager is not machine)
    both = [Operator(world, there, lambda here: here.remove(machine)) for _ in range(2)]
    world.until(lambda: all(command.result is not None for command in both))
    assert world.swarm.member_of(machine) is None


def _operator_keeps(world: World) -> None:
    """A removal is called off while it waits for replacements."""
    web = world.work.services["web"]
    web.starts_in, machine = 20.0, web.tasks[0].member.machine
    faults.ask_removal(world, machine)
    world.until(lambda: node(world, machine).availability == "pause", 20.0)
    _command(world, lambda here: here.drain(machine, state="kept"), away_from=machine)
    world.settle(after=1.0)
    assert machine.alive


def _operator_removes_one_that_never_joins(world: World) -> None:
    world.cloud.next_joins = False
    world.cloud.scale(world.cloud.groups["worker"], 3)
    world.until(lambda: len(workers(world)) == 3 and workers(world)[-1].lifecycle == "Pending:Wait")
    stray = workers(world)[-1]
    _command(world, lambda here: here.remove(stray, replace=False))
    assert world.cloud.groups["worker"].desired == 2
    assert not stray.alive


def _operator_is_told_that_there_is_no_place(world: World) -> None:
    """The replacements are not healthy in time, so that the command calls the removal off."""
    batch = world.work.add(Service("batch", 2, START_FIRST, role="worker"))
    world.run(5.0)
    batch.starts_in = 200.0
    machine = workers(world)[0]

    def command(here: Operator) -> Result:
        with pytest.raises(RequestRefused, match="Its removal was called off"):
            here.remove(machine)
        return {}

    _command(world, command)
    world.settle(after=1.0)
    assert machine.alive
    assert batch.healthy(world.now) == 2


def _operator_tidies(whose: Callable[[World], Machine]) -> Callable[[World], None]:
    """With the agents stopped, which do the same."""

    def story(world: World) -> None:
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


STORIES: dict[str, Callable[[World], None]] = {
    "remove a worker": _removal(lambda world: workers(world)[0]),
    "remove a manager": _removal(follower),
    "remove the leader": _removal(leader),
    "terminate a manager": lambda world: world.cloud.begin_termination(follower(world)),
    "repair after a hard kill": lambda world: world.kill(follower(world)),
    "replace the leader": lambda world: world.kill(leader(world)),
    "publish rotated tokens": lambda world: world.rotate(),
    "put the record right": lambda world: world.zone.put(world.own_record("203.0.113.7")),
    "the command removes a worker": _operator_removes(lambda world: workers(world)[0]),
    "the command has one worker less": _operator_removes(lambda world: workers(world)[0], replace=False),
    "the command removes a manager": _operator_removes(follower),
    "the command removes the leader": _operator_removes(leader),
    "two commands remove a manager": _two_operators_remove,
    "the command keeps a node after all": _operator_keeps,
    "the command ends one that has not joined": _operator_removes_one_that_never_joins,
    "the command calls off what has no place": _operator_is_told_that_there_is_no_place,
    "tidying takes out a dead worker": _operator_tidies(lambda world: workers(world)[0]),
    "tidying takes out a dead voter": _operator_tidies(follower),
    "tidying takes out the leader that was": _operator_tidies(leader),
}


@pytest.mark.fault(16)
@pytest.mark.fault(30)
@pytest.mark.parametrize("story", STORIES)
def test_fault_30_whoever_has_an_effect_is_killed_before_and_after_it(story: str) -> None:
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
