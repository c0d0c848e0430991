"""Interface endpoints of missing services, while they are pending, and after a failure."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.aws.provision_error import ProvisionError

from tests.unit.account.account import REGION, account
from tests.unit.account.cases import endpoints


def offering(**zones: list[str]) -> Any:
    """A change of what AWS says of endpoint services: the zones of each, and those that are not named are gone."""

    def change(parsed: dict[str, Any], **_: object) -> None:
        details = []
        for detail in parsed.get("ServiceDetails", []):
            name = detail["ServiceName"].rsplit(".", 1)[-1]
            if name in zones:
                details.append({**detail, "AvailabilityZones": zones[name]})
        parsed["ServiceDetails"] = details

    return change


def test_a_service_without_an_endpoint_in_the_region_is_refused() -> None:
    with account() as world:
        params = endpoints.prepare(world)
        some = offering(ec2=[f"{REGION}a"], api=[f"{REGION}a"])
        with (
            world.changing("DescribeVpcEndpointServices", some),
            world.recording() as writes,
            pytest.raises(ProvisionError, match=r"eu-west-1 there is no .* for route53, sqs: set it to"),
        ):
            endpoints.CASE.run(world, params)
        assert writes == []


def test_an_endpoint_has_no_address_in_a_zone_without_the_service() -> None:
    both = [f"{REGION}a", f"{REGION}b"]
    with account() as world:
        params = {**endpoints.prepare(world), "services": ["ec2", "sqs"]}
        with world.changing("DescribeVpcEndpointServices", offering(ec2=both, sqs=both[1:])):
            endpoints.CASE.run(world, params)
            assert endpoints.CASE.run(world, params)["changes"] == []
        zones = {
            endpoint["service"]: endpoint["zones"] for endpoint in endpoints.look(world.aws) if endpoint["private_dns"]
        }
        assert zones == {f"com.amazonaws.{REGION}.ec2": both, f"com.amazonaws.{REGION}.sqs": both[1:]}
        with (
            world.changing("DescribeVpcEndpointServices", offering(ec2=both, sqs=[f"{REGION}c"])),
            pytest.raises(ProvisionError, match="in the zones eu-west-1a, eu-west-1b: add eu-west-1c to zones"),
        ):
            endpoints.CASE.run(world, params)


def test_an_endpoint_that_aws_failed_to_create_is_named_with_the_reason() -> None:
    def fail(parsed: dict[str, Any], **_: object) -> None:
        for endpoint in parsed.get("VpcEndpoints", []):
            endpoint.update(State="failed", LastError={"Code": "1", "Message": "The subnet is full."})

    with (
        account() as world,
        world.changing("DescribeVpcEndpoints", fail),
        pytest.raises(ProvisionError, match=r"could not create the interface endpoint vpce-.*: The subnet is full"),
    ):
        endpoints.CASE.run(world, endpoints.prepare(world))


def test_a_pending_endpoint_is_waited_for() -> None:
    looks = []

    def pend(parsed: dict[str, Any], **_: object) -> None:
        looks.append(parsed)
        if len(looks) == 2:
            parsed["VpcEndpoints"][0]["State"] = "pending"

    with account() as world, world.changing("DescribeVpcEndpoints", pend):
        endpoints.CASE.run(world, {**endpoints.prepare(world), "services": ["ec2"]})
    assert len(looks) == 3, "what there is, that it is pending, and that it serves"
