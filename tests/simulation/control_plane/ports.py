"""The core's ports for an agent: every call takes time and may fail, as the weather says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ansible_collections.swarm.aws.plugins.module_utils._core import actions as act
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Instance, Node, Record, Service
from ansible_collections.swarm.aws.plugins.module_utils._core.dns_propagation import Propagation
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import ClusterRecord, Memory
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import ROLES, Outcome
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Dns
from ansible_collections.swarm.aws.plugins.module_utils._core.registry_credentials import Grant, Registry
from ansible_collections.swarm.aws.plugins.module_utils.adapters.event_queue import Message

from tests.simulation.bucket import Store

if TYPE_CHECKING:
    from .agent import Agent
    from .cloud import Machine

Found = TypeVar("Found")
SQS = "sqs"
# How late EC2 and Auto Scaling may be, in seconds.
STALE_SECONDS = 8.0
# How long ECR's credentials are valid, in seconds; in AWS much longer.
ECR_SECONDS = 800.0


class SimSwarm:
    """The engine of the agent's own node: the core's ``Swarm`` and ``Secrets``."""

    def __init__(self, agent: Agent) -> None:
        self._agent, self._world = agent, agent.world
        self._read: dict[str, int] = {}

    @property
    def _swarm(self) -> Any:
        return self._agent.swarm

    def sharing_tasks(self) -> AbstractContextManager[None]:
        return nullcontext()

    def swarm_id(self) -> str:
        return self.memory().swarm_id

    def memory(self) -> Memory:
        def question() -> Memory:
            self._swarm.leader_for(self._agent.machine)
            return Memory(self._swarm.id, self._swarm.remembered)

        return self._ask("get the swarm", question)

    def remember(self, record: ClusterRecord) -> None:
        self._decide("remember the cluster's record", lambda: setattr(self._swarm, "remembered", record))

    def here(self) -> str | None:
        def question() -> str | None:
            self._swarm.leader_for(self._agent.machine)
            member = self._swarm.member_of(self._agent.machine)
            return member.id if member else None

        return self._ask("get the role", question)

    def leads(self) -> bool:
        def question() -> bool:
            member = self._swarm.member_of(self._agent.machine)
            if self._agent.machine.engine_up and (member is None or not member.voter):
                return False
            leader = self._swarm.leader_for(self._agent.machine)
            return leader.machine is self._agent.machine or self._agent.acts_anyway

        return self._ask("find the leader", question)

    def versions(self) -> Mapping[str, int]:
        def question() -> Mapping[str, int]:
            found = self._swarm.nodes(self._agent.machine)
            return {node.id: hash((self._swarm.version(node.id), node.role, node.state, node.voter)) for node in found}

        return self._ask("list the nodes", question)

    def nodes(self) -> tuple[Node, ...]:
        def question() -> tuple[Node, ...]:
            found = self._swarm.nodes(self._agent.machine)
            self._read.update({node.id: self._swarm.version(node.id) for node in found})
            self._agent.told = found
            return found

        return self._ask("list the nodes", question)

    def update(
        self,
        node: str,
        *,
        role: str | None = None,
        availability: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        version = self._version_read(node)
        invariants, told, observed = self._world.invariants, self._agent.told, self._agent.observed
        decided = self._agent.pass_began

        def effect() -> None:
            invariants.update(self._agent, observed if availability else told, node, role, availability)
            self._swarm.update(self._agent.machine, node, version, role, availability, labels, decided)

        self._agent.call(act.SWARM, f"change {node}: {role or availability or 'labels'}", effect, write=True)

    def remove(self, node: str) -> None:
        def effect() -> None:
            self._world.invariants.remove(self._agent, node)
            self._swarm.remove(self._agent.machine, node)

        self._agent.call(act.SWARM, f"remove {node}", effect, write=True)

    def services(self) -> tuple[Service, ...]:
        def question() -> tuple[Service, ...]:
            self._swarm.leader_for(self._agent.machine)
            # Another swarm has no services.
            found = self._world.work.view() if self._swarm is self._world.swarm else ()
            self._read.update({service.id: self._world.work.version(service.id) for service in found})
            return found

        return self._ask("list the services", question)

    def scale(self, service: str, replicas: int, labels: Mapping[str, str]) -> None:
        change = partial(self._world.work.scale, service, self._version_read(service), replicas, labels)
        self._decide(f"scale {service} to {replicas}", change)

    def authorize(self, service: str, grant: Grant, labels: Mapping[str, str]) -> None:
        change = partial(self._world.work.authorize, service, self._version_read(service), grant, labels)
        self._decide(f"give {service} credentials", change)

    def _decide(self, what: str, change: Callable[[], None]) -> None:
        def effect() -> None:
            self._swarm.deciding(self._agent.machine)
            change()

        self._agent.call(act.SWARM, what, effect, write=True)

    def tokens(self) -> Mapping[str, str]:
        def question() -> Mapping[str, str]:
            self._swarm.leader_for(self._agent.machine)
            return {role: self._swarm.token(role) for role in ROLES}

        return self._ask("get the tokens", question)

    def _version_read(self, what: str) -> int:
        """The version of a node or service as it was read last. Each is valid for one change. Raises Unavailable."""
        if what not in self._read:
            raise Unavailable(f"{what} must be read before it is changed.")
        return self._read.pop(what)

    def _ask(self, what: str, question: Callable[[], Found]) -> Found:
        return self._agent.call(act.SWARM, what, question)


class SimPeers:
    """The other managers' hosts: the core's ``Peers``."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def listens(self, address: str) -> bool:
        world = self._agent.world
        world.pause(world.rng.uniform(0.001, 2))
        machine = next(
            (machine for machine in world.cloud.machines.values() if machine.alive and machine.private == address), None
        )
        return machine is not None and world.listens(machine, self._agent.machine)


