"""What is a cluster's and not in its configuration any more."""

from __future__ import annotations

from typing import Any, Callable, Iterator, Mapping, Sequence

from .declared import declared
from .model import Resource

# Kinds of which each has a name that the configuration asks for.
NAMED = ("launch template", "IAM role", "instance profile", "queue", "event rule")


def old_versions(found: Sequence[Resource]) -> dict[str, int]:
    """By the name of a launch template, how many of its versions no group and no instance uses."""
    used: dict[str, set[str]] = {}
    for group in found:
        if group.kind == "Auto Scaling group" and group.facts.get("template"):
            used.setdefault(group.facts["template"], set()).update(filter(None, group.facts["versions"]))
    return {
        one.name: one.facts["latest"] - len(used.get(one.id, set()))
        for one in found
        if one.kind == "launch template" and one.facts["latest"] > max(1, len(used.get(one.id, set())))
    }


def orphans(resources: Sequence[Resource], cluster: Mapping[str, Any]) -> Iterator[tuple[Resource, str]]:
    """Each resource that nothing in the configuration asks for, and why. What is not the cluster's is none.

    ``cluster`` is the configuration as the preflight leaves it.
    """
    scaling = {resource.id for resource in resources if resource.kind == "Auto Scaling group"}
    aliased = {key for resource in resources if resource.kind == "KMS alias" for key in resource.on}
    names, groups, dns = declared(cluster), [group["name"] for group in cluster["node_groups"]], cluster["dns"]
    record = dns["record"] if dns is not None and dns["cloud_map"] is None else None
    service = dns["record"] if dns is not None and dns["cloud_map"] is not None else None
    looks: Mapping[str, Callable[[Resource], str]] = {
        "Auto Scaling group": lambda one: (
            "" if one.facts["group"] in groups else f"node_groups has no {one.facts['group'] or 'such group'}"
        ),
        "instance": lambda one: "" if one.facts["scaled_by"] in scaling else "no Auto Scaling group keeps it",
        "subnet": lambda one: "" if one.facts["zone"] in cluster["zones"] else f"zones has no {one.facts['zone']}",
        "volume": lambda one: "" if one.facts["attached"] else "it is attached to nothing",
        "network interface": lambda one: "it is attached to nothing",
        "DNS record": lambda one: "" if one.name == record else f"dns.record is {record or 'not set'}",
        "Cloud Map service": lambda one: "" if one.name == service else f"dns.cloud_map is {service or 'not set'}",
        "KMS key": lambda one: "" if one.id in aliased else "the cluster uses another key",
    }
    for resource in resources:
        if resource.kept or resource.going:
            # What carries the tag and is of a kind that is not made here is as unasked for.
            if resource.kept and resource.facts.get("tagged"):
                yield resource, resource.kept
            continue
        why = looks[resource.kind](resource) if resource.kind in looks else ""
        if resource.kind in NAMED and (resource.name or resource.id) not in names[resource.kind]:
            why = f"the configuration asks for no {resource.kind} of this name"
        if why:
            yield resource, why
