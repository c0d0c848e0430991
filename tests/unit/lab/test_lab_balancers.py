"""The lab's load balancers pass on what clients send, over real sockets."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Iterator

import pytest

from lab.aws import balancing
from lab.balancers import Balancers
from tests.unit.lab.fakes import LittleAws, target_states, until

pytestmark = pytest.mark.real("a server: connections are passed on")

ADDRESS, PORT = "127.99.0.1", 8480


class _Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        content = str(self.server.server_address[0]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def servers(aws: LittleAws) -> Iterator[dict[str, str]]:
    """Two instances, at whose private addresses somebody answers: their IDs and addresses."""
    network = aws.network()
    aws.template("web", network.group)
    aws.group("web", network, 2)
    found = {}
    running = []
    for one in aws.settled("web", 2):
        address = aws.instance(one["InstanceId"])["PrivateIpAddress"]
        server = http.server.ThreadingHTTPServer((address, PORT), _Page)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        running.append(server)
        found[one["InstanceId"]] = address
    yield found
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def group(aws: LittleAws, servers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A target group behind a load balancer that listens at a loopback address."""
    monkeypatch.setattr(balancing, "free_address", lambda: ADDRESS)
    elb, instance = aws.client("elbv2"), aws.instance(next(iter(servers)))
    made = elb.create_target_group(
        Name="web",
        Protocol="TCP",
        Port=PORT,
        VpcId=instance["VpcId"],
        TargetType="instance",
        HealthCheckIntervalSeconds=5,
        HealthCheckTimeoutSeconds=2,
        HealthyThresholdCount=2,
    )
    arn: str = made["TargetGroups"][0]["TargetGroupArn"]
    balancer = elb.create_load_balancer(Name="web", Type="network", Subnets=[instance["SubnetId"]])["LoadBalancers"][0]
    elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="TCP",
        Port=PORT,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": arn}],
    )
    balancers = Balancers(claim=lambda _: None)
    yield arn
    balancers.stop()


def ask(connection: http.client.HTTPConnection | None = None) -> str:
    """Who answers."""
    used = connection or http.client.HTTPConnection(ADDRESS, PORT, timeout=30)
    used.request("GET", "/")
    answer = used.getresponse().read().decode()
    if connection is None:
        used.close()
    return answer


def test_a_connection_goes_to_a_healthy_target_and_on_with_one_that_drains(
    aws: LittleAws, group: str, servers: dict[str, str]
) -> None:
    elb = aws.client("elbv2")
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": one} for one in servers])
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
