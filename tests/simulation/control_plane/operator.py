"""The operator: the real modules on a manager, in the order of the playbooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.swarm.aws.plugins.module_utils._core.removal_progress import STAGES
from ansible_collections.swarm.aws.plugins.modules import node_drain, node_remove

from .agent import Agent, SimKeeper

if TYPE_CHECKING:
    from .cloud import Machine
    from .simulated_cluster import SimCluster

Result = Mapping[str, Any]


class Operator(Agent):
    """A running command. A killed command is run again from its beginning."""

    def __init__(self, world: SimCluster, machine: Machine, command: Callable[[Operator], Result]) -> None:
        """``machine`` is the manager that runs the modules."""
        self._command = command
        # The result of the run that finished.
        self.result: Result | None = None
        super().__init__(world, machine, world.swarm)
        world.operators.append(self)

    def _run(self) -> None:
        self.trace("a command starts")
        self.result = self._command(self)

    def drain(self, machine: Machine, *, check: bool = False, **given: object) -> Result:
        """A run of the module `node_drain`."""
        defaults = {"state": "removed", "replace": True, "force": False, "together": [], "seen": {}, "timeout": 300}
        params = {**defaults, "until": STAGES[-1], "instance": machine.id, **given}
        return node_drain.drain(SimKeeper(self), params, check=check, now=self.aws_time.now, sleep=self.world.pause)

    def remove(self, machine: Machine, **given: object) -> Result:
        """The playbook `remove_node.yml`: check the request, write it, and watch each stage."""
        self.drain(machine, check=True, **given)
        result: Result = {"seen": {}}
        for stage in STAGES[1:]:
            result = self.drain(machine, until=stage, seen=result["seen"], **given)
        return result

    def tidy(self) -> Result:
        """The playbook `tidy.yml`."""
        params = {"nodes": [], "timeout": 60}
        return node_remove.tidy(SimKeeper(self), params, check=False, now=self.aws_time.now, sleep=self.world.pause)
