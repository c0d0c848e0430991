"""Where clients find what a stack publishes, and what they do not reach."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.stack.published_ports import Published, of_service

BALANCER = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef"
EDGE = {"name": "edge", "role": "worker", "dns": True}
HOSTS = {
    "i-1": {"aws_ec2_tags": {"swarm.aws/group": "worker"}, "aws_public_ip_address": "198.51.100.1"},
    "i-2": {"aws_ec2_tags": {"swarm.aws/group": "edge"}, "aws_public_ip_address": "198.51.100.2"},
    "localhost": {},
}
RECORD = {"zone": "example.com", "record": "www.example.com"}
SERVICE = {"cloud_map": {"namespace": "example.internal", "service": "web"}}


def published(*ports: int, protocol: str = "tcp", mode: str = "host", **cluster: Any) -> Published:
    of_web = [{"port": port, "protocol": protocol, "mode": mode} for port in ports]
    services = {"shop_web": {"ports": of_web}, "shop_store": {}}
    own = {"node_groups": [EDGE], "dns": RECORD, "published_ports": [{"port": port} for port in (80, 443, 8443, 5000)]}
    return Published(services, {**own, **cluster}, HOSTS)


@pytest.mark.parametrize(
    ("ports", "cluster", "places"),
    [
        ([80, 443], {}, ["http://www.example.com/", "https://www.example.com/"]),
        ([8443], {"monitoring": {"tls_ports": [8443]}}, ["https://www.example.com:8443/"]),
        ([8443], {"monitoring": None}, ["www.example.com:8443/tcp"]),
        ([80], {"dns": SERVICE}, ["http://web.example.internal/"]),
        ([80, 5000], {"dns": None}, ["http://198.51.100.2/", "198.51.100.2:5000/tcp"]),
        ([80], {"dns": None, "node_groups": [{**EDGE, "name": "other"}]}, ["port 80 of a node of other"]),
        (
            [80],
            {"dns": None, "node_groups": [{"name": "edge", "target_groups": [BALANCER]}]},
            ["port 80 behind the load balancer of web"],
        ),
    ],
)
def test_an_open_port_is_shown_with_where_it_is(ports: list[int], cluster: dict[str, Any], places: list[str]) -> None:
    found = published(*ports, **cluster)

    assert list(found.places()) == [f"{place} (shop_web)" for place in places]
    assert list(found.warnings()) == []


def test_a_port_of_another_protocol_is_closed() -> None:
    found = published(80, protocol="udp")

    (sentence,) = found.warnings()
    assert sentence.startswith("shop_web publishes the port 80/udp, but no node group opens it: add it to published_")
    assert list(found.places()) == []


def test_no_port_is_open_without_a_group_that_serves() -> None:
    (sentence,) = published(80, node_groups=[{"name": "worker", "dns": False}]).warnings()
    assert "no node group opens it: set dns or target_groups of a group and run site.yml" in sentence


@pytest.mark.parametrize(("mode", "ipv6", "count"), [("ingress", True, 1), ("ingress", False, 0), ("host", True, 0)])
def test_a_record_with_ipv6_before_the_routing_mesh_is_warned_of(mode: str, ipv6: bool, count: int) -> None:
    found = list(published(80, 443, mode=mode, dns={**RECORD, "ipv6": ipv6}).warnings())
    assert len(found) == count
    assert all(
        "through which shop_web publishes ports, answers clients with IPv6 only from version" in text for text in found
    )


def test_ports_are_not_judged_without_a_configuration() -> None:
    assert list(published(80, node_groups=[]).warnings()) == []


@pytest.mark.parametrize(
    ("service", "ports"),
    [
        ({"Spec": {}}, {}),
        ({"Spec": {"EndpointSpec": {"Ports": [{"TargetPort": 8080}]}}}, {}),
        ({"Spec": {"EndpointSpec": {"Ports": [{"PublishedPort": 80, "PublishMode": "host"}]}}}, {80: "host"}),
        ({"Spec": {}, "Endpoint": {"Ports": [{"Protocol": "tcp", "PublishedPort": 30000}]}}, {30000: "ingress"}),
    ],
)
def test_the_engines_published_ports_are_read(service: dict[str, Any], ports: dict[int, str]) -> None:
    assert of_service(service) == [{"port": port, "protocol": "tcp", "mode": mode} for port, mode in ports.items()]
