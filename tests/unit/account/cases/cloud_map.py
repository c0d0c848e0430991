"""The service in a namespace that is the operator's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.plugins.modules import cloud_map_service

from tests.unit.account.account import Account
from tests.unit.account.cases.case import CLUSTER, TAGS, Case

NAMESPACE = "cloud.test"
PARAMS: Mapping[str, Any] = {
    "cluster_name": CLUSTER,
    "tags": TAGS,
    "namespace": NAMESPACE,
    "service": "www",
    "ttl": 60,
}


def namespace(aws: AwsSession) -> str:
    """Make one, and return its ID."""
    client = aws.client("servicediscovery")
    operation = client.create_public_dns_namespace(Name=NAMESPACE)["OperationId"]
    return str(client.get_operation(OperationId=operation)["Operation"]["Targets"]["NAMESPACE"])


def prepare(account: Account) -> Mapping[str, Any]:
    if not account.aws.client("servicediscovery").list_namespaces()["Namespaces"]:
        namespace(account.aws)
    return PARAMS


def service(aws: AwsSession) -> dict[str, Any]:
    (found,) = aws.client("servicediscovery").list_services()["Services"]
    return dict(found)


def look(aws: AwsSession) -> Any:
    found = aws.client("servicediscovery").list_services()["Services"]
    return [
        {
            "name": service["Name"],
            "records": service["DnsConfig"],
            "tags": aws.client("servicediscovery").list_tags_for_resource(ResourceARN=service["Arn"])["Tags"],
        }
        for service in found
    ]


def raise_ttl(aws: AwsSession) -> None:
    records = [{"Type": "A", "TTL": 3600}]
    aws.client("servicediscovery").update_service(Id=service(aws)["Id"], Service={"DnsConfig": {"DnsRecords": records}})


CASE = Case(
    module=cloud_map_service,
    prepare=prepare,
    look=look,
    drifts={
        "clients keep answers for an hour": raise_ttl,
        "the service lost a tag": lambda aws: aws.client("servicediscovery").untag_resource(
            ResourceARN=service(aws)["Arn"], TagKeys=["team"]
        ),
        "the service was deleted": lambda aws: aws.client("servicediscovery").delete_service(Id=service(aws)["Id"]),
    },
)
