"""The cluster's DNS record: the addresses of nodes that serve, and its owner.

The record is an A record and, if configured, an AAAA record under the same name, both plain: each answer has all
values. (Route 53's multivalue answer routing would give up to eight of them, and needs a record set for each value.)

A Cloud Map service is read as the same record: its values are its instances' addresses, and its owner is in its tag.
Cloud Map publishes them with multivalue answer routing.
"""

from __future__ import annotations

from typing import AbstractSet, Iterable, List, Optional, Sequence, Tuple

from . import actions as act
from . import node_labels, placement
from .cluster import Instance, Node, Record, Service, is_ipv6
from .node_matching import NodeMatching
from .policy import Dns, Policy

OWNER_PREFIX = "_swarm-aws."
# The end of the ownership record's text if the cluster owns the AAAA record too.
BOTH = ",records=A+AAAA"
# Route 53's quotas (https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html): a record has at
# most 400 values. A request has at most 1,000, and upserts count twice: beside the value of the ownership record, that
# is 249 for each of two records. These also fit into a request's 32,000 characters.
MOST_VALUES = 400
MOST_VALUES_OF_BOTH = 249
# The same page: a name has at most 100 multivalue record sets of a type, and Cloud Map creates one for each instance.
MOST_INSTANCES = 100


def most_values(ipv6: bool) -> int:
    """The limit of addresses of each kind; ``ipv6`` says whether the record has both kinds."""
    return MOST_VALUES_OF_BOTH if ipv6 else MOST_VALUES


def owner_name(record: str) -> str:
    """The name of the ownership record. A wildcard is only special at the beginning of a name."""
    return OWNER_PREFIX + (f"wildcard{record[1:]}" if record.startswith("*") else record)


def of(instance: Instance, wanted: Dns, present: Record) -> Tuple[str, ...]:
    """The instance's addresses for the record, which is ``present`` now.

    Cloud Map registers an instance only with an address of each kind for which its service has records
    (https://docs.aws.amazon.com/cloud-map/latest/api/API_RegisterInstance.html).
    """
    if wanted.service_id is not None and wanted.ipv6:
        both = instance.addresses(wanted.addresses, ipv6=True)
        return both if len(both) == 2 else ()
    return instance.addresses(wanted.addresses, ipv6=wanted.ipv6 and not present.ipv6_unowned)


def addresses(
    membership: NodeMatching, policy: Policy, removing: AbstractSet[str], present: Record, services: Sequence[Service]
) -> Tuple[str, ...]:
    """The values that the record should have, sorted; empty if no node can serve, and then it should stay as it is.

    ``present`` is the record now. A new node is added once its host-port services run there, and a node is withdrawn
    while they fail there repeatedly.
    """
    if policy.dns is None:
        return ()
    serving: List[Tuple[str, ...]] = []
    waiting: List[Tuple[str, ...]] = []
    left: List[Tuple[Tuple[bool, float], Tuple[str, ...]]] = []
    closed: List[Tuple[str, ...]] = []
    for identifier, node in membership.node_of.items():
        instance = membership.instances[identifier]
        group = policy.groups.get(instance.group)
        own = of(instance, policy.dns, present)
        if not own or group is None or not group.dns or instance.state != "running":
            continue
        # A new leader has no heartbeats yet. That must not move all users to a single node.
        if not node.ready and not (node.unconfirmed and _leads_to(present, own)):
            continue
        if instance.in_service and identifier not in removing and node.availability != "drain":
            known = _leads_to(present, own)
            is_open = not (failing(node, services) if known else _unanswered(node, services))
            (serving if is_open else closed).append(own)
        elif _was_in_service(instance):
            left.append(((node.availability != "drain", node_labels.removal_began(node)), own))
            if node.availability == "active":
                waiting.append(own)
    # Prefer a node that is being removed to none: first nodes that still wait for their removal, then, of the nodes in
    # the record, the node whose removal began last. So the other removals can finish, and only then are they replaced.
    removed = [own for _since, own in sorted(left)]
    there = [own for own in removed if _leads_to(present, own)]
    ranked = [serving, waiting, [own for own in there if _has_ipv4(own)][-1:], there[-1:], removed, closed]
    # The A record must have an address. The AAAA record need not: clients use the A record then.
    by_ipv4 = [nodes for nodes in ranked if any(_has_ipv4(own) for own in nodes)]
    best = next((nodes for nodes in (*by_ipv4, *ranked) if nodes), [])
    return tuple(sorted({address for own in (*best, *serving) for address in own}))


def omission(
    instance: Instance,
    node: Optional[Node],
    policy: Policy,
    removing: AbstractSet[str],
    present: Record,
    services: Sequence[Service],
) -> str:
    """Why the record has no address of the instance, as a clause."""
    group, wanted = policy.groups.get(instance.group), policy.dns
    if wanted is None or group is None or not group.dns:
        return f"dns is false for the group {instance.group}"
    if node is None:
        return "it has not joined the swarm"
    if instance.id in removing:
        return "it is being removed"
    if not of(instance, wanted, present):
        return f"it has no {wanted.addresses} address"
    if not instance.in_service:
        return "it is not in service"
    if node.availability == "drain":
        return "it is drained"
    if not node.ready:
        return f"its node is {'unreachable' if node.state == 'ready' else node.state}"
    missing = _unanswered(node, services)
    return f"{' and '.join(missing)} does not run on it" if missing else "it will be added"


