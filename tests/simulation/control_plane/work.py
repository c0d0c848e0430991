"""Services and their tasks, and the orchestrator that puts them on nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ansible_collections.swarm.aws.plugins.module_utils._core import cluster
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.registry_credentials import Grant

from .swarm import Member

if TYPE_CHECKING:
    from .simulated_cluster import SimCluster

START_FIRST, STOP_FIRST = "start-first", "stop-first"


@dataclass(eq=False)
class Task:
    """A task on a node, running or starting."""

    id: str
    service: str
    member: Member
    healthy_at: float
    stopped_at: float | None = None


@dataclass(eq=False)
class Service:
    """A service's specification and its tasks."""

    name: str
    replicas: int | None
    """None for a global service."""
    order: str = STOP_FIRST
    role: str | None = None
    """A placement constraint: managers or workers only."""
    per_node: int = 0
    """How many tasks fit on a node; 0 for any number."""
    starts_in: float = 2.0
    stops_in: float = 2.0
    labels: Mapping[str, str] = field(default_factory=dict)
    version: int = 0
    image: str = ""
    granted: str = ""
    """The password for its image."""
    grant_ends: float = float("-inf")
    """When the password expires."""
    declared: int = 0
    """The owner's replicas; the agent may raise them for a while."""
    tasks: list[Task] = field(default_factory=list)
    excused: bool = True
    """Whether an unplanned event has hit it since it last had all its tasks."""

    def healthy(self, now: float) -> int:
        """The number of healthy tasks."""
        return sum(self.serves(task, now) for task in self.tasks)

    @staticmethod
    def serves(task: Task, now: float) -> bool:
        """Whether a task is healthy."""
        member = task.member
        return member.machine.engine_up and not member.left and task.healthy_at <= now and task.stopped_at is None

    def allows(self, member: Member) -> bool:
        """Whether its constraint allows the node."""
        return self.role is None or member.role == self.role


