"""Cloud Map services that carry a cluster's tag."""

from __future__ import annotations

from typing import Iterator

from ...aws import tags
from ...aws.session import Aws, ClientError, code, listed, unless_missing
from .model import Resource


def owned_services(aws: Aws, cluster: str) -> Iterator[Resource]:
    """The cluster's services, each with how many instances it has."""
    client = aws.servicediscovery
    for service in listed(client, "list_services", "Services"):
        arn = service["Arn"]
        # Somebody may delete it meanwhile.
        found = unless_missing(
            lambda arn=arn: client.list_tags_for_resource(ResourceARN=arn),  # type: ignore[misc]
            "ResourceNotFoundException",
        )
        if not found or tags.from_list(found["Tags"]).get(tags.CLUSTER) != cluster:
            continue
        described = unless_missing(lambda one=service: client.get_service(Id=one["Id"]), "ServiceNotFound")  # type: ignore[misc]
        if described is None:
            continue
        named = client.get_namespace(Id=described["Service"]["NamespaceId"])["Namespace"]["Name"]
        count = len(_instances(aws, service["Id"]))
        yield Resource(
            "Cloud Map service",
            service["Id"],
            f"{service['Name']}.{named}",
            note=f"{count} instance{'' if count == 1 else 's'}",
            facts={"arn": arn},
        )


def delete_service(aws: Aws, identifier: str) -> None:
    """Deregister the instances, then delete the service. Raises ClientError, of ResourceInUse while some are there."""
    client = aws.servicediscovery
    for instance in _instances(aws, identifier):
        try:
            client.deregister_instance(ServiceId=identifier, InstanceId=instance)
        except ClientError as error:
            # Done by another by now, or begun a moment ago.
            if code(error) not in ("InstanceNotFound", "DuplicateRequest"):
                raise
    client.delete_service(Id=identifier)


def _instances(aws: Aws, identifier: str) -> list[str]:
    found = listed(aws.servicediscovery, "list_instances", "Instances", ServiceId=identifier)
    return [one["Id"] for one in unless_missing(lambda: list(found), "ServiceNotFound") or []]
