"""The agent's Cloud Map adapter, against moto with the lab's slow operations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Instance, Record
from ansible_collections.swarm.aws.plugins.module_utils._core.dns import BOTH
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Dns
from ansible_collections.swarm.aws.plugins.module_utils.adapters.cloud_map import CloudMapRecords
from ansible_collections.swarm.aws.plugins.module_utils.adapters.records import Records
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession

from lab.aws import cloud_map
from lab.aws.grafts import Grafts
from tests.unit.bucket import account

REGION = "eu-west-1"
OWNER = "heritage=swarm.aws,cluster=example,region=eu-west-1"


class Bench:
    """A service in a namespace, and the adapter, with the test's time."""

    def __init__(self, *kinds: str, tags: bool = True) -> None:
        self.now = 1000.0
        self.fleet = {f"i-{number}": instance(number) for number in (1, 2, 3)}
        self.client: Any = boto3.client("servicediscovery", region_name=REGION)
        if kinds:
            operation = self.client.create_public_dns_namespace(Name="cloud.test")["OperationId"]
        else:
            operation = self.client.create_http_namespace(Name="cloud.test")["OperationId"]
        namespace = self.client.get_operation(OperationId=operation)["Operation"]["Targets"]["NAMESPACE"]
        records = [{"Type": kind, "TTL": 20} for kind in kinds]
        config = {"DnsConfig": {"RoutingPolicy": "MULTIVALUE", "DnsRecords": records}} if kinds else {}
        own = [{"Key": "swarm.aws/cluster", "Value": "example"}] if tags else []
        made = self.client.create_service(Name="www", NamespaceId=namespace, Tags=own, **config)["Service"]
        self.wanted = Dns("", "www.cloud.test", 10, ipv6="AAAA" in kinds, service_id=made["Id"])
        self.records = self.another()

    def another(self) -> CloudMapRecords:
        """An agent that knows nothing of earlier requests."""
        return CloudMapRecords(AwsSession.on_node(REGION), lambda: self.now, lambda: tuple(self.fleet.values()))

    def read(self) -> Record:
        return self.records.read(self.wanted)

    def write(self, *addresses: str) -> Record:
        """Set these addresses, and return the registered addresses once all is done."""
        before = self.read()
        kinds = {":" in address for address in addresses}
        owner = OWNER + (BOTH if self.wanted.ipv6 else "")
        after = Record(tuple(sorted(addresses)), 20, owner, ipv6_ttl=20 if True in kinds else None)
        self.records.write(self.wanted, before, after)
        return after

    def registered(self) -> dict[str, dict[str, str]]:
        found = self.client.list_instances(ServiceId=self.wanted.service_id)["Instances"]
        return {instance["Id"]: instance["Attributes"] for instance in found}


def instance(number: int) -> Instance:
    addresses = (f"10.0.0.{number}", f"198.51.100.{number}", f"2001:db8::{number}")
    return Instance(f"i-{number}", "manager", "manager", "a", "running", *addresses)


@pytest.fixture(autouse=True)
def in_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    grafts = Grafts()
    with account(monkeypatch):
        cloud_map.install(grafts, seconds=5)
        yield
        grafts.remove()


@pytest.fixture(autouse=True)
def mock_clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Cloud Map's clock, in seconds."""
    moment = [0.0]
    monkeypatch.setattr(cloud_map.time, "monotonic", lambda: moment[0])
    return moment


def test_instances_are_registered_by_id_and_read_again(mock_clock: list[float]) -> None:
    bench = Bench("A")
    assert bench.read() == Record(owner=OWNER)
    after = bench.write("198.51.100.1", "198.51.100.2")
    assert bench.registered() == {}
    found = bench.read()
    assert found == after and not found.in_sync
    mock_clock[0] += 5
    assert bench.read() == after
    assert bench.registered() == {
        "i-1": {"AWS_INSTANCE_IPV4": "198.51.100.1"},
        "i-2": {"AWS_INSTANCE_IPV4": "198.51.100.2"},
    }


