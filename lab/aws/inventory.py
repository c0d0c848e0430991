"""Lists every resource in the account, of every service.

It reads the memory of moto's services, so that a comparison of two moments finds resources that nobody thought of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from moto.core.base_backend import BackendDict, BaseBackend

from lab.aws.endpoints import LabEndpoint
from lab.aws.nat import LabNatGateway

# Attributes of services that hold no resources, and what they hold.
JOURNALS = {
    "_activities": "scaling activities",
    "activities": "scaling activities",
    "amis": "public images",
    "rr_changes": "past changes of a hosted zone",
    "launch_template_insert_order": "the order of launch templates, including deleted templates",
    "tags": "EC2's index of tags, including those of deleted resources",
    "_tagger": "an index of tags",
    "tagger": "an index of tags",
    "tagging_service": "an index of tags",
    "_pages": "pages of answers",
    "access_keys": "keys of the instances' roles, which expire",
    "reservations": "terminated instances, which EC2 shows for an hour",
    "past_metric_data": "measurements",
    "metric_data": "measurements",
    "assumed_roles": "sessions of the instances, which expire",
    "request_history": "past requests",
    "operations": "Cloud Map's operations",
    "_reset_model_refs": "moto's own",
    "rotation": "the next free address",
    "_unused_ips": "addresses that were in use before",
    "opt_out_numbers": "moto's own telephone numbers",
}
# Attributes that identify an object in a list.
NAMES = ("id", "arn", "name", "resource_id", "identifier", "key_name")
DEEPEST = 6


def resources() -> list[str]:
    """A line for each resource, such as ``ec2.vpcs[vpc-…]``, sorted, without terminated instances.

    The caller holds the world's lock.
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
    """The contents of a container or an object; an empty container counts as nothing."""
    if depth > DEEPEST or isinstance(value, (str, bytes, int, float, type, BaseBackend, type(None))) or callable(value):
        return
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        # An object's contents are listed only where it is found first, but each of its places has a line.
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


def _label(item: Any) -> str:
    if isinstance(item, (str, int, float, tuple)):
        return str(item)
    if isinstance(item, Mapping):
        return ",".join(f"{key}={item[key]}" for key in sorted(item, key=str) if isinstance(item[key], (str, int)))
    own = getattr(item, "__dict__", {})
    return next((str(own[name]) for name in NAMES if own.get(name)), type(item).__name__)


def _is_gone(item: Any) -> bool:
    """Whether it is empty, is being deleted, or exists in every account."""
    if isinstance(item, Mapping):
        return all(_is_gone(inner) for inner in item.values())
    if isinstance(item, (list, set)):
        return not item
    own = getattr(item, "__dict__", {})
    if own.get("key_state") == "PendingDeletion":
        return True
    if isinstance(item, LabNatGateway | LabEndpoint):
        return item.state in ("deleting", "deleted")
    # AWS creates the default bus, its own keys and service-linked roles on first use.
    aliases = own.get("aliases") or ()
    managed = bool(aliases) and all(str(alias).startswith("alias/aws/") for alias in aliases)
    managed = managed or str(own.get("path")).startswith("/aws-service-role/")
    return managed or (type(item).__name__ == "EventBus" and own.get("name") == "default")
