"""Cloud Map, where moto differs from AWS: operations take time, and resources in use cannot be deleted."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from moto.servicediscovery.models import ServiceDiscoveryBackend, ServiceInstance
from moto.servicediscovery.responses import ServiceDiscoveryResponse

from lab.aws import world
from lab.aws.errors import AwsError
from lab.aws.grafts import Grafts

OPERATION_SECONDS = 2.0
# Route 53 returns at most this many records with multivalue answer routing.
MOST_ANSWERS = 8
_NEEDED = {"A": "AWS_INSTANCE_IPV4", "AAAA": "AWS_INSTANCE_IPV6"}
# By service and instance: when the operation is due, the operation, and its effect.
_under_way: dict[tuple[str, str], tuple[float, Any, Callable[[], None]]] = {}


@dataclass(frozen=True)
class ZoneRecord:
    """A record set of a hosted zone or namespace; names may or may not end with a dot, as written."""

    zone: str
    name: str
    type: str
    values: list[str]
    ttl: int


def install(grafts: Grafts, seconds: float = OPERATION_SECONDS) -> None:
    """Correct moto's Cloud Map; operations take ``seconds``."""
    _under_way.clear()
    backend = ServiceDiscoveryBackend
    grafts.new(backend, "lab_seconds", seconds)
    grafts.attribute(backend, "register_instance", _register)
    grafts.attribute(backend, "deregister_instance", _deregister)
    for name in ("get_operation", "list_instances", "get_instance", "discover_instances"):
        grafts.around(backend, name, _settled)
    grafts.attribute(backend, "delete_service", _delete_service)
    grafts.around(backend, "delete_namespace", _delete_namespace)
    for name in ("create_public_dns_namespace", "create_private_dns_namespace"):
        grafts.around(backend, name, _create_namespace)
    grafts.attribute(ServiceDiscoveryResponse, "list_services", _list_services)


def answers() -> Iterator[ZoneRecord]:
    """The services' DNS records, at most eight addresses for a name and type. The caller holds the world's lock."""
    backend = world.servicediscovery()
    settle()
    for service in backend.services.values():
        namespace = backend.namespaces.get(service.namespace_id)
        if namespace is None or namespace.type == "HTTP":
            continue
        for record in (service.dns_config or {}).get("DnsRecords", []):
            attribute = _NEEDED.get(record["Type"])
            found = [
                instance.attributes[attribute] for instance in service.instances if attribute in instance.attributes
            ]
            if attribute and found:
                some = random.sample(found, min(len(found), MOST_ANSWERS))
                name = f"{service.name}.{namespace.name}"
                yield ZoneRecord(namespace.name, name, record["Type"], some, int(record["TTL"]))


def settle() -> None:
    """Complete the operations that are due."""
    now = time.monotonic()
    for key, (due, operation, effect) in list(_under_way.items()):
        if due <= now:
            del _under_way[key]
            effect()
            operation.status = "SUCCESS"


def _begin(backend: Any, kind: str, service: str, instance: str, effect: Callable[[], None]) -> str:
    settle()
    if (service, instance) in _under_way:
        raise AwsError("DuplicateRequest", f"An operation for the instance {instance} is in progress already.")
    identifier: str = backend._create_operation(kind, targets={"INSTANCE": instance})
    operation = backend.operations[identifier]
    operation.status = "PENDING"
    _under_way[service, instance] = (time.monotonic() + backend.lab_seconds, operation, effect)
    settle()
    return identifier


def _register(self: Any, service_id: str, instance_id: str, creator_request_id: str, attributes: dict[str, str]) -> str:
    service = self.get_service(service_id)
    for record in (service.dns_config or {}).get("DnsRecords", []):
        needed = _NEEDED.get(record["Type"])
        if needed and not attributes.get(needed):
            raise AwsError("InvalidInput", f"The service has {record['Type']} records, so {needed} is required.")

    def effect() -> None:
        _remove(service, instance_id)
        service.instances.append(ServiceInstance(service_id, instance_id, creator_request_id, attributes))
        revision = service.instances_revision
        revision[instance_id] = revision.get(instance_id, 0) + 1

    return _begin(self, "REGISTER_INSTANCE", service_id, instance_id, effect)


def _deregister(self: Any, service_id: str, instance_id: str) -> str:
    settle()
    service = self.get_service(service_id)
    known = any(instance.instance_id == instance_id for instance in service.instances)
    if not known and (service_id, instance_id) not in _under_way:
        raise AwsError("InstanceNotFound", f"There is no instance {instance_id}.", 404)
    return _begin(self, "DEREGISTER_INSTANCE", service_id, instance_id, lambda: _remove(service, instance_id))


def _remove(service: Any, instance_id: str) -> None:
    service.instances[:] = [instance for instance in service.instances if instance.instance_id != instance_id]


def _settled(method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    settle()
    return method(*arguments, **named)


def _delete_service(self: Any, service_id: str) -> None:
    settle()
    service = self.get_service(service_id)
    if service.instances or any(key[0] == service_id for key in _under_way):
        raise AwsError("ResourceInUse", "The service has registered instances: deregister them first.")
    del self.services[service_id]
    service.instances_revision.clear()


def _delete_namespace(delete: Callable[..., str], self: Any, namespace_id: str) -> str:
    if any(service.namespace_id == namespace_id for service in self.services.values()):
        raise AwsError("ResourceInUse", "The namespace has services: delete them first.")
    zone = self.get_namespace(namespace_id).dns_properties.get("HostedZoneId")
    operation = delete(self, namespace_id)
    world.route53().zones.pop(zone, None)
    return operation


def _create_namespace(create: Callable[..., str], self: Any, name: str, **named: Any) -> str:
    """moto gives the hosted zone another name than the namespace, and its ID a prefix."""
    operation = create(self, name=name, **named)
    namespace = self.namespaces[self.operations[operation].targets["NAMESPACE"]]
    identifier = namespace.dns_properties["HostedZoneId"].rsplit("/", 1)[-1]
    namespace.dns_properties["HostedZoneId"] = identifier
    zone = world.route53().zones[identifier]
    wrong, zone.name = zone.name, f"{name}."
    for record in zone.rrsets:
        record.name = record.name.replace(wrong, zone.name)
    return operation


def _list_services(self: Any) -> str:
    """List the services of the requested namespaces."""
    wanted = {
        value
        for filter_ in json.loads(self.body).get("Filters", [])
        if filter_["Name"] == "NAMESPACE_ID"
        for value in filter_["Values"]
    }
    services = self.servicediscovery_backend.list_services()
    found = [service.to_json() for service in services if not wanted or service.namespace_id in wanted]
    return json.dumps({"Services": found})