class SimFleet:
    """EC2 and Auto Scaling: the core's ``Scaling``."""

    def __init__(self, agent: Agent) -> None:
        self._agent, self._world = agent, agent.world
        self.heartbeats: dict[str, float] = {}
        self.desired: dict[str, int] = {}
        self.upgrading: frozenset[str] = frozenset()
        self.launch_failures: dict[str, str] = {}

    def instances(self) -> tuple[Instance, ...]:
        def question() -> tuple[Instance, ...]:
            world = self._world
            if world.happens(world.weather.stale):
                return world.cloud.instances_some_time_ago(STALE_SECONDS)
            return world.cloud.instances()

        found = self._ask("describe the instances", question)
        self.desired = {group.name: group.desired for group in self._world.cloud.groups.values() if not group.deleted}
        return found

    def gone_or_going(self, instance: str) -> bool:
        machine: Machine | None = self._ask(f"describe {instance}", lambda: self._world.cloud.machines.get(instance))
        return machine is None or machine.lifecycle in (None, "Terminating:Proceed")

    def sizes(self, scaling_group: str) -> tuple[int, int]:
        groups = self._world.cloud.groups.values()
        return self._ask(
            f"describe {scaling_group}",
            lambda: next((0, group.desired) for group in groups if group.scaling_group == scaling_group),
        )

    def _ask(self, what: str, question: Callable[[], Found]) -> Found:
        return self._agent.call(act.SCALING, what, question)

    def _do(self, what: str, effect: Callable[[], bool]) -> bool:
        return self._agent.call(act.SCALING, what, effect, write=True)

    def gone(self, instance: str) -> bool:
        return self._ask(f"describe {instance}", lambda: self._world.cloud.gone(instance))

    def terminate(self, instance: str, *, replace: bool) -> bool:
        return self._do(f"terminate {instance}", lambda: self._world.cloud.terminate(instance, replace=replace))

    def complete(self, scaling_group: str, hook: str, instance: str, result: str) -> bool:
        began = self._agent.pass_began

        def effect() -> bool:
            self._world.invariants.complete(self._agent, hook, instance, result, began)
            return self._world.cloud.complete(scaling_group, hook, instance, result)

        done = self._do(f"complete {instance}: {result}", effect)
        self.heartbeats.pop(instance, None)
        return done

    def heartbeat(self, scaling_group: str, hook: str, instance: str) -> bool:
        done = self._do(f"keep {instance} waiting", lambda: self._world.cloud.heartbeat(scaling_group, hook, instance))
        self.heartbeats[instance] = self._agent.aws_time.now()
        return done


