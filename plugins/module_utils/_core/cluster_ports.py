"""The ports of the control plane: the services that it observes, and that its actions change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import FrozenSet, Mapping, Optional, Protocol, Sequence, Tuple

from .cluster import Instance, Node, Record, Service
from .join.cluster_record import ClusterRecord, Memory, Published
from .policy import Dns
from .registry_credentials import Grant, Registry


class Swarm(Protocol):
    """The swarm, through its leader's engine. A write fails if the node has changed since it was read."""

    def memory(self) -> Memory:
        """The swarm that the engine is in, and the cluster's record as that swarm remembers it."""

    def remember(self, record: ClusterRecord) -> None:
        """Make the swarm remember the cluster's record."""

    def nodes(self) -> Tuple[Node, ...]:
        """All nodes as they are now."""

    def update(
        self,
        node: str,
        *,
        role: Optional[str] = None,
        availability: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
    ) -> None:
        """Change a node's specification. ``labels`` replace all labels. None leaves a field as it is."""

    def remove(self, node: str) -> None:
        """Delete a node from the swarm, even if it is up. No error if there is none."""

    def services(self) -> Tuple[Service, ...]:
        """All services as they are now, with the places of their tasks."""

    def scale(self, service: str, replicas: int, labels: Mapping[str, str]) -> None:
        """Change a replicated service's replicas, replace all its labels, and leave its tasks as they are."""

    def authorize(self, service: str, grant: Grant, labels: Mapping[str, str]) -> None:
        """Change a service's registry credentials, replace all its labels, and leave its tasks as they are."""


class Peers(Protocol):
    """The cluster's other managers, asked without the swarm."""

    def listens(self, address: str) -> bool:
        """Whether something listens on the swarm's port at that address."""


class AutoScaling(Protocol):
    """Auto Scaling and EC2."""

    @property
    def heartbeats(self) -> Mapping[str, float]:
        """When this process sent the last heartbeat for each instance, in epoch seconds."""

    @property
    def desired(self) -> Mapping[str, int]:
        """The desired capacity of each node group, as of the last answer of ``instances``."""

    @property
    def upgrading(self) -> FrozenSet[str]:
        """The node groups that are being upgraded, as of the same answer."""

    @property
    def launch_failures(self) -> Mapping[str, str]:
        """Auto Scaling's reason why the launches of a node group fail, as of the same answer."""

    def instances(self) -> Tuple[Instance, ...]:
        """The cluster's instances, and those that were terminated as long as EC2 lists them."""

    def gone(self, instance: str) -> bool:
        """Whether EC2, asked about this instance alone, says that it is terminated or does not exist."""

    def terminate(self, instance: str, *, replace: bool) -> bool:
        """Terminate an instance of a group, with or without a replacement. False if there is none to terminate."""

    def complete(self, scaling_group: str, hook: str, instance: str, result: str) -> bool:
        """Complete a lifecycle action. False if none waits any more."""

    def heartbeat(self, scaling_group: str, hook: str, instance: str) -> bool:
        """Send a heartbeat for a lifecycle action. False if none waits any more."""


class Tokens(Protocol):
    """The published objects in the bucket: the cluster's record and the join tokens."""

    def published(self) -> Published:
        """The cluster's record in the bucket."""

    def republish(self, record: ClusterRecord, version: Optional[str]) -> bool:
        """Write the record if the object still has that version (None: if there is none). False if it does not."""

    def stale(self) -> Tuple[str, ...]:
        """The roles whose published token is not the engine's."""

    def publish(self, roles: Sequence[str]) -> None:
        """Publish the engine's tokens of these roles."""


class Lock(Protocol):
    """The lock of the managers' state, and the store of its key."""

    def locked(self) -> bool:
        """Whether managers lock their state."""

    def lock(self, wanted: bool) -> None:
        """Turn the lock on or off."""

    def kept(self) -> bool:
        """Whether the engine's key is stored; true if there is none."""

    def keep(self) -> None:
        """Store it beside the earlier keys."""


class RecordSets(Protocol):
    """The cluster's DNS record: in its zone, or as a Cloud Map service."""

    def read(self, wanted: Dns) -> Record:
        """The record as it is now, including writes that have not reached all name servers yet."""

    def write(self, wanted: Dns, before: Record, after: Record) -> None:
        """Write the record.

        In a zone, record and ownership record are written in a single request, which fails if ``before`` had no record
        and there is one now. A service's instances change one by one: a new address is registered before an old one is
        deregistered.
        """


class Balancing(Protocol):
    """Elastic Load Balancing."""

    def health(self, target_group: str) -> Mapping[str, str]:
        """The state of each instance that is a target, or is draining."""

    def register(self, target_group: str, instances: Sequence[str]) -> None:
        """Register instances as targets."""

    def deregister(self, target_group: str, instances: Sequence[str]) -> None:
        """Deregister targets. No error for instances that are none."""


class Registries(Protocol):
    """ECR."""

    def grant(self, registry: Registry) -> Grant:
        """Credentials to pull images from a registry."""


@dataclass(frozen=True)
class ClusterPorts:
    """Everything that actions change."""

    swarm: Swarm
    scaling: AutoScaling
    tokens: Tokens
    records: RecordSets
    registries: Registries
    # None if it is not needed.
    lock: Optional[Lock] = None
    # None without load balancers.
    balancing: Optional[Balancing] = None
    # None if they are not needed.
    peers: Optional[Peers] = None