def failing(node: Node, services: Sequence[Service]) -> List[str]:
    """The names of host-port services that fail on the node repeatedly."""
    return _unanswered(node, [service for service in services if node.id in service.failing])


def _unanswered(node: Node, services: Sequence[Service]) -> List[str]:
    """The names of host-port services that do not run on the node yet."""
    return placement.arriving(node, (service for service in services if service.needs.host_ports))


def _has_ipv4(own: Iterable[str]) -> bool:
    return any(not is_ipv6(address) for address in own)


def _leads_to(record: Record, own: Iterable[str]) -> bool:
    return not set(record.addresses).isdisjoint(own)


def _was_in_service(instance: Instance) -> bool:
    return instance.in_service or (instance.lifecycle or "").startswith("Terminating")


def within_limits(values: Iterable[str], present: Record, wanted: Dns) -> Tuple[Tuple[str, ...], int]:
    """The values within Route 53's limit, sorted, and how many of a kind are beyond it.

    Present values take precedence, so that users are not moved without need.
    """
    ordered = sorted(values, key=lambda address: (address not in present.addresses, address))
    ipv4, ipv6 = ([address for address in ordered if is_ipv6(address) == kind] for kind in (False, True))
    most = most_values(wanted.ipv6)
    return tuple(sorted(ipv4[:most] + ipv6[:most])), max(0, len(ipv4) - most, len(ipv6) - most)


def crowded(wanted: Dns, left_out: int) -> str:
    """A sentence for a record that cannot have all nodes."""
    most, kinds = most_values(wanted.ipv6), "each of an A and an AAAA record" if wanted.ipv6 else "a record"
    return (
        f"{wanted.record} omits {left_out} of the serving nodes, since Route 53 allows {most} values in {kinds}: "
        "set dns for fewer groups, or use fewer and larger nodes."
    )


def sync(values: Tuple[str, ...], present: Record, wanted: Dns, owner: str) -> act.SyncRecord:
    """The action that writes these values into the record."""
    both = BOTH if wanted.ipv6 and not present.ipv6_unowned else ""
    if wanted.service_id is not None:
        # site.yml sets the TTL of the service.
        ttl = wanted.ttl if present.known_for is None else present.known_for
        return act.SyncRecord("", wanted.record, owner + both, present, values, ttl, "Cloud Map service")
    return act.SyncRecord(wanted.zone_id, wanted.record, owner + both, present, values, wanted.ttl)


def owns_ipv6(text: str) -> bool:
    """Whether the ownership record's text covers the AAAA record too."""
    return text.endswith(BOTH)


def _owner(record: Record) -> str:
    text = record.owner or ""
    return text[: -len(BOTH)] if owns_ipv6(text) else text


def foreign(record: Record, dns: Dns, owner: str) -> str:
    """A sentence why the record does not belong to this cluster; empty if it does."""
    name, other, text = dns.record, owner_name(dns.record), owner + (BOTH if dns.ipv6 else "")
    if dns.service_id is not None:
        if record.owner is not None and _owner(record) == owner:
            return ""
        return (
            f"The Cloud Map service {name} has no tag swarm.aws/cluster with this cluster's name: "
            "run site.yml, or choose another dns.cloud_map.service."
        )
    if record.obstacle:
        return f"{name} is {record.obstacle}, which is not this cluster's: delete it, or choose another dns.record."
    if record.owner is not None and _owner(record) != owner:
        return (
            f"{name} belongs to '{record.owner}', as the TXT record {other} says, and this is '{owner}': "
            "choose another dns.record."
        )
    if record.owner is None and not record.absent:
        return (
            f"{name} exists already, and no TXT record {other} says that it is this cluster's: delete it, choose "
            f'another dns.record, or, if it is this cluster\'s, create that TXT record with the value "{text}".'
        )
    return ""


def foreign_ipv6(dns: Dns) -> str:
    """A sentence for an AAAA record under this cluster's name that the cluster does not own."""
    return (
        f"{dns.record} has an AAAA record that is not this cluster's, as the TXT record {owner_name(dns.record)} says: "
        "delete it, or set dns.ipv6 to false. The A record is kept up to date."
    )


def unchangeable(record: Record, instance: Instance, dns: Dns, owner: str) -> str:
    """A sentence why an instance cannot be withdrawn from the record; empty if it can, or is not there."""
    return foreign(record, dns, owner) if _leads_to(record, instance.addresses(dns.addresses, ipv6=True)) else ""


def published(record: Record, instance: Instance, node: Node, dns: Dns, owner: str) -> bool:
    """Whether this cluster's record has an address of the instance."""
    own = {instance.public_address, instance.private_address, instance.ipv6_address, node.address}
    return _owner(record) == owner and _leads_to(record, (address for address in own if address))
