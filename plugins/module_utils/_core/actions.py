"""The actions on a cluster: plain data, each a single effect on a single service."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Collection, Mapping, Optional, Tuple

from . import node_labels
from .change import Change
from .cluster import Instance, Record, is_ipv6
from .join.cluster_record import ClusterRecord, Published
from .registry_credentials import Registry

SWARM = "swarm"
SCALING = "autoscaling"
DNS = "route53"
BALANCING = "elasticloadbalancing"
STORE = "s3"
REGISTRY = "ecr"
KEYS = "secretsmanager"

# Why a node is removed.
GONE = "its instance is terminated"
SUPERSEDED = "its instance has joined again"
REMOVING = "its instance is being removed"
TERMINATING = "its instance terminates whether or not it keeps its vote"


class Action:
    """A single effect on a single service."""

    service: str

    @property
    def change(self) -> Change:
        """The change that it makes."""
        raise NotImplementedError


@dataclass(frozen=True)
class OnNode(Action):
    """An action on the node of an instance."""

    node: str
    instance: str
    service = SWARM


@dataclass(frozen=True)
class SetLabels(OnNode):
    """Set the node's labels."""

    before: Mapping[str, str]
    after: Mapping[str, str]

    @property
    def change(self) -> Change:
        """Only the labels that differ."""
        return _relabelled(f"labels of the node of {self.instance}", self.before, self.after)


@dataclass(frozen=True)
class NoteFact(OnNode):
    """Note on the node how far its removal is."""

    label: str
    at: float

    @property
    def change(self) -> Change:
        return Change(f"labels of the node of {self.instance}", {}, {self.label: node_labels.noted(self.at)})


@dataclass(frozen=True)
class SetAvailability(OnNode):
    """Set the node's availability."""

    availability: str
    wanted: ClassVar[str]

    @property
    def change(self) -> Change:
        what = f"node of {self.instance}"
        words = f"{type(self).__name__.lower()} the {what}"
        return Change(what, {"availability": self.availability}, {"availability": self.wanted}, words)


@dataclass(frozen=True)
class Resume(SetAvailability):
    """Give a node tasks again that will not be removed after all, and forget how far its removal was."""

    wanted = "active"


@dataclass(frozen=True)
class Cordon(SetAvailability):
    """Give the node no new tasks, and note since when."""

    at: float
    wanted, label = "pause", node_labels.CORDONED


@dataclass(frozen=True)
class Drain(SetAvailability):
    """Move the node's tasks elsewhere, and note since when."""

    at: float
    wanted, label = "drain", node_labels.DRAINED


@dataclass(frozen=True)
class Promote(OnNode):
    """Give a manager that somebody demoted by hand its vote back."""

    @property
    def change(self) -> Change:
        what = f"node of {self.instance}"
        return Change(what, {"role": "worker"}, {"role": "manager"}, f"promote the {what}")


@dataclass(frozen=True)
class Demote(OnNode):
    """Demote a manager, if the interlock allows it."""

    reason: str

    @property
    def change(self) -> Change:
        what = f"node of {self.instance}"
        after = {"role": "worker", "because": self.reason}
        return Change(what, {"role": "manager"}, after, f"demote the {what}: {self.reason}")


@dataclass(frozen=True)
class Delete(OnNode):
    """Delete a node that is no manager from the swarm."""

    reason: str

    @property
    def change(self) -> Change:
        what = f"node of {self.instance}"
        before = {"id": self.node, "deleted because": self.reason}
        return Change(what, before, None, f"delete the {what}: {self.reason}")


@dataclass(frozen=True)
class SetReplicas(Action):
    """Set the number of a service's tasks, and keep the declared number in its labels."""

    service_id: str
    name: str
    replicas: int
    wanted: int
    before: Mapping[str, str]
    after: Mapping[str, str]
    service = SWARM

    @property
    def change(self) -> Change:
        if self.wanted == self.replicas:
            return _relabelled(f"labels of the service {self.name}", self.before, self.after)
        words = f"scale the service {self.name} from {self.replicas} to {self.wanted}"
        return Change(f"service {self.name}", {"replicas": self.replicas}, {"replicas": self.wanted}, words)


@dataclass(frozen=True)
class OnInstance(Action):
    """An action on an instance of an Auto Scaling group."""

    instance: str
    scaling_group: str
    service = SCALING


@dataclass(frozen=True)
class CompleteLifecycle(OnInstance):
    """Complete the lifecycle action of an instance that waits at a hook: CONTINUE, or ABANDON the launch."""

    hook: str
    result: str
    # The lifecycle state it waits in, and for a launch its node.
    lifecycle: str
    node: Optional[str] = None

    @classmethod
    def of(cls, instance: Instance, hook: str, result: str, node: Optional[str] = None) -> CompleteLifecycle:
        """The action for an instance that waits."""
        return cls(instance.id, instance.scaling_group or "", hook, result, instance.lifecycle or "", node)

    @property
    def change(self) -> Change:
        if "Terminating" in self.lifecycle:
            words = f"let {self.instance} terminate"
        elif self.result == "ABANDON":
            words = f"abandon the launch of {self.instance}"
        else:
            words = f"complete the launch of {self.instance}"
        after = {"hook": self.hook, "result": self.result}
        return Change(f"lifecycle of {self.instance}", {"state": self.lifecycle}, after, words)


