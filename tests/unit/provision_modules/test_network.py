"""What a network is not built on."""

from __future__ import annotations

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
