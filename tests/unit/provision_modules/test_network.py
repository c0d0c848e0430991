"""What a network is not built on."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.provision.errors import ProvisionError
from ansible_collections.swarm.aws.plugins.module_utils.provision.shell import awaited

from tests.unit.provision_modules.account import account, tags_of
from tests.unit.provision_modules.cases import network
from tests.unit.provision_modules.cases.case import CLUSTER

TAGGED = [{"ResourceType": "vpc", "Tags": [{"Key": "swarm.aws/cluster", "Value": CLUSTER}]}]


def test_another_address_range_than_the_vpcs_is_refused_before_anything_changes() -> None:
    with account() as world:
        network.CASE.run(world, network.PARAMS)
        built = network.CASE.state(world)
        with pytest.raises(ProvisionError, match=r"vpc_cidr is 10\.30\.0\.0/16, but .* has 10\.20\.0\.0/16"):
            network.CASE.run(world, {**network.PARAMS, "vpc_cidr": "10.30.0.0/16"})
        assert network.CASE.state(world) == built


def test_two_vpcs_that_claim_to_be_the_clusters_are_named() -> None:
    with account() as world:
        first, second = (
            world.aws.ec2.create_vpc(CidrBlock="10.20.0.0/16", TagSpecifications=TAGGED)["Vpc"]["VpcId"]
            for _ in range(2)
        )
        with world.recording() as writes, pytest.raises(ProvisionError, match="more than one VPC") as refused:
            network.CASE.run(world, network.PARAMS)
        assert first in str(refused.value)
        assert second in str(refused.value)
        assert writes == []


def test_a_zone_that_is_no_longer_named_keeps_its_subnet_and_one_that_is_new_gets_one() -> None:
    with account() as world:
        before = network.CASE.run(world, network.PARAMS)["subnets"]
        zones = ["eu-west-1b", "eu-west-1c"]
        after = network.CASE.run(world, {**network.PARAMS, "zones": zones})
        assert list(after["subnets"]) == zones
        assert after["subnets"]["eu-west-1b"] == before["eu-west-1b"]
        assert len(network.CASE.state(world)["subnets"]) == 3


def test_a_network_that_stands_gets_ipv6_when_it_is_turned_on_and_keeps_it() -> None:
    without = {**network.PARAMS, "ipv6": False}
    with account() as world:
        network.CASE.run(world, without)
        built = network.CASE.state(world)
        assert [one["ipv6"] for one in built["subnets"]] == [[], []]
        planned = network.CASE.run(world, network.PARAMS, check=True)
        turned_on = network.CASE.run(world, network.PARAMS)
        assert len(turned_on["changes"]) == 4
        assert planned["changes"] == turned_on["changes"]
        state = network.CASE.state(world)
        assert sorted(one["ipv6"] for one in state["subnets"]) == [["2001:db8:0:1::/64"], ["2001:db8::/64"]]
        assert network.CASE.run(world, without)["changes"] == []
    with account() as fresh:
        network.CASE.run(fresh, network.PARAMS)
        assert network.CASE.state(fresh) == state


def test_a_range_that_does_not_come_is_waited_for_and_then_named() -> None:
    now = iter(range(100))
    with pytest.raises(ProvisionError, match="Waited 5 s for the IPv6 range of vpc-1, which did not come"):
        awaited(lambda: None, "the IPv6 range of vpc-1", 5, lambda: next(now), lambda seconds: None)
    answers = iter([None, None, "2001:db8::/56"])
    assert awaited(lambda: next(answers), "it", 5, lambda: 0, lambda seconds: None) == "2001:db8::/56"


def test_tags_of_others_stay() -> None:
    with account() as world:
        network.CASE.run(world, network.PARAMS)
        mine = [{"Key": "owner", "Value": "somebody"}]
        world.aws.ec2.create_tags(Resources=[network.vpc(world.aws)], Tags=mine)
        assert network.CASE.run(world, network.PARAMS)["changes"] == []
        found = world.aws.ec2.describe_vpcs(VpcIds=[network.vpc(world.aws)])["Vpcs"][0]
        assert tags_of(found)["owner"] == "somebody"


def test_two_clusters_in_one_account_have_a_network_each() -> None:
    with account() as world:
        one = network.CASE.run(world, network.PARAMS)
        other = network.CASE.run(world, {**network.PARAMS, "cluster_name": "other", "vpc_cidr": "10.30.0.0/16"})
        assert one["vpc_id"] != other["vpc_id"]
        assert network.CASE.run(world, network.PARAMS)["changes"] == []


def test_private_subnets_come_beside_the_public_ones_of_a_network_that_stands() -> None:
    public = {key: value for key, value in network.PRIVATE_PARAMS.items() if key != "nat"}
    with account() as world:
        before = network.PRIVATE_CASE.run(world, public)
        assert before["node_subnets"] == before["subnets"]
        after = network.PRIVATE_CASE.run(world, network.PRIVATE_PARAMS)
        assert after["subnets"] == before["subnets"]
        assert after["node_subnets"] == after["private_subnets"]
        assert not set(after["private_subnets"].values()) & set(after["subnets"].values())
        built = network.PRIVATE_CASE.state(world)
        back = network.PRIVATE_CASE.run(world, public)
        assert back["changes"] == [], "instances may be in the private ones"
        assert back["node_subnets"] == before["subnets"]
    with account() as fresh:
        network.PRIVATE_CASE.run(fresh, network.PRIVATE_PARAMS)
        state = network.PRIVATE_CASE.state(fresh)
        # Of route tables that an endpoint gets later, moto shows no route to it.
        assert {**state, "tables": None} == {**built, "tables": None}


def test_one_nat_gateway_serves_all_zones_and_those_that_are_needed_no_more_go() -> None:
    one = {**network.PRIVATE_PARAMS, "nat": "one"}
    with account() as world:
        each = network.PRIVATE_CASE.run(world, network.PRIVATE_PARAMS)["nat_gateway_ids"]
        assert len(set(each.values())) == 2
        planned = network.PRIVATE_CASE.run(world, one, check=True)
        fewer = network.PRIVATE_CASE.run(world, one)
        assert planned["changes"] == fewer["changes"]
        assert set(fewer["nat_gateway_ids"].values()) == {each["eu-west-1a"]}
        state = network.PRIVATE_CASE.state(world)
        assert len(state["nat"]) == len(state["addresses"]) == 1
        assert network.PRIVATE_CASE.run(world, one)["changes"] == []
    with account() as fresh:
        network.PRIVATE_CASE.run(fresh, one)
        assert network.PRIVATE_CASE.state(fresh) == state


def test_the_one_nat_gateway_stays_where_it_is_when_zones_come_before_it() -> None:
    one = {**network.PRIVATE_PARAMS, "nat": "one", "zones": ["eu-west-1b"]}
    with account() as world:
        before = network.PRIVATE_CASE.run(world, one)["nat_gateway_ids"]["eu-west-1b"]
        after = network.PRIVATE_CASE.run(world, {**one, "zones": ["eu-west-1a", "eu-west-1b"]})["nat_gateway_ids"]
        assert set(after.values()) == {before}


def test_a_nat_gateway_that_failed_is_named_with_aws_reason() -> None:
    failing = {"State": "failed", "FailureMessage": "Network vpc-1 has no Internet gateway attached."}

    def fail(parsed: dict[str, Any], **_: object) -> None:
        for gateway in parsed.get("NatGateways", []):
            gateway.update(failing)

    with (
        account() as world,
        world.changing("DescribeNatGateways", fail),
        pytest.raises(ProvisionError, match=r"could not make the NAT gateway nat-.*no Internet gateway attached"),
    ):
        network.PRIVATE_CASE.run(world, network.PRIVATE_PARAMS)
