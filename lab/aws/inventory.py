"""Everything that is in the account: whatever any of moto's services holds, and not only what somebody thought of.

It is read from the services' own memory, so that a comparison of two moments finds what a list by the API would miss.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from moto.core.base_backend import BackendDict, BaseBackend

from lab.aws.endpoints import LabEndpoint
from lab.aws.nat import LabNatGateway

# What a service writes down beside its resources, by the name of its attribute, and what that is.
JOURNALS = {
    "_activities": "what Auto Scaling did",
    "activities": "what Auto Scaling did",
    "amis": "the images that everybody sees",
    "rr_changes": "what was done to a hosted zone",
    "launch_template_insert_order": "in which order templates came, those that are gone too",
    "tags": "EC2's index, of what is gone too; what stands is found by itself",
    "_tagger": "an index of what is there",
    "tagger": "an index of what is there",
    "tagging_service": "an index of what is there",
    "_pages": "answers that were read in parts",
    "access_keys": "of the instances' roles, which expire",
    "reservations": "terminated instances, which EC2 shows for another hour",
    "past_metric_data": "measurements",
    "metric_data": "measurements",
    "assumed_roles": "sessions of the instances, which expire",
    "request_history": "what was asked",
    "operations": "what Cloud Map did",
    "_reset_model_refs": "moto's own",
    "rotation": "the next free address",
    "opt_out_numbers": "telephones of moto's own, which SNS does not write to",
}
# By which an object in a list is known.
NAMES = ("id", "arn", "name", "resource_id", "identifier", "key_name")
DEEPEST = 6


def resources() -> list[str]:
    """A line for each thing that any service holds, such as ``ec2.vpcs[vpc-…]``, sorted. Instances that ended are none.

    Whoever calls holds the world's lock.
    """
    found = {line for name, backend in _backends() for line in _of(name, backend)}
    return sorted(found)


def _backends() -> Iterator[tuple[str, BaseBackend]]:
    instances: list[BackendDict[Any]] = BackendDict._instances  # type: ignore[misc]
    for service in instances:
        for account, regions in service.items():
            for region, backend in regions.items():
                yield f"{service.service_name}/{account}/{region}", backend


def _of(name: str, backend: BaseBackend) -> Iterator[str]:
    seen: set[int] = {id(backend)}
    for attribute, value in vars(backend).items():
        if attribute not in JOURNALS:
            yield from _inside(f"{name}.{attribute}", value, seen, 0)
    reservations = getattr(backend, "reservations", {})
    for reservation in reservations.values():
        for instance in reservation.instances:
            if instance.state != "terminated":
                yield f"{name}.instances[{instance.id}]"


def _inside(path: str, value: Any, seen: set[int], depth: int) -> Iterator[str]:
    """What a container or an object holds; an empty one holds nothing, and is as good as none."""
    if depth > DEEPEST or isinstance(value, (str, bytes, int, float, type, BaseBackend, type(None))) or callable(value):
        return
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        # An object is described where it is found first, but every place that it stands in is one.
        for label, item in _items(value):
            if not _is_gone(item):
                yield f"{path}[{label}]"
                yield from _inside(f"{path}[{label}]", item, seen, depth + 1)
        return
    if id(value) in seen or not hasattr(value, "__dict__"):
        return
    seen.add(id(value))
    for attribute, item in vars(value).items():
        if attribute not in JOURNALS and "backend" not in attribute:
            yield from _inside(f"{path}.{attribute}", item, seen, depth + 1)


def _items(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(str(key), item) for key, item in value.items()]
    return [(_label(item), item) for item in value]


def _label(one: Any) -> str:
    if isinstance(one, (str, int, float, tuple)):
        return str(one)
    if isinstance(one, Mapping):
        return ",".join(f"{key}={one[key]}" for key in sorted(one, key=str) if isinstance(one[key], (str, int)))
    own = getattr(one, "__dict__", {})
    return next((str(own[name]) for name in NAMES if own.get(name)), type(one).__name__)


def _is_gone(one: Any) -> bool:
    """Nothing is in it, or AWS was told to delete it and takes a week for that, or every account has it."""
    if isinstance(one, Mapping):
        return all(_is_gone(inner) for inner in one.values())
    if isinstance(one, (list, set)):
        return not one
    own = getattr(one, "__dict__", {})
    if own.get("key_state") == "PendingDeletion":
        return True
    if isinstance(one, LabNatGateway | LabEndpoint):
        return one.state in ("deleting", "deleted")
    # The default bus, and AWS's own keys, are made when they are first used.
    aliases = own.get("aliases") or ()
    managed = bool(aliases) and all(str(alias).startswith("alias/aws/") for alias in aliases)
    return managed or (type(one).__name__ == "EventBus" and own.get("name") == "default")
