"""What can be done to a cluster: plain facts, each of them one effect on one service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Mapping, Optional, Tuple

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

# Why a node goes.
GONE = "its instance is gone"
SUPERSEDED = "its instance has joined anew"
REMOVING = "its instance is to go"
TERMINATING = "its instance ends, whatever becomes of its vote"


class Action:
    """One effect on one service."""

    service: str

    @property
    def change(self) -> Change:
        """What it changes, if it is still to be done."""
        raise NotImplementedError


@dataclass(frozen=True)
class OnNode(Action):
    """Something is done to the node of an instance."""

    node: str
    instance: str
    service = SWARM


@dataclass(frozen=True)
class SetLabels(OnNode):
    """Make the node's labels what they should be."""

    before: Mapping[str, str]
    after: Mapping[str, str]

    @property
    def change(self) -> Change:
        """Only the labels that differ."""
        return _relabelled(f"labels of the node of {self.instance}", self.before, self.after)


@dataclass(frozen=True)
class NoteFact(OnNode):
    """Note on the node how far it is on its way out."""

    label: str
    at: float

    @property
    def change(self) -> Change:
        return Change(f"labels of the node of {self.instance}", {}, {self.label: node_labels.noted(self.at)})


@dataclass(frozen=True)
class SetAvailability(OnNode):
    """Make the node's availability another one."""

    availability: str
    wanted: ClassVar[str]

    @property
    def change(self) -> Change:
        return Change(f"node of {self.instance}", {"availability": self.availability}, {"availability": self.wanted})


@dataclass(frozen=True)
class Resume(SetAvailability):
    """Let a node that is not to go any more have tasks again, and forget how far it was."""

    wanted = "active"


@dataclass(frozen=True)
class Cordon(SetAvailability):
    """Give the node no more tasks, and note since when."""

    at: float
    wanted, label = "pause", node_labels.CORDONED


@dataclass(frozen=True)
class Drain(SetAvailability):
    """Have the node's tasks run elsewhere, and note since when."""

    at: float
    wanted, label = "drain", node_labels.DRAINED


@dataclass(frozen=True)
class Promote(OnNode):
    """Give a manager its vote back that somebody took by hand."""

    @property
    def change(self) -> Change:
        return Change(f"node of {self.instance}", {"role": "worker"}, {"role": "manager"})


@dataclass(frozen=True)
class Demote(OnNode):
    """Take a manager's vote, behind the interlock."""

    reason: str

    @property
    def change(self) -> Change:
        return Change(f"node of {self.instance}", {"role": "manager"}, {"role": "worker", "because": self.reason})


@dataclass(frozen=True)
class Delete(OnNode):
    """Take a node that is no manager out of the swarm."""

    reason: str

    @property
    def change(self) -> Change:
        return Change(f"node of {self.instance}", {"id": self.node, "removed because": self.reason}, None)


@dataclass(frozen=True)
class SetReplicas(Action):
    """Have more or fewer tasks of a service, and keep in its labels what was declared."""

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
        return Change(f"service {self.name}", {"replicas": self.replicas}, {"replicas": self.wanted})


@dataclass(frozen=True)
class OnInstance(Action):
    """Something is done to an instance of an Auto Scaling group."""

    instance: str
    scaling_group: str
    service = SCALING


@dataclass(frozen=True)
class CompleteLifecycle(OnInstance):
    """Tell Auto Scaling to go on with an instance that waits at a hook: CONTINUE, or ABANDON the launch."""

    hook: str
    result: str
    # The lifecycle state it waits in, and for a launch, the node that it has become.
    lifecycle: str
    node: Optional[str] = None

    @classmethod
    def of(cls, instance: Instance, hook: str, result: str, node: Optional[str] = None) -> CompleteLifecycle:
        """That of an instance which waits."""
        return cls(instance.id, instance.scaling_group or "", hook, result, instance.lifecycle or "", node)

    @property
    def change(self) -> Change:
        return Change(
            f"lifecycle of {self.instance}", {"state": self.lifecycle}, {"hook": self.hook, "result": self.result}
        )


@dataclass(frozen=True)
class Terminate(OnInstance):
    """Have Auto Scaling end an instance that is given up; it then waits at the hook for its node's removal."""

    node: str
    # Whether the group is to start another one, or to have one less.
    replace: bool

    @property
    def change(self) -> Change:
        return Change(
            f"lifecycle of {self.instance}",
            {"state": "InService"},
            {"state": "Terminating", "desired capacity": "as before" if self.replace else "one less"},
        )


@dataclass(frozen=True)
class Heartbeat(OnInstance):
    """Have Auto Scaling wait on for an instance that is being taken out."""

    hook: str

    @property
    def change(self) -> Change:
        return Change(
            f"lifecycle of {self.instance}", {"state": "Terminating:Wait"}, {"hook": self.hook, "heartbeat": ""}
        )


@dataclass(frozen=True)
class PublishRecord(Action):
    """Write the cluster's record again, over what the bucket has in its place."""

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
    """Have the swarm remember what is published of it."""

    before: Optional[ClusterRecord]
    after: ClusterRecord
    service = SWARM

    @property
    def change(self) -> Change:
        return Change("cluster's record in the swarm", self.before.shown if self.before else None, self.after.shown)


@dataclass(frozen=True)
class PublishTokens(Action):
    """Publish the engine's join tokens of some roles. Knows none of them."""

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
    """Have a service's tasks pulled with new credentials, before the present ones end. Its tasks run on."""

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
    """Have managers lock their state, or not."""

    wanted: bool
    service = SWARM

    @property
    def change(self) -> Change:
        return Change("lock of the managers' state", {"locked": not self.wanted}, {"locked": self.wanted})


@dataclass(frozen=True)
class KeepKey(Action):
    """Keep the engine's unlock key where managers look for it when they boot. Knows it not."""

    service = KEYS

    @property
    def change(self) -> Change:
        return Change("kept unlock key", {"key": "not the engine's"}, {"key": "current"})


@dataclass(frozen=True)
class SyncRecord(Action):
    """Make the cluster's record say what it should, together with the record that says whose it is."""

    zone_id: str
    name: str
    owner: str
    before: Record
    # Of both kinds. An AAAA record without values goes; an A record stays.
    addresses: Tuple[str, ...]
    ttl: int
    what: str = "DNS record"
    service = DNS

    @property
    def after(self) -> Record:
        """What stands there then."""
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
        return Change(f"{self.what} {self.name}", None if self.before.absent else self.before.shown, self.after.shown)


@dataclass(frozen=True)
class SyncTargets(Action):
    """Have a target group send requests to instances that serve, and no more to others of the cluster."""

    target_group: str
    register: Tuple[str, ...]
    deregister: Tuple[str, ...]
    service = BALANCING

    @property
    def change(self) -> Change:
        before = {**dict.fromkeys(self.register, "no target"), **dict.fromkeys(self.deregister, "target")}
        after = {**dict.fromkeys(self.register, "target"), **dict.fromkeys(self.deregister, "no target")}
        return Change(f"target group {self.target_group.split('/')[-2]}", before, after)


def _relabelled(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> Change:
    differing = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    return Change(
        what,
        {key: before[key] for key in differing if key in before},
        {key: after[key] for key in differing if key in after},
    )
