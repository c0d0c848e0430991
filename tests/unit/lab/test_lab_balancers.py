"""The lab's load balancers forward connections over real sockets."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest

from lab.aws import balancing
from lab.aws.serving import Serving
from lab.balancers import Balancers
from tests.unit.lab.fakes import LittleAws, Page, target_states, until

pytestmark = pytest.mark.real("a server: connections are passed on")

ADDRESS, PORT = "127.99.0.1", 8480


@pytest.fixture
def balanced(aws: LittleAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, str]]]:
    """A target group, and the addresses of two instances that answer, by their IDs."""
    monkeypatch.setattr(balancing, "free_address", lambda: ADDRESS)
    checks = {"HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2, "HealthyThresholdCount": 2}
    group, instances = aws.balanced(PORT, PORT, **checks)
    addresses = {instance: aws.instance(instance)["PrivateIpAddress"] for instance in instances}
    running = [Serving(address, PORT, Page) for address in addresses.values()]
    balancers = Balancers(claim=lambda _: None)
    yield group, addresses
    balancers.stop()
    for server in running:
        server.stop()


def ask(connection: http.client.HTTPConnection | None = None) -> str:
    """The instance that answers."""
    used = connection or http.client.HTTPConnection(ADDRESS, PORT, timeout=30)
    used.request("GET", "/")
    answer = used.getresponse().read().decode()
    if connection is None:
        used.close()
    return answer


def test_connections_go_to_healthy_targets_and_survive_draining(
    aws: LittleAws, balanced: tuple[str, dict[str, str]]
) -> None:
    elb, (group, servers) = aws.client("elbv2"), balanced
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": server} for server in servers])
    until(lambda: target_states(elb, group) == dict.fromkeys(servers, "healthy"), "both to be healthy")
    assert {ask() for _ in range(4)} == set(servers.values())
    kept = http.client.HTTPConnection(ADDRESS, PORT, timeout=30)
    first = ask(kept)
    gone = next(instance for instance, address in servers.items() if address == first)
    elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": gone}])
    until(lambda: {ask() for _ in range(4)} == set(servers.values()) - {first}, "new connections to go elsewhere")
    assert ask(kept) == first
    assert target_states(elb, group)[gone] == "draining"
    kept.close()
    until(lambda: gone not in target_states(elb, group), "it to have drained")
