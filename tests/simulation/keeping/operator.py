"""Somebody at the controller: the modules' own work, on a manager, in the order in which the playbooks have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.swarm.aws.plugins.module_utils._core.removal_progress import STAGES
from ansible_collections.swarm.aws.plugins.modules import node_drain, node_remove

from .agent import Agent, SimKeeper

if TYPE_CHECKING:
    from .cloud import Machine
    from .world import World

Result = Mapping[str, Any]


class Operator(Agent):
    """A command on its way. One that is killed is run again from its beginning."""

    def __init__(self, world: World, machine: Machine, command: Callable[[Operator], Result]) -> None:
        """``machine`` is the manager on which its modules run."""
        self._command = command
        # What the run that came to its end returned.
        self.result: Result | None = None
        super().__init__(world, machine, world.swarm)
        world.operators.append(self)

    def _run(self) -> None:
        self.trace("a command starts")
        self.result = self._command(self)

    def drain(self, machine: Machine, *, check: bool = False, **given: object) -> Result:
        """One run of the module `node_drain`."""
        usual = {"state": "removed", "replace": True, "force": False, "together": [], "seen": {}, "timeout": 300}
        params = {**usual, "until": STAGES[-1], "instance": machine.id, **given}
        return node_drain.drain(SimKeeper(self), params, check=check, now=self.aws_time.now, sleep=self.world.pause)

    def remove(self, machine: Machine, **given: object) -> Result:
        """The playbook `remove_node.yml`: it asks whether it can be done, asks for it, and watches each stage."""
        self.drain(machine, check=True, **given)
        result: Result = {"seen": {}}
        for stage in STAGES[1:]:
            result = self.drain(machine, until=stage, seen=result["seen"], **given)
        return result

    def tidy(self) -> Result:
        """The playbook `tidy.yml`."""
        params = {"nodes": [], "timeout": 60}
        return node_remove.tidy(SimKeeper(self), params, check=False, now=self.aws_time.now, sleep=self.world.pause)
