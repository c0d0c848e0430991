"""The lab's Cloud Map has slow operations, protects resources in use, and follows IAM and DNS."""

from __future__ import annotations

import pytest

from lab.aws import cloud_map, view
from tests.unit.lab.fakes import ACCOUNT_ID, REGION, LittleAws, allow, refused


@pytest.fixture
def service(aws: LittleAws) -> str:
    """The ID of a service with A records in a public namespace."""
    client = aws.client("servicediscovery")
    operation = client.create_public_dns_namespace(Name="cloud.test")["OperationId"]
    namespace = client.get_operation(OperationId=operation)["Operation"]["Targets"]["NAMESPACE"]
    records = {"RoutingPolicy": "MULTIVALUE", "DnsRecords": [{"Type": "A", "TTL": 10}]}
    return str(client.create_service(Name="www", NamespaceId=namespace, DnsConfig=records)["Service"]["Id"])


def answers() -> list[tuple[str, int, int]]:
    return [
        (zone_record.name, len(zone_record.values), zone_record.ttl)
        for zone_record in view.zone_records()
        if zone_record.type == "A"
    ]


def test_a_name_resolves_once_the_registration_is_complete(
    aws: LittleAws, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, moment = aws.client("servicediscovery"), [0.0]
    monkeypatch.setattr(cloud_map.time, "monotonic", lambda: moment[0])
    asked = {"ServiceId": service, "InstanceId": "i-1"}
    operation = client.register_instance(**asked, Attributes={"AWS_INSTANCE_IPV4": "198.51.100.1"})["OperationId"]
    assert client.get_operation(OperationId=operation)["Operation"]["Status"] == "PENDING"
    assert (answers(), client.list_instances(ServiceId=service)["Instances"]) == ([], [])
    assert refused(client.deregister_instance, **asked) == "DuplicateRequest"
    assert refused(client.delete_service, Id=service) == "ResourceInUse"
    moment[0] = cloud_map.OPERATION_SECONDS
    assert client.get_operation(OperationId=operation)["Operation"]["Status"] == "SUCCESS"
    assert answers() == [("www.cloud.test", 1, 10)]
    assert refused(client.delete_service, Id=service) == "ResourceInUse"
    client.deregister_instance(**asked)
    moment[0] *= 2
    assert answers() == []
    assert refused(client.deregister_instance, **asked) == "InstanceNotFound"
    client.delete_service(Id=service)


def test_an_answer_has_at_most_eight_values_and_no_duplicates(
    aws: LittleAws, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, moment = aws.client("servicediscovery"), [0.0]
    monkeypatch.setattr(cloud_map.time, "monotonic", lambda: moment[0])
    for number in (*range(1, 11), 1):
        own = {"AWS_INSTANCE_IPV4": f"198.51.100.{number}"}
        client.register_instance(ServiceId=service, InstanceId=f"i-{number}", Attributes=own)
        moment[0] += cloud_map.OPERATION_SECONDS
    assert len(client.list_instances(ServiceId=service)["Instances"]) == 10
    assert answers() == [("www.cloud.test", 8, 10)]
    other = {"ServiceId": service, "InstanceId": "i-0", "Attributes": {"AWS_INSTANCE_IPV6": "2001:db8::1"}}
    assert refused(client.register_instance, **other) == "InvalidInput"


def test_registration_needs_permissions_for_the_service_and_the_record(aws: LittleAws, service: str) -> None:
    arn = f"arn:aws:servicediscovery:{REGION}:{ACCOUNT_ID}:service/{service}"
    actions = ("servicediscovery:RegisterInstance", "servicediscovery:ListInstances")
    registering, other = (
        allow(*actions, when={"ArnEquals": {"servicediscovery:ServiceArn": pattern}}) for pattern in (arn, f"{arn}0")
    )
    names = {"route53:ChangeResourceRecordSetsNormalizedRecordNames": ["www.cloud.test"]}
    writing = allow("route53:ChangeResourceRecordSets", when={"ForAllValues:StringEquals": names})
    asked = {"ServiceId": service, "InstanceId": "i-1", "Attributes": {"AWS_INSTANCE_IPV4": "198.51.100.1"}}
    without = aws.acting("servicediscovery", "without", registering)
    assert refused(without.register_instance, **asked) == "AccessDeniedException"
    assert without.list_instances(ServiceId=service)["Instances"] == []
    foreign = aws.acting("servicediscovery", "other", other, writing)
    assert refused(foreign.register_instance, **asked) == "AccessDeniedException"
    blind = aws.acting("servicediscovery", "blind", registering, writing)
    assert refused(blind.register_instance, **asked) == "AccessDeniedException"
    looking = allow("route53:GetHealthCheck")
    assert aws.acting("servicediscovery", "node", registering, writing, looking).register_instance(**asked)[
        "OperationId"
    ]
