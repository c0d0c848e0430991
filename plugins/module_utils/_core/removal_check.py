"""Whether an operator may remove an instance, checked before anything is changed."""

from __future__ import annotations

import re
from typing import Mapping, Optional, Sequence

from . import dns, interruptions, node_labels
from .cluster import Cluster, Instance, Node
from .counting import counted
from .errors import SwarmError
from .node_matching import NodeMatching
from .policy import Policy
from .quorum import Interlock
from .surge import Surge

INSTANCE_ID = re.compile(r"i-([0-9a-f]{8}|[0-9a-f]{17})")
OWNER_TAG = "swarm.aws/cluster"


class RequestRefused(SwarmError):
    """The request cannot be done now; nothing was changed."""


def well_formed(instance: str) -> str:
    """The ID as given. Raises RequestRefused if it is not an instance ID."""
    if not INSTANCE_ID.fullmatch(instance):
        raise RequestRefused(f"{instance!r} is not an instance ID: expected i- and 17 hexadecimal digits.")
    return instance


def foreign(instance: str, tags: Optional[Mapping[str, str]], cluster: str, region: str) -> RequestRefused:
    """Why an instance of another cluster is not removed. ``tags`` are its own; None if EC2 does not know it."""
    if tags is None:
        return RequestRefused(f"EC2 knows no instance {instance} in {region} of this account.")
    owner = tags.get(OWNER_TAG)
    if owner is None:
        return RequestRefused(f"{instance} belongs to no cluster: it has no tag {OWNER_TAG}.")
    return RequestRefused(f"{instance} belongs to the cluster '{owner}', and this is '{cluster}'.")


def warm(instance: str, scaling_group: Optional[str]) -> RequestRefused:
    """Why an instance in a warm pool is not removed."""
    return RequestRefused(
        f"{instance} is in the warm pool of {scaling_group} and in no swarm, so there is no node to remove: lower the "
        "group's warm_pool to have fewer instances there, or terminate it in EC2 to replace it."
    )


def check_quorum(observed: Cluster, members: NodeMatching, instances: Sequence[str], *, replace: bool) -> None:
    """Raises RequestRefused, with the numbers, if the instances may not be removed one after the other.

    Without replacement, one of two managers may be removed.
    """
    interlock = Interlock(observed.nodes or ())
    for instance in instances:
        node = members.node_of.get(instance)
        refusal = interlock.refusal(node, lost_anyway=not replace) if node else ""
        if refusal:
            several = f" after {counted(len(instances) - 1, 'other')}" if len(instances) > 1 else ""
            raise RequestRefused(f"The manager {instance} is not removed{several}: {refusal}.")


def check_room(observed: Cluster, node: Node, instance: str) -> None:
    """Raises RequestRefused if tasks of the node certainly fit nowhere else."""
    if node.state != "ready" or node.availability == "drain":
        return
    services = observed.services or ()
    surge = Surge(services, observed.nodes or (), {node.id}, 0.0)
    hopeless = [need for service in services for need in surge.needs(service, node.id) if need.obstacle]
    if hopeless:
        tasks = " and ".join(
            f"{counted(need.missing, 'task')} of {need.service} ({need.obstacle})" for need in hopeless
        )
        raise RequestRefused(
            f"{instance} is not removed, since there is no room elsewhere for {tasks}: "
            "correct that or add a node first, or use force to lose them."
        )


def check_record(observed: Cluster, instance: Instance, policy: Policy) -> None:
    """Raises RequestRefused if the record has the instance and does not belong to the cluster."""
    group = policy.groups.get(instance.group)
    if policy.dns is None or observed.record is None or group is None or not group.dns:
        return
    reason = dns.unchangeable(observed.record, instance, policy.dns, policy.owner)
    if reason:
        raise RequestRefused(f"{instance.id} is not removed, since it cannot be withdrawn: {reason}")


def check_size(instances: Sequence[str], members: NodeMatching, sizes: Mapping[str, "tuple[int, int]"]) -> None:
    """Raises RequestRefused if a group would get too small. ``sizes`` has its minimum and desired size."""
    for group, (smallest, desired) in sizes.items():
        removed = [instance for instance in instances if members.instances[instance].scaling_group == group]
        if desired - len(removed) < smallest:
            raise RequestRefused(
                f"The group {group} has {counted(desired, 'instance')} and may not have fewer than {smallest}: "
                "lower its min in node_groups and run site.yml, or let the instance be replaced."
            )


def requested(node: Node, instance: str) -> bool:
    """Whether the operator has requested the removal already."""
    return interruptions.read_request(node.labels.get(node_labels.REQUESTED, ""), instance) is not None