@dataclass(frozen=True)
class Terminate(OnInstance):
    """Terminate an instance, which then waits at the hook until its node is deleted."""

    node: str
    # Whether the group starts another instance, or gets smaller by one.
    replace: bool

    @property
    def change(self) -> Change:
        return Change(
            f"lifecycle of {self.instance}",
            {"state": "InService"},
            {"state": "Terminating", "desired capacity": "as before" if self.replace else "one less"},
            f"terminate {self.instance} {'and replace it' if self.replace else 'without a replacement'}",
        )


@dataclass(frozen=True)
class Heartbeat(OnInstance):
    """Keep Auto Scaling waiting for an instance that is being removed."""

    hook: str

    @property
    def change(self) -> Change:
        return Change(
            f"lifecycle of {self.instance}",
            {"state": "Terminating:Wait"},
            {"hook": self.hook, "heartbeat": ""},
            f"keep {self.instance} waiting at its lifecycle hook",
        )


@dataclass(frozen=True)
class PublishRecord(Action):
    """Write the cluster's record into the bucket again, over the present object."""

    before: Published
    after: ClusterRecord
    service = STORE

    @property
    def change(self) -> Change:
        found = self.before.cluster_record
        before = {"object": "unreadable"} if self.before.flaw else None
        return Change("cluster's record in the bucket", found.shown if found else before, self.after.shown)


@dataclass(frozen=True)
class RememberRecord(Action):
    """Make the swarm remember the published record."""

    before: Optional[ClusterRecord]
    after: ClusterRecord
    service = SWARM

    @property
    def change(self) -> Change:
        return Change("cluster's record in the swarm", self.before.shown if self.before else None, self.after.shown)


@dataclass(frozen=True)
class PublishTokens(Action):
    """Publish the engine's join tokens of some roles. Contains no token."""

    roles: Tuple[str, ...]
    service = STORE

    @property
    def change(self) -> Change:
        return Change(
            "published join tokens",
            dict.fromkeys(self.roles, "not the engine's"),
            dict.fromkeys(self.roles, "current"),
        )


@dataclass(frozen=True)
class RefreshRegistryAuth(Action):
    """Give a service new registry credentials before the present ones expire. Its tasks keep running."""

    service_id: str
    name: str
    registry: Registry
    at: float
    service = REGISTRY

    @property
    def change(self) -> Change:
        return Change(
            f"registry credentials of the service {self.name}", {self.registry.host: "old"}, {self.registry.host: "new"}
        )


@dataclass(frozen=True)
class SetLock(Action):
    """Turn the lock of the managers' state on or off."""

    wanted: bool
    service = SWARM

    @property
    def change(self) -> Change:
        words = f"turn the lock of the managers' state {'on' if self.wanted else 'off'}"
        return Change("lock of the managers' state", {"locked": not self.wanted}, {"locked": self.wanted}, words)


@dataclass(frozen=True)
class KeepKey(Action):
    """Store the engine's unlock key where managers look for it when they boot. Does not contain it."""

    service = KEYS

    @property
    def change(self) -> Change:
        return Change("kept unlock key", {"key": "not the engine's"}, {"key": "current"}, "store the unlock key")


@dataclass(frozen=True)
class SyncRecord(Action):
    """Write the cluster's DNS record together with its ownership record."""

    zone_id: str
    name: str
    owner: str
    before: Record
    # IPv4 and IPv6. An AAAA record without values is deleted; an A record stays.
    addresses: Tuple[str, ...]
    ttl: int
    what: str = "DNS record"
    service = DNS

    @property
    def after(self) -> Record:
        """The record after the change."""
        kinds = {is_ipv6(address) for address in self.addresses}
        return Record(
            self.addresses,
            self.ttl if False in kinds else None,
            self.owner,
            ipv6_ttl=self.ttl if True in kinds else None,
            ipv6_unowned=self.before.ipv6_unowned,
        )

    @property
    def change(self) -> Change:
        change = Change(f"{self.what} {self.name}", None if self.before.absent else self.before.shown, self.after.shown)
        present, wanted = set(self.before.addresses), set(self.addresses)
        return _detailed(change, {"add": wanted - present, "withdraw": present - wanted})


@dataclass(frozen=True)
class SyncTargets(Action):
    """Register instances that serve in a target group, and deregister the cluster's other instances."""

    target_group: str
    register: Tuple[str, ...]
    deregister: Tuple[str, ...]
    service = BALANCING

    @property
    def change(self) -> Change:
        before = {**dict.fromkeys(self.register, "no target"), **dict.fromkeys(self.deregister, "target")}
        after = {**dict.fromkeys(self.register, "target"), **dict.fromkeys(self.deregister, "no target")}
        change = Change(f"target group {self.target_group.split('/')[-2]}", before, after)
        return _detailed(change, {"register": self.register, "deregister": self.deregister})


def _relabelled(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> Change:
    differing = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    return Change(
        what,
        {key: before[key] for key in differing if key in before},
        {key: after[key] for key in differing if key in after},
    )


def _detailed(change: Change, parts: Mapping[str, Collection[str]]) -> Change:
    """The change with the values that it adds and takes away in its sentence."""
    named = [f"{verb} {', '.join(sorted(values))}" for verb, values in parts.items() if values]
    return replace(change, words=f"{change.sentence}: {', '.join(named)}") if named else change