class Work:
    """All services, and the orchestrator."""

    def __init__(self, world: SimCluster) -> None:
        self._world = world
        self.services: dict[str, Service] = {}
        # The time of the last unplanned event.
        self.excused_at = float("-inf")
        self._tasks = 0

    def add(self, service: Service) -> Service:
        """Deploy a service."""
        service.declared = service.replicas or 0
        self.services[service.name] = service
        self.orchestrate()
        return service

    def excuse(self) -> None:
        """Note an unplanned event: services may lack tasks until they have all of them again."""
        self.excused_at = self._world.now
        for service in self.services.values():
            service.excused = True

    def count(self) -> Mapping[str, int]:
        """The number of tasks by node."""
        return Counter(task.member.id for service in self.services.values() for task in service.tasks)

    def view(self) -> tuple[cluster.Service, ...]:
        """The services as the engine lists them."""
        return tuple(self._view(self.services[name]) for name in sorted(self.services))

    def version(self, name: str) -> int:
        """The version of a service's specification; -1 without the service."""
        return self.services[name].version if name in self.services else -1

    def scale(self, name: str, version: int, replicas: int, labels: Mapping[str, str]) -> None:
        """Change a service's count and labels. Raises Unavailable."""
        service = self._update(name, version)
        service.replicas, service.labels = replicas, dict(labels)
        self.orchestrate()

    def authorize(self, name: str, version: int, grant: Grant, labels: Mapping[str, str]) -> None:
        """Change a service's credentials and labels. Raises Unavailable."""
        service = self._update(name, version)
        service.labels = dict(labels)
        service.granted, service.grant_ends = grant.password, self._world.registries[grant.password]

    def _update(self, name: str, version: int) -> Service:
        service = self.services.get(name)
        if service is None or service.version != version:
            raise Unavailable("update out of sequence")
        service.version += 1
        return service

    def deploy(self, service: Service, replicas: int) -> None:
        """Deploy as the owner: set the replicas, and drop the agent's labels."""
        service.version += 1
        service.replicas = service.declared = replicas
        service.labels, service.excused = {}, True
        self.orchestrate()

    def _view(self, service: Service) -> cluster.Service:
        now = self._world.now
        healthy: Counter[str] = Counter()
        starting: Counter[str] = Counter()
        stopping: Counter[str] = Counter()
        for task in service.tasks:
            state = stopping if task.stopped_at is not None else healthy if task.healthy_at <= now else starting
            state[task.member.id] += 1
        wanted = service.replicas or 0
        pending = max(0, wanted - sum(healthy.values()) - sum(starting.values())) if service.replicas is not None else 0
        return cluster.Service(
            id=service.name,
            name=service.name,
            mode="global" if service.replicas is None else "replicated",
            replicas=wanted,
            start_first=service.order == START_FIRST,
            labels=service.labels,
            stop_seconds=service.stops_in,
            needs=cluster.Needs(
                constraints=(f"node.role == {service.role}",) if service.role else (),
                most_per_node=service.per_node,
                host_ports=(80,) if service.replicas is None else (),
            ),
            healthy=dict(healthy),
            starting=dict(starting),
            stopping=dict(stopping),
            image=service.image,
            renewable=True,
            pending=pending,
            why_pending="no suitable node" if pending and self.place(service) is None else "",
        )

    def place(self, service: Service) -> Member | None:
        """The node of the next task, if any fits."""
        open_nodes = [node for node in self._open(service) if self._fits(service, node)]
        load = Counter(task.member for task in service.tasks)
        return min(open_nodes, key=lambda open_node: (load[open_node], open_node.id), default=None)

    def orchestrate(self) -> None:
        """Start and stop tasks, as the leader does after every change."""
        swarm = self._world.swarm
        for service in self.services.values():
            # A node that comes back stops tasks that were replaced meanwhile.
            for task in list(service.tasks):
                if task.member.state == "down" or task.member.removed or task.member.id not in swarm.members:
                    service.tasks.remove(task)
                    if task.member.state == "down":
                        service.excused, self.excused_at = True, self._world.now
            if swarm.works:
                self._fit(service)

    def _fit(self, service: Service) -> None:
        for task in service.tasks:
            if task.stopped_at is None and task.member.availability == "drain":
                self._stop(service, task)
        running = [task for task in service.tasks if task.stopped_at is None]
        if service.replicas is None:
            for member in self._open(service):
                if not any(task.member is member for task in running):
                    self._start(service, member)
            return
        for _ in range(service.replicas - len(running)):
            place = self.place(service)
            if place is None:
                break
            self._start(service, place)
        if len(running) > service.replicas:
            for task in self._spread(service, running)[service.replicas :]:
                self._stop(service, task)

    def _spread(self, service: Service, running: list[Task]) -> list[Task]:
        """The order in which moby keeps tasks when it scales down: the first of each node, then the second."""
        nth: Counter[Member] = Counter()
        indexed = []
        for task in sorted(running, key=lambda task: not service.serves(task, self._world.now)):
            nth[task.member] += 1
            indexed.append((nth[task.member], task))
        return [task for _, task in sorted(indexed, key=lambda pair: pair[0])]

    def _open(self, service: Service) -> list[Member]:
        return [
            member
            for member in self._world.swarm.members.values()
            if member.state == "ready"
            and member.availability == "active"
            and not member.removed
            and service.allows(member)
        ]

    @staticmethod
    def _fits(service: Service, member: Member) -> bool:
        here = sum(task.member is member and task.stopped_at is None for task in service.tasks)
        return not service.per_node or here < service.per_node

    def _start(self, service: Service, member: Member) -> None:
        self._tasks += 1
        task = Task(f"t{self._tasks:03}", service.name, member, self._world.now + service.starts_in)
        service.tasks.append(task)
        self._world.at(service.starts_in, self._world.changed)

    def _stop(self, service: Service, task: Task) -> None:
        task.stopped_at = self._world.now + service.stops_in

        def end() -> None:
            if task in service.tasks:
                service.tasks.remove(task)
            self.orchestrate()
            self._world.changed()

        self._world.at(service.stops_in, end)
