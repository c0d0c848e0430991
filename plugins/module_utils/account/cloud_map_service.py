"""The Cloud Map service of a cluster, in the operator's namespace."""

from __future__ import annotations

from typing import Any, Mapping

from ..aws import tags as tagging
from ..aws.aws_session import AwsSession, listed
from ..aws.changes import Changes
from ..aws.provision_error import ProvisionError
from ..aws.waiters import awaited
from .configuration_schema import suggestion

HTTP = "HTTP"


def find(aws: AwsSession, name: str) -> dict[str, Any]:
    """The namespace of that name: ``{id, arn, kind, zone_id}``; ``zone_id`` is None for an HTTP namespace.

    Raises ProvisionError unless it exists exactly once.
    """
    wanted = name.rstrip(".").lower()
    spaces = list(listed(aws.client("servicediscovery"), "list_namespaces", "Namespaces"))
    found = [space for space in spaces if space["Name"].rstrip(".").lower() == wanted]
    if not found:
        hint = suggestion(wanted, [space["Name"] for space in spaces]).rstrip("?")
        raise ProvisionError(
            f"dns.cloud_map.namespace {name} does not exist in this account and region{hint}: create a namespace of "
            "that name in Cloud Map, or set dns to null."
        )
    if len(found) > 1:
        identifiers = ", ".join(sorted(namespace["Id"] for namespace in found))
        raise ProvisionError(
            f"dns.cloud_map.namespace {name} exists {len(found)} times ({identifiers}): delete all but one, or choose "
            "a namespace with a unique name."
        )
    (namespace,) = found
    zone = namespace.get("Properties", {}).get("DnsProperties", {}).get("HostedZoneId")
    return {
        "id": namespace["Id"],
        "arn": namespace["Arn"],
        "kind": namespace["Type"],
        "zone_id": zone if namespace["Type"] != HTTP else None,
    }


def own(
    aws: AwsSession, cluster: str, namespace_id: str, service: Mapping[str, str]
) -> tuple[Mapping[str, Any], dict[str, str]] | None:
    """The cluster's service and its tags; None if it does not exist. ``service`` is `dns.cloud_map`.

    Raises ProvisionError if it is somebody else's.
    """
    client = aws.client("servicediscovery")
    filters = [{"Name": "NAMESPACE_ID", "Values": [namespace_id], "Condition": "EQ"}]
    services = listed(client, "list_services", "Services", Filters=filters)
    found = next((candidate for candidate in services if candidate["Name"] == service["service"]), None)
    if found is None:
        return None
    tags = tagging.from_list(client.list_tags_for_resource(ResourceARN=found["Arn"])["Tags"])
    if tags.get(tagging.CLUSTER) != cluster:
        raise ProvisionError(
            f"The Cloud Map service {shown_name(service)} already exists, but its tag {tagging.CLUSTER} is not "
            f"{cluster}: delete it, or choose another dns.cloud_map.service."
        )
    return found, tags


def shown_name(service: Mapping[str, str]) -> str:
    """The service's name with its namespace."""
    return f"{service['service']}.{service['namespace'].rstrip('.').lower()}"


class CloudMapService:
    """Creates and updates the service."""

    def __init__(self, aws: AwsSession, cluster: str, tags: Mapping[str, str], changes: Changes) -> None:
        self._aws, self._client = aws, aws.client("servicediscovery")
        self._cluster, self._changes = cluster, changes
        self._tags = tagging.of_cluster(cluster, tags)

    def keep(self, namespace: str, name: str, ttl: int, *, ipv6: bool) -> dict[str, Any]:
        """Create or update the service. Returns ``{service_id, service_arn, zone_id}``, without IDs if it is missing.

        Raises ProvisionError if the service is somebody else's or has records of other types, which cannot be changed.
        """
        service = {"namespace": namespace, "service": name}
        space, shown = find(self._aws, namespace), shown_name(service)
        records = [] if space["kind"] == HTTP else [{"Type": kind, "TTL": ttl} for kind in _kinds(ipv6)]
        found = own(self._aws, self._cluster, space["id"], service)
        if found is None:
            made = self._create(space["id"], name, shown, records)
            return {"service_id": made.get("Id"), "service_arn": made.get("Arn"), "zone_id": space["zone_id"]}
        present, own_tags = found
        self._records(present, shown, records)
        self._changes.add_tags(
            f"Cloud Map service {shown}",
            own_tags,
            self._tags,
            lambda missing: self._client.tag_resource(ResourceARN=present["Arn"], Tags=tagging.to_list(missing)),
        )
        return {"service_id": present["Id"], "service_arn": present["Arn"], "zone_id": space["zone_id"]}

    def _create(self, namespace_id: str, name: str, shown: str, records: list[dict[str, Any]]) -> Mapping[str, Any]:
        # With weighted routing, answers have a single record.
        config = {"DnsConfig": {"RoutingPolicy": "MULTIVALUE", "DnsRecords": records}} if records else {}
        made = self._changes.apply(
            f"Cloud Map service {shown}",
            None,
            {"records": _shown(records), "tags": self._tags},
            lambda: self._client.create_service(
                Name=name, NamespaceId=namespace_id, Tags=tagging.to_list(self._tags), **config
            )["Service"],
        )
        return made or {}

    def _records(self, present: Mapping[str, Any], shown: str, wanted: list[dict[str, Any]]) -> None:
        found = (present.get("DnsConfig") or {}).get("DnsRecords", [])
        if {record["Type"] for record in found} != {record["Type"] for record in wanted}:
            has, asked = (" and ".join(sorted(record["Type"] for record in records)) for records in (found, wanted))
            raise ProvisionError(
                f"The Cloud Map service {shown} has {has or 'no'} records, which cannot be changed, but "
                f"the configuration needs {asked or 'no'}: choose another dns.cloud_map.service, or restore dns.ipv6."
            )
        if _shown(found) == _shown(wanted):
            return
        self._changes.apply(
            f"Cloud Map service {shown}",
            {"records": _shown(found)},
            {"records": _shown(wanted)},
            lambda: self._update(present["Id"], shown, wanted),
        )

    def _update(self, service_id: str, shown: str, records: list[dict[str, Any]]) -> None:
        operation = self._client.update_service(Id=service_id, Service={"DnsConfig": {"DnsRecords": records}})[
            "OperationId"
        ]

        def done() -> bool:
            found = self._client.get_operation(OperationId=operation)["Operation"]
            if found["Status"] == "FAIL":
                raise ProvisionError(f"Cloud Map could not change the service {shown}: {found.get('ErrorMessage')}")
            return bool(found["Status"] == "SUCCESS")

        awaited(done, f"Cloud Map to change the service {shown}", seconds=300)


def _kinds(ipv6: bool) -> tuple[str, ...]:
    return ("A", "AAAA") if ipv6 else ("A",)


def _shown(records: list[dict[str, Any]]) -> dict[str, int]:
    return {record["Type"]: record["TTL"] for record in sorted(records, key=lambda record: record["Type"])}
