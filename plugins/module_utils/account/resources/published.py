"""The cluster's DNS names: records with its TXT ownership record, and Cloud Map services with its tag."""

from __future__ import annotations

from typing import Iterator

from ..._core.counting import counted
from ..._core.dns import BOTH, OWNER_PREFIX, owns_ipv6
from ..._core.policy import Policy
from ...aws import tags
from ...aws.aws_session import AwsSession, ClientError, code, listed, unless_missing
from .model import Resource


def owned_records(aws: AwsSession, cluster: str, zone_id: str | None) -> Iterator[Resource]:
    """The cluster's records, each with its TXT ownership record: in a zone, or in all public zones of the account."""
    owner = Policy(cluster, {}, region=aws.region).owner
    if zone_id is not None:
        yield from _in_zone(aws, zone_id, owner)
        return
    for zone in listed(aws.client("route53"), "list_hosted_zones", "HostedZones"):
        if not zone.get("Config", {}).get("PrivateZone"):
            yield from _in_zone(aws, zone["Id"].rsplit("/", 1)[-1], owner)


def _in_zone(aws: AwsSession, identifier: str, owner: str) -> Iterator[Resource]:
    found = listed(aws.client("route53"), "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=identifier)
    # The zone may be deleted meanwhile.
    sets = unless_missing(lambda: list(found), "NoSuchHostedZone") or []
    for mark in sets:
        if mark["Type"] != "TXT" or not mark["Name"].startswith(OWNER_PREFIX):
            continue
        texts = [resource_record["Value"].strip('"') for resource_record in mark.get("ResourceRecords", [])]
        if len(texts) != 1 or texts[0] not in (owner, owner + BOTH):
            continue
        name = _marked(mark["Name"])
        kinds = ("A", "AAAA") if owns_ipv6(texts[0]) else ("A",)
        # The agents create only plain address records.
        ours = [
            record
            for record in sets
            if record["Name"] == name and record["Type"] in kinds and "ResourceRecords" in record
        ]
        plain = [record for record in ours if "SetIdentifier" not in record]
        values = [value["Value"] for record in plain for value in record["ResourceRecords"]]
        yield Resource(
            "DNS record",
            f"{identifier}/{name}",
            name.rstrip(".").replace("\\052", "*"),
            note=", ".join(values),
            facts={"zone": identifier, "sets": [*plain, mark]},
        )


def _marked(owner_name: str) -> str:
    """The name of the record that this TXT record describes, in Route 53's form."""
    name = owner_name.removeprefix(OWNER_PREFIX)
    return f"\\052{name.removeprefix('wildcard')}" if name.startswith("wildcard.") else name


def owned_services(aws: AwsSession, cluster: str) -> Iterator[Resource]:
    """The cluster's services, each with its number of instances."""
    client = aws.client("servicediscovery")
    for service in listed(client, "list_services", "Services"):
        arn = service["Arn"]
        # It may be deleted meanwhile.
        found = unless_missing(client.list_tags_for_resource, "ResourceNotFoundException", ResourceARN=arn)
        if not found or tags.from_list(found["Tags"]).get(tags.CLUSTER) != cluster:
            continue
        described = unless_missing(client.get_service, "ServiceNotFound", Id=service["Id"])
        if described is None:
            continue
        named = client.get_namespace(Id=described["Service"]["NamespaceId"])["Namespace"]["Name"]
        count = len(_instances(aws, service["Id"]))
        yield Resource(
            "Cloud Map service",
            service["Id"],
            f"{service['Name']}.{named}",
            note=counted(count, "instance"),
            facts={"arn": arn},
        )


def delete_service(aws: AwsSession, identifier: str) -> None:
    """Deregister the instances, then delete the service. Raises ClientError, ResourceInUse while instances remain."""
    client = aws.client("servicediscovery")
    for instance in _instances(aws, identifier):
        try:
            client.deregister_instance(ServiceId=identifier, InstanceId=instance)
        except ClientError as error:
            # Somebody else has deregistered it, or is doing so.
            if code(error) not in ("InstanceNotFound", "DuplicateRequest"):
                raise
    client.delete_service(Id=identifier)


def _instances(aws: AwsSession, identifier: str) -> list[str]:
    found = listed(aws.client("servicediscovery"), "list_instances", "Instances", ServiceId=identifier)
    return [service["Id"] for service in unless_missing(lambda: list(found), "ServiceNotFound") or []]
