"""A cluster in memory: instances, nodes, tasks, the record and the tokens, behind the core's ports.

It moves by itself only in `tick`, so that a test decides what happens between two passes.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ansible_collections.swarm.aws.plugins.module_utils._core import apply as core
from ansible_collections.swarm.aws.plugins.module_utils._core.actions import Action
from ansible_collections.swarm.aws.plugins.module_utils._core.change import Change
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Cluster, Instance, Node, Record, Service
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster_ports import ClusterPorts
from ansible_collections.swarm.aws.plugins.module_utils._core.dns import BOTH
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import (
    FORMED,
    ClusterRecord,
    Memory,
    Published,
)
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Dns, Group, Policy
from ansible_collections.swarm.aws.plugins.module_utils._core.quorum import Quorum
from ansible_collections.swarm.aws.plugins.module_utils._core.registry_credentials import Grant, Registry

SWARM_ID = "swarm"
FORMED_RECORD = ClusterRecord(FORMED, "i-001", "", 2, SWARM_ID)
PUBLISHED = Published(FORMED_RECORD, "v2")
POLICY = Policy(
    cluster="example",
    groups={"manager": Group("manager", {"edge": "true"}, dns=True), "worker": Group("worker")},
    dns=Dns("Z1", "www.example.com", 10),
    queue="example-events",
    region="eu-west-1",
    drain_seconds=60,
    hold_seconds=600,
)
# The same with an AAAA record.
DUAL = replace(POLICY, dns=replace(POLICY.dns, ipv6=True))  # type: ignore[type-var]
TICK = 5.0


WITHOUT_ADDRESSES: dict[str, None] = dict.fromkeys(("private_address", "public_address", "ipv6_address"))


def instance(number: int, role: str = "manager", **more: object) -> Instance:
    """The instance of that number, running and in service unless told otherwise."""
    defaults: dict[str, object] = {
        "group": role,
        "role": role,
        "zone": f"eu-west-1{'abc'[number % 3]}",
        "state": "running",
        "private_address": f"10.0.0.{number}",
        "public_address": f"198.51.100.{number}",
        "ipv6_address": f"2001:db8::{number:x}",
        "scaling_group": f"example-{role}",
        "lifecycle": "InService",
    }
    return Instance(id=f"i-{number:03}", **{**defaults, **more})  # type: ignore[arg-type]


def gone(number: int, role: str = "manager") -> Instance:
    """An instance that has ended; EC2 still shows it, without addresses."""
    return instance(number, role, **WITHOUT_ADDRESSES, state="terminated", scaling_group=None, lifecycle=None)


def node(number: int, role: str = "manager", **more: object) -> Node:
    """The node of the instance of that number, labelled as it should be unless told otherwise."""
    voter = role == "manager"
    labels = {
        "swarm.aws.instance": f"i-{number:03}",
        "swarm.aws.group": role,
        "swarm.aws.zone": f"eu-west-1{'abc'[number % 3]}",
        **({"edge": "true", "swarm.aws.labels": "edge"} if voter else {}),
    }
    defaults: dict[str, object] = {
        "role": role,
        "state": "ready",
        "address": f"10.0.0.{number}",
        "voter": voter,
        "reachable": voter,
        "labels": labels,
        "engine_labels": {"swarm.aws.instance": f"i-{number:03}"},
    }
    return Node(id=f"n{number:03}", **{**defaults, **more})  # type: ignore[arg-type]


def joined(number: int, role: str = "manager") -> Node:
    """A node that has joined a moment ago: no manager has labelled it yet."""
    return node(number, role, labels={})


def dead(number: int, role: str = "manager") -> Node:
    """The node of an instance that is gone."""
    return node(number, role, state="down", reachable=False)


def record(*numbers: int, **more: object) -> Record:
    """The cluster's record with the addresses of those instances."""
    addresses = tuple(sorted(f"198.51.100.{number}" for number in numbers))
    return replace(Record(addresses, 10, POLICY.owner), **more)  # type: ignore[arg-type]


