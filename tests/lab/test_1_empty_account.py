"""What an operator sees before anything is built: the plan, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .site import CLUSTER, Site

TO_COME = [
    f"VPC {CLUSTER}",
    f"subnet {CLUSTER}-eu-west-1a",
    f"subnet {CLUSTER}-eu-west-1c",
    f"internet gateway {CLUSTER}",
    f"route table {CLUSTER}-public",
    f"gateway endpoint {CLUSTER}-s3",
    f"security group {CLUSTER}-member",
    f"security group {CLUSTER}-manager",
    f"queue {CLUSTER}-events",
    f"queue {CLUSTER}-events-dead",
    f"bucket {CLUSTER}-swarm-123456789012-eu-west-1",
    f"KMS key {CLUSTER}-swarm",
    "object policy.json",
    f"IAM role {CLUSTER}-manager",
    f"IAM role {CLUSTER}-worker",
    f"launch template {CLUSTER}-manager",
    f"launch template {CLUSTER}-worker",
    f"Auto Scaling group {CLUSTER}-manager",
    f"Auto Scaling group {CLUSTER}-worker",
]
WRONG: dict[str, tuple[Any, ...]] = {
    "account": ({"account_id": "210987654321"}, "The credentials are for the account 123456789012"),
    "region": ({"region": "eu-west-9"}, "region 'eu-west-9' is not an AWS region"),
    "overlap": ({"vpc_cidr": "172.31.0.0/20"}, "overlaps 172.31.0.0/16 of the VPC"),
    # All that is wrong is said at once.
    "zone, key pair, size and hosted zone": (
        {
            "zones": ["eu-west-1a", "eu-west-1z"],
            "key_name": "labb",
            "vpc_cidr": "10.20.0.0/28",
            "dns": {"zone": "swarm.tset", "record": "www.swarm.tset"},
        },
        "zones has eu-west-1z, but the region eu-west-1 has",
        "key_name 'labb' is no key pair",
        "too small",
        "dns.zone swarm.tset does not exist in this account",
    ),
}


@pytest.fixture
def untouched(empty: Site) -> Site:
    """The empty account with an empty log of calls."""
    empty.forget_calls()
    return empty


def test_the_plan_names_every_resource_to_come_and_writes_nothing(untouched: Site) -> None:
    run = untouched.playbook("site.yml", "--check", "--diff")
    assert run.code == 0, run.output[-4000:]
    assert [name for name in TO_COME if f"+++ after: {name}\n" not in run.output] == []
    assert "To create: " in run.output, "it is summed up"
    assert untouched.writes() == []


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_configuration_is_refused_in_a_sentence_before_the_first_write(untouched: Site, wrong: str) -> None:
    values, *sentences = WRONG[wrong]
    run = untouched.playbook("site.yml", "-e", json.dumps(values))
    assert run.code != 0
    said = " ".join(run.output.split())
    assert [sentence for sentence in sentences if sentence not in said] == []
    assert untouched.writes() == []


def test_a_tag_plans_its_part_with_what_it_needs(untouched: Site) -> None:
    run = untouched.playbook("site.yml", "--check", "--diff", "--tags", "groups")
    assert run.code == 0, run.output[-3000:]
    assert f"+++ after: launch template {CLUSTER}" in run.output
    assert f"+++ after: queue {CLUSTER}" not in run.output
