"""A cluster's resources, their dependencies and the order of their deletion."""

from __future__ import annotations

from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any, Iterable, Iterator, Mapping, Sequence

# The order of deletion, as far as dependencies allow: first the nodes' permissions, DNS records and events, then the
# nodes, and then the resources that they use.
KINDS = (
    "policy of the IAM role",
    "alarm",
    "event rule",
    "DNS record",
    "Cloud Map service",
    "lifecycle hook",
    "scaling policy",
    "Auto Scaling group",
    "instance",
    "volume",
    "launch template",
    "network interface",
    "NAT gateway",
    "elastic IP address",
    "gateway endpoint",
    "interface endpoint",
    "rules of the security group",
    "security group",
    "subnet",
    "route table",
    "internet gateway",
    "VPC",
    "queue",
    "topic",
    "dashboard",
    "instance profile",
    "IAM role",
    "log group",
    "parameter",
    "secret",
    "objects of the bucket",
    "bucket",
    "KMS alias",
    "KMS key",
)
RANKS = {kind: rank for rank, kind in enumerate(KINDS)}


@dataclass(frozen=True)
class Resource:
    """A resource of the cluster, or a resource that depends on such a resource."""

    kind: str
    # Unique among all resources of the cluster.
    id: str
    name: str = ""
    # IDs of the resources that it depends on, which are deleted after it.
    on: tuple[str, ...] = ()
    # A note for the operator.
    note: str = ""
    # Why it is kept, such as that it is not this cluster's; empty if it can be deleted.
    kept: str = ""
    # When AWS deletes it, if its deletion is scheduled.
    going: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        # An ID that contains the name is enough.
        shown = (
            f"{self.name} ({self.id.split('/')[0]})" if self.name and self.name not in self.id else self.name or self.id
        )
        return f"{self.kind} {shown}"

    def report(self) -> dict[str, str]:
        """The resource as modules return it."""
        return {key: getattr(self, key) for key in ("kind", "id", "name", "note", "kept", "going")}


def staying(resources: Sequence[Resource]) -> dict[str, str]:
    """Why resources are kept, by ID: for their own reason, or since a kept resource depends on them."""
    by_id = {resource.id: resource for resource in resources}
    reasons: dict[str, str] = {}
    todo = [(resource, resource.kept) for resource in resources if resource.kept]
    while todo:
        resource, reason = todo.pop(0)
        if resource.id in reasons:
            continue
        reasons[resource.id] = reason
        # The reason names the root of the chain, which an operator can change.
        passed_on = f"the {resource} needs it, and {resource.kept}" if resource.kept else reason
        todo += [(by_id[identifier], passed_on) for identifier in resource.on if identifier in by_id]
    return reasons


def batches(resources: Sequence[Resource]) -> Iterator[list[Resource]]:
    """The resources to delete, in batches of a kind, each after its dependents; without kept and scheduled resources.

    Raises graphlib.CycleError if resources depend on each other.
    """
    stays = staying(resources)
    by_id = {resource.id: resource for resource in resources if resource.id not in stays and not resource.going}
    sorter: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(sorted(by_id), ()))
    for resource in by_id.values():
        for under in resource.on:
            if under in by_id:
                sorter.add(under, resource.id)
    sorter.prepare()
    ready: list[Resource] = []
    while sorter.is_active():
        ready += [by_id[identifier] for identifier in sorter.get_ready()]
        first = min(ready, key=_rank).kind
        batch = sorted((resource for resource in ready if resource.kind == first), key=lambda resource: resource.id)
        ready = [resource for resource in ready if resource.kind != first]
        yield batch
        sorter.done(*(resource.id for resource in batch))


def unique(resources: Iterable[Resource]) -> list[Resource]:
    """Each resource once, by its ID: the first occurrence."""
    by_id: dict[str, Resource] = {}
    for resource in resources:
        by_id.setdefault(resource.id, resource)
    return list(by_id.values())


def _rank(resource: Resource) -> int:
    return RANKS.get(resource.kind, len(RANKS))
