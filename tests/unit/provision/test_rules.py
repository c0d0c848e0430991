"""What a configuration must hold to that no account needs to be asked for."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.provision import rules
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.provision.configuration import group, settled

REGIONS = ["eu-west-1", "eu-west-2", "us-east-1"]


def check(**changed: Any) -> rules.Findings:
    return rules.check(settled(**changed), REGIONS)


def managers(count: int, **more: Any) -> list[dict[str, Any]]:
    return [group(desired=count, **more)]


def test_the_example_is_right() -> None:
    found = check()

    assert (found.errors, found.warnings) == ([], [])


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"account_id": "12345"}, "account_id is '12345', but an AWS account's ID has 12 digits"),
        ({"region": "eu-west-9"}, "region 'eu-west-9' is not an AWS region; did you mean 'eu-west-"),
        ({"cluster_name": "My Swarm"}, "cluster_name is 'My Swarm', but must be"),
        ({"cluster_tags": {"aws:team": "web"}}, "cluster_tags has the key 'aws:team'"),
        ({"zones": []}, "zones is empty"),
        ({"zones": ["eu-west-1a", "eu-west-1a"]}, "zones has eu-west-1a more than once"),
        ({"vpc_cidr": "10.20.0.0"}, "vpc_cidr has '10.20.0.0', which is not where a range starts"),
        ({"vpc_cidr": "10.20.0.1/16"}, "did you mean '10.20.0.0/16'?"),
        ({"vpc_cidr": "10.0.0.0/8"}, "vpc_cidr is 10.0.0.0/8, but a VPC's range must be between /16 and /28"),
        ({"vpc_cidr": "10.20.0.0/28"}, "which is too small for the 3 zones"),
        ({"vpc_cidr": "10.20.0.0/26", "node_groups": managers(3, max=40)}, "vpc_cidr 10.20.0.0/26 is too small"),
        ({"vpc_cidr": "172.17.0.0/16"}, "overlaps 172.17.0.0/16, where Docker's bridge network are"),
        ({"vpc_cidr": "10.0.0.0/16"}, "overlaps 10.0.0.0/16, where the swarm's first overlay networks are"),
        ({"ssh_access": ["0.0.0.0/0"]}, "opens SSH to the whole internet"),
        ({"ssh_access": ["home"]}, "ssh_access has 'home', which is not a range of addresses"),
        ({"ssh_access": ["2001:db8::/32"]}, "only IPv4 ranges are supported"),
        ({"published_ports": [{"port": 2375}]}, "published_ports has 2375, which is not for the public"),
        ({"published_ports": [{"port": 0}]}, "published_ports has 0, but ports go from 1 to 65535"),
        ({"dns": {"zone": "example.com", "record": "swarm.example.org"}}, "is not in the zone example.com"),
        ({"dns": {"zone": "example.com", "record": "example.com", "ttl": 0}}, "dns.ttl is 0"),
        ({"node_groups": []}, "node_groups is empty"),
        ({"node_groups": [group(), group()]}, "node_groups has two groups named 'manager'"),
        ({"node_groups": [group(role="worker")]}, "node_groups has no managers"),
        ({"node_groups": managers(9)}, "node_groups has 9 managers, but more than 7"),
        ({"node_groups": [group(desired=4, max=3)]}, "min 4, desired 4 and max 3 must be in ascending order"),
        ({"node_groups": [group(zones=["eu-west-1d"])]}, "zone eu-west-1d is not one of the cluster's zones; did you"),
        ({"node_groups": [group(name="Web_1")]}, "name must be 1 to 31 lower-case letters"),
        ({"node_groups": [group(volume_size=4)]}, "volume_size is 4, but must be between 8 and 16384"),
        ({"node_groups": [group(instance_types=[])]}, "instance_types is empty"),
        ({"node_groups": [group(labels={"swarm.aws.zone": "x"})]}, "label 'swarm.aws.zone' is taken"),
        ({"node_groups": [group(labels={"edge": ["a"]})]}, "label 'edge' must have a plain value"),
        ({"node_groups": [group(user_data="echo")]}, "user_data must start with #! (a script) or #cloud-config"),
        ({"node_groups": [group(user_data="#!" + "x" * 8191)]}, "user_data has 8193 bytes, but 8192 is the most"),
    ],
)
def test_what_is_wrong_is_one_sentence(changed: dict[str, Any], error: str) -> None:
    found = check(**changed).errors

    assert [one for one in found if error in one], found
    assert all(one.count("\n") == 0 and one.endswith((".", "?")) for one in found), found


@pytest.mark.parametrize(
    ("changed", "warning"),
    [
        (
            {"node_groups": managers(4)},
            "An even number of managers, 4, needs 3 of them for a quorum and so survives the loss of 1, "
            "which 3 would too: use 3 or 5.",
        ),
        ({"node_groups": managers(1)}, "A single manager has no quorum to lose but itself"),
        ({"node_groups": managers(3, zones=["eu-west-1a"])}, "3 managers in 1 zone: the loss of one zone"),
        ({"node_groups": managers(3, spot=True)}, "managers on spot capacity can be taken away together"),
        ({"dns": None}, "The groups manager ask for a DNS record, but dns is not set"),
        ({"node_groups": managers(3, dns=False)}, "dns is set, but no group has dns: true"),
    ],
)
def test_what_is_unwise_is_a_warning(changed: dict[str, Any], warning: str) -> None:
    found = check(**changed)

    assert found.errors == []
    assert [one for one in found.warnings if warning in one], found.warnings


@given(st.integers(1, 7))
def test_a_quorum_is_more_than_half(count: int) -> None:
    assert 2 * rules.quorum(count) > count >= 2 * rules.quorum(count) - 2
