"""The simulated cluster: all models, and the agents of its managers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from ansible_collections.swarm.aws.plugins.module_utils._core import dns, node_labels
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Record
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import ROLES
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Dns, Group, Policy
from ansible_collections.swarm.aws.plugins.module_utils._core.removal_deadlines import RESERVE

from tests.simulation.bucket import CLUSTER_RECORD, Bucket, token_key
from tests.simulation.invariant import Broken
from tests.simulation.scheduler import Bell, Scheduler

from .agent import Agent
from .balancing import TARGET_GROUP, Balancing
from .cloud import EPOCH, Cloud, Machine
from .invariants import SLACK, Invariants
from .queue import Queue
from .swarm import Member, Swarm
from .weather import Weather
from .work import START_FIRST, Service, Task, Work
from .zone import Zone

TTL = 5
RECORD = "www.example.com"
POLICY = Policy(
    cluster="sim",
    groups={"manager": Group("manager", {"edge": "true"}, dns=True), "worker": Group("worker")},
    dns=Dns("Z1", RECORD, TTL),
    queue="sim-events",
    region="eu-west-1",
    drain_seconds=15,
    surge_seconds=25,
    launch_seconds=60,
    hold_seconds=90,
    heartbeat_seconds=10,
)
# With a load balancer in front of the managers.
BALANCED = replace(
    POLICY, groups={**POLICY.groups, "manager": replace(POLICY.groups["manager"], target_groups=(TARGET_GROUP,))}
)
# How long the cluster may take to converge after the last fault, in seconds.
CONVERGES = 600.0
LOOK = 2.0


class SimCluster:
    """The whole simulation."""

    def __init__(self, seed: int, weather: Weather | None = None, *, trace: bool = False, policy: Policy = POLICY):
        self.rng = random.Random(seed)
        self.weather = weather or Weather.of(self.rng)
        self.policy = policy
        if self.weather.ipv6 and policy.dns:
            self.policy = replace(policy, dns=replace(policy.dns, ipv6=True))
        self.tracing = trace
        self.scheduler = Scheduler()
        self.calm = False
        # When an operator deleted the nodes of machines.
        self.deleted_at: dict[Machine, float] = {}
        # Services with an outage, and until when.
        self.outages: dict[str, float] = {}
        self.record_is_foreign = False
        # What an agent's call raised besides the errors of a service, such as a broken invariant.
        self.mistake: Exception | None = None
        # Until when some agent is frozen.
        self.frozen_until = float("-inf")
        # When each of ECR's passwords expires.
        self.registries: dict[str, float] = {}
        # The agents' effects in order. The agent is killed at the effect `crash_at`, before (True) or after it.
        self.effects: list[str] = []
        self.crash_at: tuple[int, bool] | None = None
        self.invariants = Invariants(self)
        self.cloud = Cloud(self)
        self.work = Work(self)
        self.swarm = Swarm(self)
        self.zone = Zone(self)
        self.balancing = Balancing(self, seed)
        self.queue = Queue(self)
        self.bucket = Bucket(self.invariants.bucket)
        self.agents: dict[str, Agent] = {}
        self.operators: list[Agent] = []
        self._form()

    def _form(self) -> None:
        """A formed cluster, in service."""
        for name, count in (("manager", self.weather.managers), ("worker", self.weather.workers)):
            group = self.cloud.add_group(name, name, count)
            for _ in range(count):
                machine = self.cloud.launch(group, ready=True)
                self.swarm.add(machine, name)
        first = next(iter(self.cloud.machines.values()))
        self.bucket.form(self.swarm.id, first.id, {role: self.swarm.token(role) for role in ROLES})
        # A leader's first pass stores the cluster record in the swarm.
        self.swarm.remembered = self.bucket.objects[CLUSTER_RECORD].value
        self.work.add(Service("edge", None, role="manager"))
        self.work.add(Service("web", 2, START_FIRST))
        self.work.add(Service("queue", 1))
        for machine in list(self.cloud.machines.values()):
            if machine.group.role == "manager":
                self.agents[machine.id] = Agent(self, machine, self.swarm)

    # Time and chance

    @property
    def now(self) -> float:
        return self.scheduler.now

    def at(self, delay: float, call: Callable[[], object]) -> None:
        """Schedule a call in ``delay`` seconds."""
        self.scheduler.at(self.scheduler.now + delay, call)

    def pause(self, seconds: float, bell: Bell | None = None) -> None:
        """Let time pass in the calling process."""
        self.scheduler.pause(seconds, bell)

    def happens(self, probability: float) -> bool:
        """Whether a fault happens now."""
        return probability > 0 and not self.calm and self.rng.random() < probability

    def changed(self) -> None:
        """Check the invariants after a change."""
        self.invariants.step()

    def count_effect(self, what: str) -> int:
        """Note the next effect, and return its number, from 1."""
        self.effects.append(what)
        return len(self.effects)

    def trace(self, who: str, what: str) -> None:
        if self.tracing:
            print(f"{self.now:9.3f}  {who:8}  {what}")

    def note(self, what: str, machine: Machine) -> None:
        self.trace(machine.id, what)

    def broken(self, why: str) -> None:
        raise Broken(why)

    # Nodes

    def boot(self, machine: Machine) -> None:
        """Start the engine and join the node, without the real joiner."""

        def up() -> None:
            if machine.alive:
                machine.engine_up = True
                self._join(machine)

        self.at(self.rng.uniform(1, 8), up)

    def stop(self, machine: Machine) -> None:
        """Stop the host."""
        machine.engine_up = False
        if any(member.machine is machine for member in self.swarm.members.values()):
            self.work.excuse()
        self._silence(machine)

    def reboot(self, machine: Machine, seconds: float) -> None:
        """Restart the host."""
        if not machine.alive or not machine.engine_up:
            return
        self.trace(machine.id, "reboots")
        machine.engine_up = False
        self.work.excuse()
        self._silence(machine)

        def up() -> None:
            if machine.alive:
                machine.engine_up = True
                self.swarm.disturbed()
                self._join(machine)
                if machine.id in self.agents:
                    self.agents[machine.id].start(1.0)

        self.at(seconds, up)

    def kill(self, machine: Machine) -> None:
        """Terminate an instance without warning."""
        self.cloud.kill(machine)

    def partition(self, machines: frozenset[Machine]) -> None:
        """Separate these instances from the others; an empty set heals the partition."""
        self.trace("network", f"isolated: {', '.join(sorted(machine.id for machine in machines)) or 'none'}")
        self.swarm.isolated = machines
        self.work.excuse()
        self.swarm.disturbed()

    def rejoin(self, machine: Machine) -> None:
        """Run `docker swarm leave --force` on a node, so that its agent joins again."""
        member = self.swarm.member_of(machine)
        if member is None or not machine.engine_up:
            return
        self.trace(machine.id, "leaves the swarm by force")
        member.left = True
        self.work.excuse()
        self._silence(machine)
        self.at(self.rng.uniform(1, 5), lambda: self._join(machine))

    def delete_by_hand(self, machine: Machine, member: Member) -> None:
        """Delete a live worker's node; its agent joins again once it has read that often enough."""
        self.trace(machine.id, "is deleted from the swarm")
        del self.swarm.members[member.id]
        member.removed = True
        self.deleted_at[machine] = self.now
        self.work.excuse()
        self.swarm.disturbed()
        self.at(self.rng.uniform(60, 120), lambda: self._join(machine))

    def split(self, machine: Machine) -> None:
        """Initialise another swarm on a manager, whose agent goes on."""
        member, agent = self.swarm.member_of(machine), self.agents.get(machine.id)
        if member is None or agent is None or not machine.engine_up:
            return
        self.trace(machine.id, "initialises another swarm")
        member.left = True
        self.work.excuse()
        agent.swarm = Swarm(self, "swarm2")
        agent.swarm.add(machine, "manager")
        self.swarm.disturbed()

    def listens(self, machine: Machine, asking: Machine) -> bool:
        """Whether a manager's engine answers another host on the swarm's port."""
        agent = self.agents.get(machine.id)
        swarm = agent.swarm if agent else self.swarm
        member = swarm.member_of(machine)
        return machine.engine_up and member is not None and member.voter and self.swarm.connected(machine, asking)

    def rotate(self) -> None:
        """Rotate the join tokens."""
        self.trace("operator", "rotates the tokens")
        self.swarm.epoch += 1

    def _silence(self, machine: Machine) -> None:
        if machine.id in self.agents:
            self.agents[machine.id].stop()
        self.swarm.disturbed()

    def _join(self, machine: Machine) -> None:
        """Join, or try again later."""
        if not machine.alive or not machine.engine_up or not machine.joins or self.swarm.member_of(machine):
            return
        stored = self.bucket.get(token_key(machine.group.role))
        try:
            if stored is None:
                raise Unavailable("no join token is published")
            member = self.swarm.join(machine, stored.value.secret)
        except Unavailable:
            self.at(3.0, lambda: self._join(machine))
            return
        self.trace(machine.id, f"joined as {member.id}")
        if member.role == "manager":
            if machine.id in self.agents:
                self.agents[machine.id].swarm = self.swarm
                self.agents[machine.id].start(1.0)
            else:
                self.agents[machine.id] = Agent(self, machine, self.swarm)

    # Questions

    def serving(self) -> tuple[str, ...]:
        """The addresses that the record should have at the end."""
        if self.policy.dns is None:
            return ()
        groups = {name for name, group in self.policy.groups.items() if group.dns}
        return tuple(sorted(address for machine in self._in_service(groups) for address in machine.addresses))

    def targets(self) -> frozenset[str]:
        """The instances that should be targets at the end."""
        groups = {name for name, group in self.policy.groups.items() if group.target_groups}
        return frozenset(machine.id for machine in self._in_service(groups))

    def _in_service(self, groups: set[str]) -> Iterator[Machine]:
        return (machine for machine in self.cloud.machines.values() if machine.group.name in groups and machine.serves)

    def serves(self, address: str) -> bool:
        """Whether a healthy task of the edge service answers at an address."""
        edge = self.work.services["edge"]
        return any(edge.serves(task, self.now) and address in task.member.machine.addresses for task in edge.tasks)

    def task_at(self, target: str) -> Task | None:
        """The edge service's healthy task on an instance, if there is any."""
        tasks = self.work.services["edge"].tasks
        return next((task for task in tasks if task.member.machine.id == target and self.runs(task)), None)

    def runs(self, task: Task) -> bool:
        """Whether a task of the edge service still exists and is healthy."""
        edge = self.work.services["edge"]
        return task in edge.tasks and edge.serves(task, self.now)

    def answers(self, target: str) -> bool:
        """Whether a target answers; foreign targets always do."""
        return target not in self.cloud.machines or self.task_at(target) is not None

    def dips_count(self, service: Service) -> bool:
        """Whether a planned action must not leave the service short of tasks."""
        return service.order == START_FIRST and self.work.place(service) is not None

    def hurried(self, machine: Machine, member: Member) -> bool:
        """Whether its deadline is so close that the wait for resolvers may be cut."""
        since = member.noted_at[node_labels.REMOVING] if node_labels.REMOVING in member.labels else None
        ends = [] if since is None else [since + self.policy.hold_seconds]
        if machine.ends_at is not None:
            ends.append(machine.ends_at)
        longest = max(service.stops_in for service in self.work.services.values())
        return bool(ends) and self.now >= min(ends) - RESERVE - longest - SLACK - self.weather.skew

    @property
    def leader_agent(self) -> Agent:
        """The leader's agent."""
        return self.agents[self.swarm.leader.machine.id]

    # The story

    def run(self, seconds: float) -> None:
        """Let time pass. Raises Broken."""
        end = self.now + seconds
        self.scheduler.run(lambda: False, end)
        self.scheduler.now = end

    def until(self, condition: Callable[[], bool], limit: float = CONVERGES) -> None:
        """Let time pass until a condition holds. Raises Broken."""
        if not self.scheduler.run(condition, self.now + limit):
            raise Broken(f"the condition did not hold within {limit:g} s")

    def settle(self, limit: float = CONVERGES, *, after: float = 0.0) -> None:
        """Let ``after`` seconds pass, stop all faults, and wait until the cluster has converged. Raises Broken."""
        if after:
            self.run(after)
        self.calm = True
        self.outages.clear()
        self.zone.gone = False
        self.cloud.public = self.cloud.next_joins = True
        self.restore_record(Record())
        for agent in self.agents.values():
            agent.acts_anyway, agent.hangs_until = False, 0.0
        if self.swarm.isolated:
            self.partition(frozenset())
        end = self.now + limit
        while self.unsettled:
            if self.swarm.lost:
                return
            if self.now >= end:
                raise Broken(f"not converged after {limit:g} s: {self.unsettled}")
            self.run(LOOK)

    @property
    def unsettled(self) -> str:
        return self.invariants.unsettled()

    def end(self) -> None:
        """Stop all processes."""
        for process in (*self.agents.values(), *self.operators):
            process.stop()
        self.run(0.0)

    def suffer(self, fault: Callable[[SimCluster], None]) -> None:
        """Make a fault happen."""
        self.trace("fault", fault.__name__)
        fault(self)

    def restore_record(self, record: Record) -> None:
        """Replace the foreign record."""
        if self.record_is_foreign:
            self.record_is_foreign = False
            self.zone.put_by_hand(record)

    def timestamp(self, later: float = 0.0) -> str:
        """The date and time in the format of events, ``later`` seconds from now."""
        return datetime.fromtimestamp(EPOCH + self.now + later, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def own_record(self, *addresses: str) -> Record:
        """The cluster's record with these addresses."""
        values = tuple(sorted(addresses))
        return dns.sync(values, Record(), self.policy.dns, self.policy.owner).after
