"""What should stand in DNS: the addresses of nodes that serve, and whose record it is."""

from __future__ import annotations

from typing import AbstractSet, Tuple

from .cluster import Instance, Node, Record
from .identity import Membership
from .policy import Dns, Policy

OWNER_PREFIX = "_swarm-aws."
# Route 53 takes no more values in one record.
MOST_VALUES = 400


def owner_name(record: str) -> str:
    """The name of the ownership record. A wildcard is only one at the beginning of a name."""
    return OWNER_PREFIX + (f"wildcard{record[1:]}" if record.startswith("*") else record)


def addresses(membership: Membership, policy: Policy, leaving: AbstractSet[str], present: Record) -> Tuple[str, ...]:
    """The values that the record should have, sorted; empty if no node can serve, and then it is to stay as it is.

    ``present`` is the record as it is.
    """
    if policy.dns is None:
        return ()
    serving, waiting, left = set(), set(), set()
    for identifier, node in membership.node_of.items():
        instance = membership.instances[identifier]
        group = policy.groups.get(instance.group)
        address = instance.address(policy.dns.addresses)
        if not address or group is None or not group.dns or instance.state != "running":
            continue
        # A new leader knows of nobody until it hears from them, which is no reason to send all users to one node.
        if not node.ready and not (node.unheard and address in present.addresses):
            continue
        if instance.in_service and identifier not in leaving and node.availability != "drain":
            serving.add(address)
        elif _was_in_service(instance):
            left.add(address)
            if node.availability == "active":
                waiting.add(address)
    # Rather a node that is on its way out than none: best one whose turn has not come, so that those whose turn it is
    # get on, and then one that is there still, for others may be drained next.
    return tuple(sorted(serving or waiting or left.intersection(present.addresses) or left)[:MOST_VALUES])


def _was_in_service(instance: Instance) -> bool:
    return instance.in_service or (instance.lifecycle or "").startswith("Terminating")


def foreign(record: Record, dns: Dns, owner: str) -> str:
    """Why the record is not this cluster's to change, as a sentence; empty if it is."""
    name, other = dns.record, owner_name(dns.record)
    if record.obstacle:
        return f"{name} is {record.obstacle}, which is not this cluster's: delete it, or choose another dns.record."
    if record.owner is not None and record.owner != owner:
        return (
            f"{name} belongs to '{record.owner}', as the TXT record {other} says, and this is '{owner}': "
            "choose another dns.record."
        )
    if record.owner is None and not record.absent:
        return (
            f"{name} stands there already and no TXT record {other} says that it is this cluster's: "
            "delete it, or choose another dns.record."
        )
    return ""


def published(record: Record, instance: Instance, node: Node, dns: Dns, owner: str) -> bool:
    """Whether this cluster's record still leads to the instance."""
    return record.owner == owner and bool(
        {instance.public_address, instance.private_address, node.address}.intersection(record.addresses) - {None}
    )
