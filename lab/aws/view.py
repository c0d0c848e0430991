"""Views of the account for the lab's firewall, DNS, command line and instance metadata."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lab.aws import cloud_map, routing, world
from lab.aws.cloud_map import ZoneRecord
from lab.aws.instances import LabInstance, every
from lab.aws.ports import Rule


@dataclass(frozen=True)
class Firewall:
    """All security groups, and the instances' public addresses."""

    rules: list[Rule] = field(default_factory=list)
    members: dict[str, set[str]] = field(default_factory=dict)
    """Security group ID to the private and IPv6 addresses in it."""
    seen_as: dict[str, str | None] = field(default_factory=dict)
    """Private address to the public address outside the VPC, or None without a route to the internet."""


def firewall() -> Firewall:
    """The security groups' rules and members, and the instances' public addresses."""
    with world.LOCK:
        result = Firewall()
        for groups in world.ec2().groups.values():
            for group in groups.values():
                result.rules.extend(_rules(group))
        for instance in every():
            if instance.alive:
                result.seen_as[str(instance.private_ip)] = routing.seen_as(instance)
                for interface in instance.nics.values():
                    own = {str(interface.private_ip_address), *interface.ipv6_addresses}
                    for group in interface.group_set:
                        result.members.setdefault(group.id, set()).update(own)
        return result


def zone_records() -> list[ZoneRecord]:
    """The record sets of all hosted zones, without aliases, and of Cloud Map."""
    with world.LOCK:
        return [*cloud_map.answers()] + [
            ZoneRecord(zone.name, record.name, record.type, [str(value) for value in record.records], int(record.ttl))
            for zone in world.route53().zones.values()
            for record in zone.rrsets
            if record.records and record.ttl is not None
        ]


def load_balancers() -> dict[str, str]:
    """The address of each load balancer, by its DNS name."""
    with world.LOCK:
        found = world.elbv2().load_balancers.values()
        return {
            balancer.dns_name.lower(): balancer.lab_address for balancer in found if hasattr(balancer, "lab_address")
        }


def instances() -> list[dict[str, Any]]:
    """All instances for ``lab status``, including terminated instances."""
    with world.LOCK:
        members = {member.instance.id: member for member in world.autoscaling().members()}
        return [_view(instance, members.get(instance.id)) for instance in every()]


def by_address(address: str) -> LabInstance | None:
    """The running instance with this private address."""
    with world.LOCK:
        for instance in every():
            if instance.alive and address in (nic.private_ip_address for nic in instance.nics.values()):
                return instance
    return None


def _rules(group: Any) -> Iterator[Rule]:
    for rule in group.ingress_rules:
        cidrs = tuple(cidr for cidr in (rule.cidr_ipv4, rule.cidr_ipv6) if cidr)
        sources = tuple(value for key, value in rule.source_group.items() if key == "GroupId" and value)
        if cidrs or sources:
            anything = rule.ip_protocol == "-1" or rule.from_port in (None, -1)
            first, last = (0, 65535) if anything else (rule.from_port, rule.to_port)
            yield Rule(group.id, rule.ip_protocol, first, last, cidrs, sources)


def _view(instance: LabInstance, member: Any | None) -> dict[str, Any]:
    gone, tags = instance.state == "terminated", {tag["key"]: tag["value"] for tag in instance.get_tags()}
    return {
        "instance_id": instance.id,
        "group": member.group.name if member else tags.get("aws:autoscaling:groupName"),
        "zone": instance.placement.zone or "",
        "state": instance.state,
        "lifecycle_state": member.state if member else None,
        "health": member.health if member else None,
        "private_ip": None if gone else instance.private_ip,
        "public_ip": None if gone else instance.public_ip,
        "ipv6": None if gone else next(iter(instance.nics[0].ipv6_addresses), None),
        "launched_at": world.timestamp(instance.launch_time),
    }
