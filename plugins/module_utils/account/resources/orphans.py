"""A cluster's resources that its configuration no longer declares."""

from __future__ import annotations

from typing import Any, Callable, Iterator, Mapping, Sequence

from .declared import declared
from .model import Resource

# Kinds whose names the configuration declares.
NAMED = ("launch template", "IAM role", "instance profile", "queue", "event rule")


def old_versions(found: Sequence[Resource]) -> dict[str, int]:
    """The number of unused versions of each launch template, by name."""
    used: dict[str, set[str]] = {}
    for group in found:
        if group.kind == "Auto Scaling group" and group.facts.get("template"):
            used.setdefault(group.facts["template"], set()).update(filter(None, group.facts["versions"]))
    return {
        resource.name: resource.facts["latest"] - len(used.get(resource.id, set()))
        for resource in found
        if resource.kind == "launch template" and resource.facts["latest"] > max(1, len(used.get(resource.id, set())))
    }


def orphans(resources: Sequence[Resource], cluster: Mapping[str, Any]) -> Iterator[tuple[Resource, str]]:
    """Each resource of the cluster that the configuration does not declare, and the reason.

    ``cluster`` is the configuration as the preflight leaves it.
    """
    scaling = {resource.id for resource in resources if resource.kind == "Auto Scaling group"}
    aliased = {key for resource in resources if resource.kind == "KMS alias" for key in resource.on}
    names, groups, dns = declared(cluster), [group["name"] for group in cluster["node_groups"]], cluster["dns"]
    record = dns["record"] if dns is not None and dns["cloud_map"] is None else None
    service = dns["record"] if dns is not None and dns["cloud_map"] is not None else None
    looks: Mapping[str, Callable[[Resource], str]] = {
        "Auto Scaling group": lambda item: (
            "" if item.facts["group"] in groups else f"node_groups has no {item.facts['group'] or 'such group'}"
        ),
        "instance": lambda item: "" if item.facts["scaled_by"] in scaling else "it is in no Auto Scaling group",
        "subnet": lambda item: "" if item.facts["zone"] in cluster["zones"] else f"zones has no {item.facts['zone']}",
        "volume": lambda item: "" if item.facts["attached"] else "it is not attached",
        "network interface": lambda item: "it is not attached",
        "DNS record": lambda item: "" if item.name == record else f"dns.record is {record or 'not set'}",
        "Cloud Map service": lambda item: "" if item.name == service else f"dns.cloud_map is {service or 'not set'}",
        "KMS key": lambda item: "" if item.id in aliased else "the cluster uses another key",
    }
    for resource in resources:
        if resource.kept or resource.going:
            # Resources with the tag, of a kind that this collection does not create.
            if resource.kept and resource.facts.get("tagged"):
                yield resource, resource.kept
            continue
        why = looks[resource.kind](resource) if resource.kind in looks else ""
        if resource.kind in NAMED and (resource.name or resource.id) not in names[resource.kind]:
            why = f"the configuration declares no {resource.kind} of this name"
        if why:
            yield resource, why
