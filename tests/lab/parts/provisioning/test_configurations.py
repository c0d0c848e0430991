"""Every configuration is planned, built, not changed by the next run, and destroyed, on an account without engines.

The user has the operator's permissions of docs/permissions.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import names
from ansible_collections.swarm.aws.plugins.module_utils.account.resources.survey import Survey
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession

from tests.lab import permissions
from tests.lab.configured import CONFIGURATIONS, lab_configuration, private_nodes
from tests.unit.existing import existing_vpc
from tests.unit.roles.account import ACCOUNT_ID, REGION, RolesAccount, roles_account

# Kinds that a plan does not name: parts of others, or created by the agents and Auto Scaling.
UNNAMED = ("instance", "network interface", "objects of the bucket", "rules of the security group", "volume")
MANAGERS, WORKERS = lab_configuration()["node_groups"]


@pytest.fixture
def account(tmp_path: Path) -> Iterator[RolesAccount]:
    with roles_account(tmp_path) as made:
        made.aws.client("servicediscovery").create_http_namespace(Name="swarm.internal")
        made.become(permissions.OPERATOR, permissions.policies(permissions.WITHOUT_VPC))
        yield made


def present_resources(account: RolesAccount) -> set[str]:
    """The cluster's present resources, by their names in a plan."""
    keys = {"aws_access_key_id": "lab", "aws_secret_access_key": "lab", "verify": None}
    found = Survey(AwsSession.of_options(REGION, account.aws.url, keys), "example", ACCOUNT_ID).find()
    named = {
        f"{resource.kind} {resource.name or resource.id}"
        for resource in found
        if resource.kind not in UNNAMED and not resource.kept
    }
    bucket = names.bucket("example", ACCOUNT_ID, REGION)
    objects = account.aws.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    # A key has only the name of its alias.
    return {"KMS key example-swarm" if name.startswith("KMS key ") else name for name in named} | {
        f"object {entry['Key']}" for entry in objects
    }


def planned(output: str) -> set[str]:
    """The resources that a plan will create."""
    return set(re.findall(r"^ *- '  \+ (.*)'$", output, re.MULTILINE))


@pytest.mark.parametrize("what", CONFIGURATIONS)
def test_a_configuration_is_planned_built_not_changed_and_destroyed(account: RolesAccount, what: str) -> None:
    configuration = CONFIGURATIONS[what]
    before = account.aws.control("GET", "inventory")
    plan = account.playbook("playbooks/plan.yml", **configuration)
    assert (plan.code, plan.writes) == (0, []), plan.output[-4000:]
    first = account.playbook("site.yml", "--skip-tags", "stack", **configuration)
    assert first.code == 0, first.output[-4000:]
    assert planned(plan.output) == present_resources(account), (
        "the plan of the empty account differs from the created resources"
    )

    again = account.playbook("site.yml", "--skip-tags", "stack", **configuration)
    assert (again.code, dict(again.changed), again.writes) == (0, {}, []), again.output[-4000:]
    plan = account.playbook("playbooks/plan.yml", **configuration)
    assert (plan.code, plan.writes) == (0, []), plan.output[-4000:]
    assert "Nothing to change." in plan.output and "No orphans" in plan.output, plan.output[-4000:]

    destroyed = account.playbook("playbooks/destroy.yml", "-e", "confirm=example", **configuration)
    assert destroyed.code == 0, destroyed.output[-4000:]
    assert account.aws.control("GET", "inventory") == before


@pytest.mark.parametrize("public", [True, False])
def test_a_cluster_in_an_existing_vpc_leaves_it_as_it_was(account: RolesAccount, public: bool) -> None:
    theirs = existing_vpc(account.aws.client("ec2"), public=public)
    account.become("guest", permissions.policies({**permissions.VALUES, "VPC": theirs.vpc}))
    everything = account.aws.control("GET", "inventory")
    before, configuration = theirs.described(), theirs.by_tags()
    plan = account.playbook("playbooks/plan.yml", **configuration)
    assert (plan.code, plan.writes) == (0, []), plan.output[-4000:]
    first = account.playbook("site.yml", "--skip-tags", "stack", **configuration)
    assert first.code == 0, first.output[-4000:]
    # Without a VPC to come, the plan has the groups' metrics too.
    to_create = {name for name in planned(plan.output) if not name.startswith("metrics of ")}
    assert to_create == present_resources(account)
    addresses = [found.get("PublicIpAddress") is not None for found in instances(account)]
    assert addresses == [public] * 4
    assert theirs.described() == before

    again = account.playbook("site.yml", "--skip-tags", "stack", **theirs.variables())
    assert (again.code, dict(again.changed), again.writes) == (0, {}, []), again.output[-4000:]
    plan = account.playbook("playbooks/plan.yml", **configuration)
    assert "Nothing to change." in plan.output and "No orphans" in plan.output, plan.output[-4000:]

    destroyed = account.playbook("playbooks/destroy.yml", "-e", "confirm=example", **configuration)
    assert destroyed.code == 0, destroyed.output[-4000:]
    assert "Kept: VPC office, since it is not this cluster" in destroyed.output
    assert "Nothing is left." in destroyed.output
    assert theirs.described() == before
    assert account.aws.control("GET", "inventory") == everything


def instances(account: RolesAccount) -> list[dict[str, Any]]:
    """The running instances."""
    running = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    found = account.aws.client("ec2").describe_instances(Filters=running)["Reservations"]
    return [instance for reservation in found for instance in reservation["Instances"]]


def test_nodes_behind_a_load_balancer_are_built_and_not_changed(
    account: RolesAccount,
) -> None:
    """The network comes first, since the target group is in the cluster's VPC."""
    network = account.playbook("site.yml", "--tags", "network")
    assert network.code == 0, network.output[-4000:]
    (vpc,) = [known for known in account.aws.client("ec2").describe_vpcs()["Vpcs"] if known.get("Tags")]
    group = account.aws.client("elbv2").create_target_group(
        Name="web", Protocol="TCP", Port=80, VpcId=vpc["VpcId"], TargetType="instance"
    )["TargetGroups"][0]["TargetGroupArn"]
    configuration = {"node_groups": [{**MANAGERS, "target_groups": [group]}, WORKERS]}
    for expected in (1, 0):
        run = account.playbook("site.yml", "--skip-tags", "stack", **configuration)
        assert (run.code, bool(run.writes)) == (0, bool(expected)), run.output[-4000:]


def test_private_nodes_change_their_egress_without_a_gap(account: RolesAccount) -> None:
    for nat in ("one", "per_zone", "none", "one"):
        run = account.playbook("site.yml", "--tags", "network", **private_nodes(nat))
        assert run.code == 0, run.output[-4000:]
        _creates_before_it_deletes(run.writes)
        again = account.playbook("site.yml", "--tags", "network", **private_nodes(nat))
        assert (again.code, again.writes) == (0, []), again.output[-4000:]


def _creates_before_it_deletes(writes: list[str]) -> None:
    """The new NAT gateways or endpoints are created before the old are deleted."""
    new = [at for at, write in enumerate(writes) if write in ("ec2:CreateNatGateway", "ec2:CreateVpcEndpoint")]
    old = [at for at, write in enumerate(writes) if write in ("ec2:DeleteNatGateway", "ec2:DeleteVpcEndpoints")]
    assert not new or not old or max(new) < min(old), writes
