"""Before the first build: refusals, the plan of a part, and a first run that is killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.state import Lab
from tests.lab.configured import configure, node_groups, private
from tests.lab.site import CLUSTER, Site

WRONG: dict[str, tuple[Any, ...]] = {
    "account": ({"account_id": "210987654321"}, "The credentials are for the account 123456789012"),
    "region": ({"region": "eu-west-9"}, "region 'eu-west-9' is not an AWS region"),
    "overlap": ({"vpc_cidr": "172.31.0.0/20"}, "overlaps 172.31.0.0/16 of the VPC"),
    # All mistakes are reported at once.
    "zone, key pair, size and hosted zone": (
        {
            "zones": ["eu-west-1a", "eu-west-1z"],
            "key_name": "labb",
            "vpc_cidr": "10.20.0.0/28",
            "dns": {"zone": "swarm.tset", "record": "www.swarm.tset"},
        },
        "zones has eu-west-1z, but the region eu-west-1 has",
        "key_name 'labb' is not a key pair",
        "too small",
        "dns.zone swarm.tset does not exist in this account",
    ),
}


@pytest.fixture
def untouched(empty: Site) -> Site:
    """The empty account with an empty log of calls."""
    empty.forget_calls()
    return empty


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_configuration_is_refused_before_the_first_write(untouched: Site, wrong: str) -> None:
    values, *sentences = WRONG[wrong]
    run = untouched.playbook("site.yml", "-e", json.dumps(values))
    assert run.code != 0
    said = run.said
    assert [sentence for sentence in sentences if sentence not in said] == []
    assert untouched.writes() == []


@pytest.mark.fault(48)
def test_fault_48_a_resource_of_another_cluster_is_refused_by_its_name(untouched: Site) -> None:
    """A group `worker` of `example-eu` and a group `eu-worker` of `example` have the same name."""
    ec2, name = untouched.aws("ec2"), f"{CLUSTER}-eu-worker"
    ec2.create_launch_template(
        LaunchTemplateName=name,
        LaunchTemplateData={"InstanceType": "t3.small"},
        TagSpecifications=[
            {
                "ResourceType": "launch-template",
                "Tags": [{"Key": "swarm.aws/cluster", "Value": f"{CLUSTER}-eu"}],
            }
        ],
    )
    untouched.forget_calls()
    try:
        run = untouched.playbook("site.yml", *node_groups(**{"eu-worker": {"role": "worker", "desired": 1}}))
        assert run.code != 0
        assert f"The launch template {name} already exists and belongs to the cluster '{CLUSTER}-eu'" in run.said
        assert untouched.writes() == []
    finally:
        ec2.delete_launch_template(LaunchTemplateName=name)


def test_a_tag_plans_only_its_part(untouched: Site) -> None:
    run = untouched.playbook("site.yml", "--check", "--diff", "--tags", "node_groups")
    assert run.code == 0, run.output[-3000:]
    assert f"+ launch template {CLUSTER}" in run.output
    assert f"+ queue {CLUSTER}" not in run.output


@pytest.mark.fault(32)
def test_fault_32_a_run_killed_at_each_service_is_completed_by_the_next(lab: Lab, tmp_path: Path) -> None:
    """Its own calls name the services. tests/lab/parts/interrupted kills runs after each change."""
    site = configure(lab, tmp_path, private)
    interrupted: set[str] = set()

    def reaches_another() -> bool:
        reached = {call["service"] for call in site.written()} - interrupted
        interrupted.update(reached)
        return bool(reached)

    while True:
        site.forget_calls()
        if not site.killed_playbook("site.yml", when=reaches_another):
            break
    assert len(interrupted) >= 6, interrupted
    run = site.playbook("site.yml")
    assert run.code == 0, run.output[-4000:]
    assert run.changed == 0, run.output[-6000:]
    site.settle()