def test_a_deregistration_is_in_sync_some_time_after_its_operation(mock_clock: list[float]) -> None:
    bench = Bench("A")
    bench.write("198.51.100.1", "198.51.100.2")
    mock_clock[0] += 5
    bench.read()
    bench.now += 60
    assert bench.read().in_sync
    after = bench.write("198.51.100.2")
    bench.now += 60
    assert bench.read() == after and not bench.read().in_sync
    mock_clock[0] += 5
    assert [bench.read().in_sync, set(bench.registered())] == [False, {"i-2"}]
    bench.now += 59
    assert not bench.read().in_sync
    bench.now += 1
    assert bench.read().in_sync


def test_a_new_instance_is_registered_before_others_are_deregistered(mock_clock: list[float]) -> None:
    bench = Bench("A")
    bench.write("198.51.100.1")
    mock_clock[0] += 5
    bench.write("198.51.100.2")
    mock_clock[0] += 5
    assert bench.read().addresses == ("198.51.100.1", "198.51.100.2")
    bench.write("198.51.100.2")
    mock_clock[0] += 5
    assert set(bench.registered()) == {"i-2"}


def test_an_address_without_an_instance_stays_registered(mock_clock: list[float]) -> None:
    bench = Bench("A")
    bench.write("198.51.100.1")
    mock_clock[0] += 5
    del bench.fleet["i-1"]
    bench.write("198.51.100.1", "198.51.100.2")
    mock_clock[0] += 5
    assert set(bench.registered()) == {"i-1", "i-2"}


def test_an_instance_is_registered_with_both_addresses_at_once(mock_clock: list[float]) -> None:
    bench = Bench("A", "AAAA")
    after = bench.write("198.51.100.1", "2001:db8::1")
    mock_clock[0] += 5
    assert bench.read() == after
    both = {"AWS_INSTANCE_IPV4": "198.51.100.1", "AWS_INSTANCE_IPV6": "2001:db8::1"}
    assert bench.registered() == {"i-1": both}


def test_an_instance_with_a_new_address_is_registered_again(mock_clock: list[float]) -> None:
    bench = Bench("A")
    bench.write("198.51.100.1")
    mock_clock[0] += 5
    bench.fleet["i-1"] = replace(bench.fleet["i-1"], public_address="198.51.100.9")
    bench.write("198.51.100.9")
    mock_clock[0] += 5
    assert bench.registered() == {"i-1": {"AWS_INSTANCE_IPV4": "198.51.100.9"}}


def test_an_operation_of_another_agent_is_not_repeated(mock_clock: list[float]) -> None:
    bench = Bench("A")
    bench.write("198.51.100.1")
    bench.records = bench.another()
    bench.write("198.51.100.1")
    mock_clock[0] += 5
    assert set(bench.registered()) == {"i-1"}


def test_a_failed_operation_is_reported_once_and_then_forgotten(
    mock_clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench("A")
    bench.write("198.51.100.1")
    client = bench.records._aws.client("servicediscovery")
    answer = {"Operation": {"Status": "FAIL", "ErrorMessage": "no access to Route 53"}}
    with monkeypatch.context() as patch:
        patch.setattr(client, "get_operation", lambda **_: answer)
        with pytest.raises(Unavailable, match=r"www\.cloud\.test for i-1: no access to Route 53"):
            bench.read()
    assert bench.read() == Record(owner=OWNER)


def test_a_service_in_an_http_namespace_has_the_wanted_ttl(mock_clock: list[float]) -> None:
    bench = Bench()
    bench.write("198.51.100.1")
    mock_clock[0] += 5
    assert bench.read() == Record(("198.51.100.1",), 10, OWNER)


def test_a_service_without_the_tag_has_no_owner() -> None:
    assert Bench("A", tags=False).read() == Record()


def test_a_deleted_service_is_not_an_empty_service() -> None:
    bench = Bench("A")
    with pytest.raises(Unavailable, match="ServiceNotFound"):
        bench.records.read(replace(bench.wanted, service_id="srv-0"))


def test_the_policy_decides_between_route_53_and_cloud_map() -> None:
    bench = Bench("A")
    records = Records(AwsSession.on_node(REGION), lambda: 0.0, tuple)
    assert records.read(bench.wanted).owner == OWNER
    zone = boto3.client("route53", region_name=REGION).create_hosted_zone(Name="example.com", CallerReference="1")
    assert records.read(Dns(zone["HostedZone"]["Id"].split("/")[-1], "www.example.com", 10)) == Record()