def dual_record(*numbers: int, **more: object) -> Record:
    """The same with an AAAA record beside the A record."""
    ipv6 = [f"2001:db8::{number:x}" for number in numbers]
    found = record(*numbers, owner=POLICY.owner + BOTH, ipv6_ttl=10)
    return replace(found, **{"addresses": tuple(sorted([*found.addresses, *ipv6])), **more})  # type: ignore[arg-type]


def observed(instances: Sequence[Instance], nodes: Sequence[Node], found: Record | None = None) -> Cluster:
    """An observation of these."""
    return Cluster(SWARM_ID, PUBLISHED, tuple(nodes), tuple(instances), found or Record(), (), remembered=FORMED_RECORD)


class ModelWorld:
    """All ports of `apply`, over a model."""

    def __init__(self, cluster: Cluster, policy: Policy = POLICY) -> None:
        self.policy = policy
        self.all_services = {service.id: service for service in cluster.services or ()}
        self.time = 1_000_000.0
        self.fleet = {instance.id: instance for instance in cluster.instances or ()}
        self.members = {node.id: node for node in cluster.nodes or ()}
        self.record = cluster.record or Record()
        self.stale_roles = set(cluster.stale_tokens or ())
        # What each target group says of its targets; those that it still ends requests to are draining.
        self.targets: dict[str, dict[str, str]] = {arn: dict(health or {}) for arn, health in cluster.targets.items()}
        self.beats: dict[str, float] = {}
        # Groups whose desired capacity is more than nobody.
        self.wanted: dict[str, int] = {}
        # Whom Auto Scaling was told to end, and whether to replace.
        self.ended: list[tuple[str, bool]] = []
        # Services that were given new credentials, and which.
        self.authorized: list[tuple[str, str]] = []
        # The cluster's record in the bucket and in the swarm.
        self.bucket = cluster.published or Published(None, None)
        self.remembered = cluster.remembered
        self.had_quorum = self.quorum.margin >= 0

    # What tests ask

    @property
    def quorum(self) -> Quorum:
        """Of those whose vote is not being taken."""
        return Quorum.of(member for member in self.members.values() if member.role == "manager" or member.voter)

    def observe(self) -> Cluster:
        return Cluster(
            SWARM_ID,
            self.bucket,
            self.nodes(),
            self.instances(),
            self.record,
            stale_tokens=self.stale(),
            targets={arn: dict(self.targets.get(arn, {})) for arn in self.policy.target_groups},
            services=self.services(),
            desired=self.desired,
            heartbeats=dict(self.beats),
            remembered=self.remembered,
        )

    def do(self, action: Action) -> Change | None:
        return core.apply(
            action, ClusterPorts(self, self, self, _Records(self), self, balancing=_Balancing(self)), self.policy
        )

    def tick(self) -> None:
        """Let what was begun go on."""
        self.time += TICK
        for health in self.targets.values():
            for instance, state in list(health.items()):
                if state == "draining":
                    del health[instance]
                elif state == "initial":
                    health[instance] = "healthy"
        for identifier, node in list(self.members.items()):
            named = node.labels.get("swarm.aws.instance") or node.engine_labels.get("swarm.aws.instance", "")
            host = self.fleet.get(named)
            if node.role == "worker" and node.voter:
                node = replace(node, voter=False, reachable=False)
            if node.availability == "drain" and node.tasks:
                node = replace(node, tasks=node.tasks - 1)
            if host is None or host.gone:
                node = replace(node, state="down", reachable=False)
            self.members[identifier] = node

    # Swarm

    def memory(self) -> Memory:
        return Memory(SWARM_ID, self.remembered)

    def remember(self, record: ClusterRecord) -> None:
        self.remembered = record

    def nodes(self) -> tuple[Node, ...]:
        return tuple(self.members[key] for key in sorted(self.members))

    def update(self, node: str, **changes: object) -> None:
        self.members[node] = replace(self.members[node], **changes)

    def remove(self, node: str) -> None:
        assert self.members[node].role == "worker", "Docker refuses to remove a manager"
        assert not self.members[node].voter, "Docker refuses to remove a voter"
        del self.members[node]

    def services(self) -> tuple[Service, ...]:
        return tuple(self.all_services.values())

    def scale(self, service: str, replicas: int, labels: Mapping[str, str]) -> None:
        self.all_services[service] = replace(self.all_services[service], replicas=replicas, labels=dict(labels))

    def authorize(self, service: str, grant: Grant, labels: Mapping[str, str]) -> None:
        self.authorized.append((service, grant.password))
        self.all_services[service] = replace(self.all_services[service], labels=dict(labels))

    # Registries

    def grant(self, registry: Registry) -> Grant:
        return Grant("AWS", f"{registry.host} at {self.time:.0f}", self.time, 43200)

    # Scaling

    @property
    def desired(self) -> Mapping[str, int]:
        groups = {instance.group: 0 for instance in self.fleet.values()}
        return {**groups, **self.wanted}

    @property
    def upgrading(self) -> frozenset[str]:
        return frozenset()

    @property
    def launch_failures(self) -> Mapping[str, str]:
        return {}

    @property
    def heartbeats(self) -> Mapping[str, float]:
        return self.beats

    def instances(self) -> tuple[Instance, ...]:
        return tuple(self.fleet[key] for key in sorted(self.fleet))

    def gone(self, instance: str) -> bool:
        return instance not in self.fleet or self.fleet[instance].gone

    def terminate(self, instance: str, *, replace: bool) -> bool:
        present = self.fleet.get(instance)
        if present is None or present.scaling_group is None:
            return False
        if not present.terminating:
            self.fleet[instance] = dataclasses.replace(present, lifecycle="Terminating:Wait")
            self.ended.append((instance, replace))
        return True

    def complete(self, scaling_group: str, hook: str, instance: str, result: str) -> bool:
        present = self.fleet.get(instance)
        if present is None or present.lifecycle not in ("Pending:Wait", "Terminating:Wait", "Warmed:Terminating:Wait"):
            return False
        if present.lifecycle == "Pending:Wait" and result == "CONTINUE":
            assert hook == "example-launching"
            self.fleet[instance] = replace(present, lifecycle="InService")
        else:
            ended = {"lifecycle": None, "scaling_group": None, "state": "terminated", **WITHOUT_ADDRESSES}
            self.fleet[instance] = replace(present, **ended)
        return True

    def heartbeat(self, scaling_group: str, hook: str, instance: str) -> bool:
        assert hook == "example-terminating"
        self.beats[instance] = self.time
        return True

    # Tokens

    def published(self) -> Published:
        return self.bucket

    def republish(self, record: ClusterRecord, version: str | None) -> bool:
        fits = version == self.bucket.version
        self.bucket = Published(record, "again") if fits else self.bucket
        return fits

    def stale(self) -> tuple[str, ...]:
        return tuple(sorted(self.stale_roles))

    def publish(self, roles: Sequence[str]) -> None:
        self.stale_roles -= set(roles)


