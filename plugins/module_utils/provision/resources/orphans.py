"""What is a cluster's and not in its configuration any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterable, Iterator, Mapping, Sequence

from .model import Resource


@dataclass(frozen=True)
class Declared:
    """What the configuration asks for, as far as things can be left over from it."""

    cluster: str
    groups: Sequence[str]
    zones: Sequence[str]
    # The name of the record, as Route 53 writes it but for the dot at the end.
    record: str | None = None
    # The name of the Cloud Map service, with its namespace's.
    service: str | None = None


def orphans(resources: Iterable[Resource], declared: Declared) -> list[tuple[Resource, str]]:
    """Each resource that nothing in the configuration asks for, and why. What is not the cluster's is none."""
    return list(_orphans(list(resources), declared))


def old_versions(resources: Iterable[Resource]) -> dict[str, int]:
    """By the name of a launch template, how many of its versions no group and no instance uses."""
    found = list(resources)
    used: dict[str, set[str]] = {}
    for group in found:
        if group.kind == "Auto Scaling group" and group.facts.get("template"):
            used.setdefault(group.facts["template"], set()).update(filter(None, group.facts["versions"]))
    return {
        one.name: one.facts["latest"] - len(used.get(one.id, set()))
        for one in found
        if one.kind == "launch template" and one.facts["latest"] > max(1, len(used.get(one.id, set())))
    }


def _orphans(resources: Sequence[Resource], declared: Declared) -> Iterator[tuple[Resource, str]]:
    scaling = {one.id for one in resources if one.kind == "Auto Scaling group"}
    aliased = {key for one in resources if one.kind == "KMS alias" for key in one.on}
    cluster = declared.cluster
    names: Mapping[str, set[str]] = {
        "launch template": {f"{cluster}-{group}" for group in declared.groups},
        "IAM role": {f"{cluster}-{name}" for name in ("manager", "worker")},
        "instance profile": {f"{cluster}-{name}" for name in ("manager", "worker")},
        "queue": {f"{cluster}-events", f"{cluster}-events-dead"},
        "event rule": {f"{cluster}-events"},
    }
    looks: Mapping[str, Callable[[Resource], str]] = {
        "Auto Scaling group": lambda one: (
            "" if one.facts["group"] in declared.groups else f"node_groups has no {one.facts['group'] or 'such group'}"
        ),
        "instance": lambda one: "" if one.facts["scaled_by"] in scaling else "no Auto Scaling group keeps it",
        "subnet": lambda one: "" if one.facts["zone"] in declared.zones else f"zones has no {one.facts['zone']}",
        "volume": lambda one: "" if one.facts["attached"] else "it is attached to nothing",
        "network interface": lambda one: "it is attached to nothing",
        "DNS record": lambda one: (
            "" if one.name == declared.record else f"dns.record is {declared.record or 'not set'}"
        ),
        "Cloud Map service": lambda one: (
            "" if one.name == declared.service else f"dns.cloud_map is {declared.service or 'not set'}"
        ),
        "KMS key": lambda one: "" if one.id in aliased else "the cluster uses another key",
    }
    for one in resources:
        if one.kept or one.going:
            # What carries the tag and is of a kind that is not made here is as unasked for.
            if one.kept and one.facts.get("tagged"):
                yield one, one.kept
            continue
        why = looks[one.kind](one) if one.kind in looks else ""
        known = names.get(one.kind)
        if known is not None and (one.name or one.id) not in known:
            why = f"the configuration asks for no {one.kind} of this name"
        if why:
            yield one, why