class SimRegistries:
    """ECR: the core's ``Registries``."""

    def __init__(self, agent: Agent) -> None:
        self._agent, self._world = agent, agent.world

    def grant(self, registry: Registry) -> Grant:
        def question() -> Grant:
            # It looks like a join token, so that I4 finds it in texts.
            password = f"SWMTKN-ecr-{len(self._world.registries)}"
            self._world.registries[password] = self._world.now + ECR_SECONDS
            return Grant("AWS", password, self._agent.aws_time.now(), ECR_SECONDS)

        return self._agent.call(act.REGISTRY, f"give credentials for {registry.host}", question)


class SimRecords:
    """Route 53: the core's ``Records``."""

    def __init__(self, agent: Agent) -> None:
        self._agent, self._world = agent, agent.world
        self._propagation = Propagation(self._in_sync)

    def read(self, wanted: Dns) -> Record:
        found = self._agent.call(act.DNS, "read the record", self._world.zone.read)
        self._agent.record_read_at = self._world.now
        return replace(found, in_sync=self._propagation.over(found, self._agent.aws_time.now()))

    def _in_sync(self, change: str) -> bool:
        return self._agent.call(act.DNS, f"get the change {change}", lambda: self._world.zone.in_sync(change))

    def write(self, wanted: Dns, before: Record, after: Record) -> None:
        agent, began, read = self._agent, self._agent.pass_began, self._agent.record_read_at

        def effect() -> str:
            change = self._world.zone.write(before, after)
            self._world.invariants.record(agent, after, began, read)
            return change

        change = agent.call(act.DNS, f"write the record: {', '.join(after.addresses)}", effect, write=True)
        self._propagation.wrote(after, change, agent.aws_time.now())


class SimBalancing:
    """Elastic Load Balancing: the core's ``Balancing``."""

    def __init__(self, agent: Agent) -> None:
        self._agent, self._world, self._balancing = agent, agent.world, agent.world.balancing
        # The last answer and its time.
        self._told: Mapping[str, str] = {}
        self._told_at = 0.0

    def health(self, target_group: str) -> Mapping[str, str]:
        def question() -> Mapping[str, str]:
            if self._world.happens(self._world.weather.stale):
                return self._balancing.health_some_time_ago(STALE_SECONDS)
            return self._balancing.health()

        self._told = self._agent.call(act.BALANCING, "describe the targets' health", question)
        self._told_at = self._world.now
        return self._told

    def register(self, target_group: str, instances: Sequence[str]) -> None:
        began, told_at = self._agent.pass_began, self._told_at

        def effect() -> None:
            self._world.invariants.register(self._agent, instances, began, told_at)
            self._balancing.register(instances)

        self._agent.call(act.BALANCING, f"register {', '.join(instances)}", effect, write=True)

    def deregister(self, target_group: str, instances: Sequence[str]) -> None:
        told = self._told

        def effect() -> None:
            self._world.invariants.deregister(self._agent, instances, told)
            self._balancing.deregister(instances)

        self._agent.call(act.BALANCING, f"deregister {', '.join(instances)}", effect, write=True)


class SimStore(Store):
    """The bucket: the core's ``Store``."""

    def __init__(self, agent: Agent) -> None:
        self._agent, self._bucket = agent, agent.world.bucket

    def get(self, key: str) -> Any:
        return self._agent.call(act.STORE, f"read {key}", lambda: self._bucket.get(key))

    def _swap(self, key: str, value: Any, version: str | None) -> Outcome:
        return self._agent.call(act.STORE, f"write {key}", lambda: self._bucket.swap(key, value, version), write=True)


class SimQueue:
    """The agent's end of the queue."""

    def __init__(self, agent: Agent) -> None:
        self._agent, self._queue = agent, agent.world.queue

    def receive(self, seconds: float) -> list[Message]:
        found = self._agent.call(SQS, "receive", self._queue.receive)
        if not found and seconds >= 1:
            self._agent.world.pause(min(seconds, 18.0), self._queue.bell)
            found = self._queue.receive()
        return found

    def send(self, body: str) -> None:
        self._agent.call(SQS, "send a message", lambda: self._queue.publish(body), write=True)

    def hold(self, messages: Sequence[Message]) -> None:
        receipts = {message.receipt for message in messages}
        self._agent.call(SQS, "hold messages", lambda: self._queue.hold(receipts), write=True)

    def delete(self, messages: Sequence[Message]) -> None:
        receipts = {message.receipt for message in messages}
        self._agent.call(SQS, "delete messages", lambda: self._queue.delete(receipts), write=True)
