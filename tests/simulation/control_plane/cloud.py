"""EC2 and Auto Scaling: instances, Auto Scaling groups and lifecycle hooks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Instance

if TYPE_CHECKING:
    from .simulated_cluster import SimCluster

# The simulation's beginning in epoch seconds.
EPOCH = 1_000_000.0
LAUNCHING, TERMINATING = "sim-launching", "sim-terminating"
# How long EC2 still shows a terminated instance, in seconds; in AWS about an hour.
REMEMBERED = 120.0
# The time-out of a hook without heartbeats; a launch is then abandoned, a termination continues.
HOOK_SECONDS = 45.0
LONGEST_WAIT = 300.0


@dataclass(eq=False)
class Group:
    """A node group and its Auto Scaling group."""

    name: str
    role: str
    desired: int
    deleted: bool = False

    @property
    def scaling_group(self) -> str:
        return f"sim-{self.name}"


@dataclass(eq=False)
class Machine:
    """An instance."""

    id: str
    group: Group
    zone: str
    private: str
    public: str | None
    ipv6: str | None
    # As in EC2 and in Auto Scaling; None outside of a group.
    state: str = "pending"
    lifecycle: str | None = "Pending"
    scaling_group: str | None = None
    engine_up: bool = False
    # Whether it ever joins the swarm.
    joins: bool = True
    wait_began: float = 0.0
    wait_until: float = 0.0
    launched_at: float = 0.0
    # When EC2 interrupts it, if EC2 has warned.
    ends_at: float | None = None
    ended_at: float | None = None

    @property
    def alive(self) -> bool:
        """Whether its host runs."""
        return self.state in ("pending", "running")

    @property
    def addresses(self) -> frozenset[str]:
        """Its public addresses."""
        return frozenset(address for address in (self.public, self.ipv6) if address)

    @property
    def serves(self) -> bool:
        """Whether it is in service."""
        return self.lifecycle == "InService" and self.state == "running"

    @property
    def waits(self) -> bool:
        """Whether it waits at a hook."""
        return (self.lifecycle or "").endswith(":Wait")

    @property
    def terminating(self) -> bool:
        """Whether Auto Scaling is terminating it."""
        return (self.lifecycle or "").startswith("Terminat")


class Told[Answer]:
    """The last answers with their times, for answers that are late."""

    def __init__(self) -> None:
        self._answers: list[tuple[float, Answer]] = []

    def note(self, at: float, answer: Answer) -> Answer:
        """Store an answer, and return it."""
        self._answers = [*self._answers[-8:], (at, answer)]
        return answer

    def since(self, earliest: float) -> Answer | None:
        """The first answer since the moment ``earliest``."""
        return next((answer for at, answer in self._answers if at >= earliest), None)


class Cloud:
    """All instances and groups."""

    def __init__(self, world: SimCluster) -> None:
        self._world = world
        self.groups: dict[str, Group] = {}
        self.machines: dict[str, Machine] = {}
        self._free: list[int] = []
        self._addresses = 0
        # Whether the next instance gets a public address, and joins the swarm.
        self.public = self.next_joins = True
        self._told: Told[tuple[Instance, ...]] = Told()

    # Questions

    def instances(self) -> tuple[Instance, ...]:
        """The present answer of EC2 and Auto Scaling."""
        now = self._world.now
        told = tuple(
            Instance(
                id=machine.id,
                group=machine.group.name,
                role=machine.group.role,
                zone=machine.zone,
                state=machine.state,
                private_address=machine.private if machine.ended_at is None else None,
                public_address=machine.public if machine.ended_at is None else None,
                ipv6_address=machine.ipv6 if machine.ended_at is None else None,
                scaling_group=machine.scaling_group,
                lifecycle=machine.lifecycle,
                launched=EPOCH + machine.launched_at,
            )
            for machine in self.machines.values()
            if machine.ended_at is None or machine.lifecycle or now - machine.ended_at < REMEMBERED
        )
        return self._told.note(now, told)

    def instances_some_time_ago(self, seconds: float) -> tuple[Instance, ...]:
        """An answer of EC2 and Auto Scaling that is at most ``seconds`` old."""
        return self._told.since(self._world.now - seconds) or self.instances()

    def gone(self, identifier: str) -> bool:
        machine = self.machines.get(identifier)
        return machine is None or not machine.alive

    @property
    def living(self) -> list[Machine]:
        return [machine for machine in self.machines.values() if machine.alive]

    def members(self, group: Group) -> list[Machine]:
        """The instances that count as the group's capacity."""
        return [
            machine
            for machine in self.machines.values()
            if machine.group is group and machine.scaling_group and machine.lifecycle and not machine.terminating
        ]

    # Calls

    def add_group(self, name: str, role: str, desired: int) -> Group:
        """Create a group without instances; `fit` launches them."""
        group = self.groups[name] = Group(name, role, desired)
        return group

    def complete(self, scaling_group: str, hook: str, identifier: str, result: str) -> bool:
        """Complete a lifecycle action. False if none is active."""
        machine = self._waiting(scaling_group, hook, identifier)
        if machine is None:
            return False
        self._go_on(machine, result)
        return True

    def heartbeat(self, scaling_group: str, hook: str, identifier: str) -> bool:
        """Restart the hook's time-out. False if no action is active."""
        machine = self._waiting(scaling_group, hook, identifier)
        if machine is None:
            return False
        machine.wait_until = min(self._world.now + HOOK_SECONDS, machine.wait_began + LONGEST_WAIT)
        self._world.at(machine.wait_until - self._world.now, lambda: self._expire(machine))
        return True

    def kill(self, machine: Machine) -> None:
        """Terminate an instance without a hook; Auto Scaling notices later."""
        if not machine.alive:
            return
        self._stop(machine)
        self._end(machine)
        self._world.at(self._world.rng.uniform(2, 15), lambda: self._find_unhealthy(machine))

    def begin_termination(self, machine: Machine) -> None:
        """Start a termination with its hook, as a scale-in, a rebalance or `terminate-instance-in-…` does."""
        if machine.scaling_group is None or machine.terminating or machine.group.deleted:
            return
        self._wait(machine, TERMINATING)

    def terminate(self, identifier: str, *, replace: bool) -> bool:
        """`TerminateInstanceInAutoScalingGroup`. False if no group has the instance."""
        machine = self.machines.get(identifier)
        if machine is None or machine.scaling_group is None:
            return False
        if not machine.terminating:
            machine.group.desired -= 0 if replace else 1
            self.begin_termination(machine)
        return True

    def scale(self, group: Group, desired: int) -> None:
        """Set the group's desired capacity."""
        group.desired = desired
        self.fit(group)

    def fit(self, group: Group) -> None:
        """Launch or terminate instances to match the desired capacity."""
        if group.deleted:
            return
        members = self.members(group)
        for _ in range(group.desired - len(members)):
            self.launch(group)
        for machine in members[: max(0, len(members) - group.desired)]:
            self.begin_termination(machine)

    def delete(self, group: Group) -> None:
        """Delete a group by force, which terminates its instances without hooks."""
        group.deleted, group.desired = True, 0
        for machine in [machine for machine in self.machines.values() if machine.group is group]:
            machine.lifecycle = machine.scaling_group = None
            if machine.alive:
                self._stop(machine)
                self._end(machine)

    def detach(self, machine: Machine) -> None:
        """Detach an instance from its group; the group launches another."""
        machine.lifecycle = machine.scaling_group = None
        self.fit(machine.group)

    def launch(self, group: Group, *, ready: bool = False) -> Machine:
        """Launch an instance; with ``ready`` it is in service at once."""
        rng = self._world.rng
        if self._free and self._world.weather.reuse_addresses:
            number = self._free.pop(0)
        else:
            self._addresses = number = self._addresses + 1
        identifier = f"i-{len(self.machines) + 1:08}"
        machine = Machine(
            identifier,
            group,
            "abc"[number % 3],
            f"10.0.0.{number}",
            f"198.51.100.{number}" if self.public else None,
            f"2001:db8::{number:x}" if self.public and self._world.weather.ipv6 else None,
            scaling_group=group.scaling_group,
            launched_at=self._world.now,
        )
        self.machines[identifier] = machine
        machine.joins, self.next_joins = self.next_joins, True
        if ready:
            machine.state, machine.lifecycle, machine.engine_up = "running", "InService", True
        else:
            self._trace(machine, f"launched in {group.name}")
            self._world.at(rng.uniform(1, 5), lambda: self._run(machine))
        return machine

    # Events

    def _run(self, machine: Machine) -> None:
        if machine.alive:
            machine.state = "running"
            if machine.lifecycle == "Pending":
                self._wait(machine, LAUNCHING)
            self._world.boot(machine)

    def _wait(self, machine: Machine, hook: str) -> None:
        launching = hook == LAUNCHING
        machine.lifecycle = "Pending:Wait" if launching else "Terminating:Wait"
        self._trace(machine, machine.lifecycle)
        machine.wait_began, machine.wait_until = self._world.now, self._world.now + HOOK_SECONDS
        self._world.at(HOOK_SECONDS, lambda: self._expire(machine))
        kind = "EC2 Instance-launch Lifecycle Action" if launching else "EC2 Instance-terminate Lifecycle Action"
        self._tell(kind, machine)
        if not launching:
            self.fit(machine.group)
            self._world.changed()

    def _expire(self, machine: Machine) -> None:
        if machine.waits and self._world.now >= machine.wait_until:
            self._trace(machine, f"{machine.lifecycle}: timed out")
            self._world.work.excuse()
            self._go_on(machine, "ABANDON" if machine.lifecycle == "Pending:Wait" else "CONTINUE")

    def _go_on(self, machine: Machine, result: str) -> None:
        if machine.lifecycle == "Pending:Wait" and result == "CONTINUE":
            machine.lifecycle = "InService"
            self._tell("EC2 Instance Launch Successful", machine)
        elif machine.lifecycle == "Pending:Wait":
            self._wait(machine, TERMINATING)
        else:
            machine.lifecycle = "Terminating:Proceed"
            if machine.alive:
                self._stop(machine)
                self._world.at(self._world.rng.uniform(1, 4), lambda: self._end(machine))
            else:
                self._end(machine)
        self._world.changed()

    def _find_unhealthy(self, machine: Machine) -> None:
        if machine.lifecycle and not machine.terminating:
            self.begin_termination(machine)

    def _stop(self, machine: Machine) -> None:
        machine.state = "shutting-down"
        self._trace(machine, "shutting-down")
        self._world.stop(machine)
        self._tell("EC2 Instance State-change Notification", machine)

    def _end(self, machine: Machine) -> None:
        machine.state = "terminated"
        if machine.ended_at is None:
            machine.ended_at = self._world.now
            self._free.append(int(machine.private.rpartition(".")[2]))
        if machine.lifecycle == "Terminating:Proceed":
            machine.lifecycle = machine.scaling_group = None
            self._tell("EC2 Instance Terminate Successful", machine)
            self.fit(machine.group)
        self._world.changed()

    def _waiting(self, scaling_group: str, hook: str, identifier: str) -> Machine | None:
        machine = self.machines.get(identifier)
        if machine is None or machine.scaling_group != scaling_group or not machine.waits:
            return None
        return machine if hook == (LAUNCHING if machine.lifecycle == "Pending:Wait" else TERMINATING) else None

    def _tell(self, kind: str, machine: Machine) -> None:
        key = "instance-id" if "State-change" in kind else "EC2InstanceId"
        self._world.queue.publish(json.dumps({"detail-type": kind, "detail": {key: machine.id}}))

    def _trace(self, machine: Machine, what: str) -> None:
        if self._world.tracing:
            self._world.trace(machine.id, what)
