"""The open ports of nodes, from outside and from other nodes."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest

from tests.lab import scan
from tests.lab.site import CLUSTER, Site, say


@pytest.mark.parametrize("kind", ["leader", "worker"])
@pytest.mark.parametrize("source", ["outside", "manager", "worker"])
def test_exactly_the_ports_of_the_security_groups_are_open(site: Site, kind: str, source: str) -> None:
    site.settle()
    target = next(instance for instance in site.instances() if instance["instance_id"] == site.pick(kind))
    others = [instance for instance in site.instances() if instance["instance_id"] != target["instance_id"]]
    text = Path(scan.__file__).read_text()
    if source == "outside":
        found = scan.scan(target["public_ip"])
        allowed = _allowed(site, target["instance_id"], address=str(site.lab.address))
    else:
        node = next((candidate for candidate in others if candidate["group"] == f"{CLUSTER}-{source}"), None)
        if node is None:
            pytest.skip("the cluster has a single worker")
        output = site.must(node["instance_id"], "python3", "-c", text, target["private_ip"])
        found = {int(port) for port in output.split()}
        allowed = _allowed(site, target["instance_id"], member=node["instance_id"])
    say(f"{kind} from {source}: {sorted(found)} are open, {sorted(allowed)} may be")
    assert found == allowed & _listening(site, target["instance_id"])
    expected = {("leader", "outside"): {22, 80}, ("worker", "outside"): {22}}
    if source == "outside":
        assert found == expected[kind, source]
    else:
        assert (2377 in found) is (kind == "leader")
        assert 7946 in found


def _allowed(site: Site, instance: str, *, address: str = "", member: str = "") -> set[int]:
    """The TCP ports that the instance's security groups open to an address, or to another instance."""
    ec2 = site.aws("ec2")
    mine, theirs = _groups(ec2, instance), _groups(ec2, member) if member else set()
    return {
        rule["FromPort"]
        for group in ec2.describe_security_groups(GroupIds=sorted(mine))["SecurityGroups"]
        for rule in group["IpPermissions"]
        if rule["IpProtocol"] == "tcp"
        and (
            any(pair["GroupId"] in theirs for pair in rule["UserIdGroupPairs"])
            or any(_within(address or _private(ec2, member), range["CidrIp"]) for range in rule["IpRanges"])
        )
    }


def _within(address: str, block: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(block)


def _described(ec2: Any, instance: str) -> dict[str, Any]:
    return ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]  # type: ignore[no-any-return]


def _groups(ec2: Any, instance: str) -> set[str]:
    return {security_group["GroupId"] for security_group in _described(ec2, instance)["SecurityGroups"]}


def _private(ec2: Any, instance: str) -> str:
    return str(_described(ec2, instance)["PrivateIpAddress"])


def _listening(site: Site, instance: str) -> set[int]:
    """The TCP ports that listen on other addresses than loopback and link-local."""
    lines = [line.split()[3] for line in site.must(instance, "ss", "-Hltn").splitlines() if line.strip()]
    sockets = [line.rsplit(":", 1) for line in lines]
    return {int(port) for host, port in sockets if not host.startswith(("127.", "[::1]", "169.254."))}
