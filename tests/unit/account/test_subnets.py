"""Where the zones' subnets are."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.account import subnets
from ansible_collections.swarm.aws.plugins.module_utils.aws.provision_error import ProvisionError
from hypothesis import given
from hypothesis import strategies as st

ZONES = [f"eu-west-1{letter}" for letter in "abcdefgh"]
zones = st.lists(st.sampled_from(ZONES), unique=True, min_size=1)


@st.composite
def vpcs(draw: st.DrawFn) -> IPv4Network:
    prefix = draw(st.integers(16, 28))
    address = draw(st.integers(0, 2**prefix - 1)) << (32 - prefix)
    return IPv4Network((address, prefix))


def room(vpc: IPv4Network) -> int:
    return 2 ** (subnets.prefix_of(vpc) - vpc.prefixlen)


@given(vpcs(), zones)
def test_subnets_are_inside_the_vpc_do_not_overlap_and_are_large_enough(vpc: IPv4Network, wanted: list[str]) -> None:
    if len(wanted) > room(vpc):
        with pytest.raises(ProvisionError, match="is too small"):
            subnets.carve(vpc, wanted, {})
        return
    carved = subnets.carve(vpc, wanted, {})
    assert list(carved) == wanted
    parts = list(carved.values())
    assert all(part.subnet_of(vpc) and part.prefixlen <= subnets.SMALLEST_PREFIX for part in parts)
    assert not any(part.overlaps(other) for number, part in enumerate(parts) for other in parts[:number])
    assert all(subnets.usable(part) > 0 for part in parts)


@given(vpcs(), zones, zones)
def test_a_zone_keeps_its_subnet_when_other_zones_come_and_go(
    vpc: IPv4Network, before: list[str], after: list[str]
) -> None:
    if len({*before, *after}) > room(vpc):
        return
    first = subnets.carve(vpc, before, {})
    # The subnets of zones that are no longer named stay.
    second = subnets.carve(vpc, after, first)
    assert {zone: part for zone, part in second.items() if zone in first} == {
        zone: first[zone] for zone in after if zone in first
    }
    parts = [*{**first, **second}.values()]
    assert not any(part.overlaps(other) for number, part in enumerate(parts) for other in parts[:number])


def test_an_existing_subnet_of_another_size_is_kept_and_avoided() -> None:
    vpc, taken = IPv4Network("10.20.0.0/16"), {"eu-west-1c": IPv4Network("10.20.0.0/18")}
    assert subnets.carve(vpc, ["eu-west-1a", "eu-west-1c"], taken) == {
        "eu-west-1a": IPv4Network("10.20.64.0/20"),
        "eu-west-1c": IPv4Network("10.20.0.0/18"),
    }