class _Records:
    """The record, apart since its verbs are also those of the rest."""

    def __init__(self, world: ModelWorld) -> None:
        self._world = world

    def read(self, wanted: Dns) -> Record:
        return self._world.record

    def write(self, wanted: Dns, before: Record, after: Record) -> None:
        assert before == self._world.record
        assert after.addresses, "Route 53 takes no empty record"
        assert after.ipv4 or not before.ipv4, "an A record is never deleted"
        self._world.record = after


class _Balancing:
    """The target groups, whose targets are healthy a tick after they are registered."""

    def __init__(self, world: ModelWorld) -> None:
        self._world = world

    def health(self, target_group: str) -> Mapping[str, str]:
        return dict(self._world.targets[target_group])

    def register(self, target_group: str, instances: Sequence[str]) -> None:
        self._world.targets[target_group].update(dict.fromkeys(instances, "initial"))

    def deregister(self, target_group: str, instances: Sequence[str]) -> None:
        health = self._world.targets[target_group]
        health.update({instance: "draining" for instance in instances if instance in health})
        assert any(state == "healthy" for state in health.values()), "somebody is to get the requests"


def shuffled(actions: Sequence[Action], seed: int) -> list[Action]:
    """Some of the actions, as many as an agent gets done before it is killed."""
    return list(actions)[: random.Random(seed).randint(0, len(actions))]
