"""The way from a NAT gateway to interface endpoints and back, and what has none."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.provision import endpoints as module
from ansible_collections.swarm.aws.plugins.module_utils.provision.errors import ProvisionError

from tests.unit.provision_modules.account import REGION, Account, account
from tests.unit.provision_modules.cases import endpoints, network
from tests.unit.provision_modules.cases.case import CLUSTER

ANYWHERE = "0.0.0.0/0"


def turn(world: Account, nat: str) -> list[str]:
    """What the role network does, in its order; returns what was changed."""
    params = endpoints.params(world, nat)
    return endpoints.CASE.run(world, params)["changes"]


def order(writes: list[str], *operations: str) -> list[int]:
    """Where the last of each kind of write is."""
    return [max(at for at, one in enumerate(writes) if one == operation) for operation in operations]


@pytest.mark.parametrize("nat", ["one", "per_zone"])
def test_endpoints_are_there_before_the_nat_gateways_go_and_the_other_way_round(nat: str) -> None:
    with account() as world:
        turn(world, nat)
        with world.recording() as writes:
            turn(world, "none")
        there = order(writes, "CreateVpcEndpoint", "DeleteRoute", "DeleteNatGateway", "ReleaseAddress")
        assert there == sorted(there)
        assert "CreateNatGateway" not in writes
        by_endpoints = endpoints.CASE.state(world)
        assert turn(world, "none") == []
        with world.recording() as writes:
            turn(world, nat)
        back = order(writes, "CreateNatGateway", "CreateRoute", "DeleteVpcEndpoints", "DeleteSecurityGroup")
        assert back == sorted(back)
        by_nat = endpoints.CASE.state(world)
        assert turn(world, nat) == []
    for way, state in ((nat, by_nat), ("none", by_endpoints)):
        with account() as fresh:
            turn(fresh, way)
            assert endpoints.CASE.state(fresh) == state


def test_a_plan_says_the_way_and_walks_none_of_it() -> None:
    with account() as world:
        turn(world, "one")
        params = endpoints.params(world, "none")
        with world.recording() as writes:
            planned = endpoints.CASE.run(world, params, check=True)["changes"]
        assert writes == []
        assert planned == endpoints.CASE.run(world, params)["changes"]
        said = " ".join(planned)
        for one in (f"interface endpoint {CLUSTER}-ec2", f"NAT gateway {CLUSTER}-", "elastic IP address"):
            assert one in said


def test_a_way_out_of_the_operators_own_stays() -> None:
    with account() as world:
        turn(world, "none")
        table = network.private_table(world.aws)["RouteTableId"]
        world.aws.ec2.create_route(
            RouteTableId=table, DestinationCidrBlock=ANYWHERE, GatewayId=network.gateway(world.aws)
        )
        assert turn(world, "none") == []
        routes = network.private_table(world.aws)["Routes"]
        assert [one["GatewayId"] for one in routes if one.get("DestinationCidrBlock") == ANYWHERE] == [
            network.gateway(world.aws)
        ]


def test_a_route_to_a_nat_gateway_that_somebody_deleted_goes_too() -> None:
    with account() as world:
        turn(world, "one")
        network.lose_nat_gateway_and_address(world.aws)

        def fade(parsed: dict[str, Any], **_: object) -> None:
            for one in parsed.get("RouteTables", []):
                for route in one["Routes"]:
                    if "NatGatewayId" in route:
                        route["State"] = "blackhole"

        params = endpoints.params(world, "none")
        with world.changing("DescribeRouteTables", fade):
            endpoints.CASE.run(world, params)
        for zone in "ab":
            routes = network.private_table(world.aws, zone)["Routes"]
            assert [one for one in routes if "NatGatewayId" in one] == []


def test_what_nobody_calls_any_more_has_no_endpoint_any_more() -> None:
    with account() as world:
        params = endpoints.params(world)
        endpoints.CASE.run(world, params)
        fewer = {**params, "services": ["ec2", "sqs"]}
        assert endpoints.CASE.run(world, fewer)["changes"] == [
            f"delete the interface endpoint {CLUSTER}-ecr.api",
            f"delete the interface endpoint {CLUSTER}-route53",
        ]
        assert endpoints.CASE.run(world, fewer)["changes"] == []
        assert len(endpoints.look(world.aws)["interfaces"]) == 4


def offering(**zones: list[str]) -> Any:
    """A change of what AWS says of endpoint services: the zones of each, and those that are not named are gone."""

    def change(parsed: dict[str, Any], **_: object) -> None:
        details = []
        for one in parsed.get("ServiceDetails", []):
            name = one["ServiceName"].rsplit(".", 1)[-1]
            if name in zones:
                details.append({**one, "AvailabilityZones": zones[name]})
        parsed["ServiceDetails"] = details

    return change


def test_a_service_that_the_region_has_no_endpoint_for_is_named_before_anything_changes() -> None:
    with account() as world:
        params = endpoints.params(world)
        some = offering(ec2=[f"{REGION}a"], api=[f"{REGION}a"])
        with (
            world.changing("DescribeVpcEndpointServices", some),
            world.recording() as writes,
            pytest.raises(ProvisionError, match=r"eu-west-1 there is no .* for route53, sqs: set it to"),
        ):
            endpoints.CASE.run(world, params)
        assert writes == []


def test_in_a_zone_that_a_service_is_not_in_its_endpoint_has_no_address() -> None:
    both = [f"{REGION}a", f"{REGION}b"]
    with account() as world:
        params = {**endpoints.params(world), "services": ["ec2", "sqs"]}
        with world.changing("DescribeVpcEndpointServices", offering(ec2=both, sqs=both[1:])):
            endpoints.CASE.run(world, params)
            assert endpoints.CASE.run(world, params)["changes"] == []
        zones = {one["service"]: one["zones"] for one in endpoints.look(world.aws)["endpoints"] if one["private_dns"]}
        assert zones == {f"com.amazonaws.{REGION}.ec2": both, f"com.amazonaws.{REGION}.sqs": both[1:]}
        with (
            world.changing("DescribeVpcEndpointServices", offering(ec2=both, sqs=[f"{REGION}c"])),
            pytest.raises(ProvisionError, match="in the zones eu-west-1a, eu-west-1b, but in eu-west-1c: add"),
        ):
            endpoints.CASE.run(world, params)


def test_an_endpoint_that_aws_could_not_make_is_named_with_its_reason() -> None:
    def fail(parsed: dict[str, Any], **_: object) -> None:
        for one in parsed.get("VpcEndpoints", []):
            one.update(State="failed", LastError={"Code": "1", "Message": "The subnet is full."})

    with (
        account() as world,
        world.changing("DescribeVpcEndpoints", fail),
        pytest.raises(ProvisionError, match=r"could not make the interface endpoint vpce-.*: The subnet is full"),
    ):
        turn(world, "none")


def test_an_endpoint_is_waited_for() -> None:
    answers = [{"State": "pending"}, {"State": "available"}]

    class Ec2:
        def describe_vpc_endpoints(self, **_: Any) -> Any:
            return {"VpcEndpoints": [answers.pop(0)]}

    class Aws:
        ec2, region = Ec2(), REGION

    wanted = module.Endpoints(CLUSTER, {}, "vpc-1", {}, "sg-1", ["ec2"])
    builder = module.Builder(Aws(), wanted, module.Changes(False))  # type: ignore[arg-type]
    assert builder._all_serve(["vpce-1"]) is False
    assert builder._all_serve(["vpce-1"]) is True
