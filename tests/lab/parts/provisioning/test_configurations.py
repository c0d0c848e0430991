"""Every configuration is planned, built, left alone by the next run, and destroyed; on an account without engines.

Whoever does so has the operator's permissions of docs/permissions.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import names
from ansible_collections.swarm.aws.plugins.module_utils.account.resources.survey import Survey
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession

from tests.lab import permissions
from tests.lab.configured import CONFIGURATIONS, private_nodes, usual
from tests.unit.roles.account import ACCOUNT_ID, REGION, RolesAccount, roles_account

# Kinds that a plan does not name: they come with others, or are the agents' and Auto Scaling's.
UNNAMED = ("instance", "network interface", "objects of the bucket", "rules of the security group", "volume")
MANAGERS, WORKERS = usual()["node_groups"]


@pytest.fixture
def account(tmp_path: Path) -> Iterator[RolesAccount]:
    with roles_account(tmp_path) as made:
        made.aws.client("servicediscovery").create_http_namespace(Name="swarm.internal")
        made.become(permissions.OPERATOR, permissions.policies())
        yield made


def made(account: RolesAccount) -> set[str]:
    """What stands of the cluster, as a plan names it."""
    session = boto3.session.Session(aws_access_key_id="lab", aws_secret_access_key="lab", region_name=REGION)
    found = Survey(AwsSession(session, endpoint_url=account.aws.url), "example", ACCOUNT_ID).find()
    named = {f"{one.kind} {one.name or one.id}" for one in found if one.kind not in UNNAMED and not one.kept}
    bucket = names.bucket("example", ACCOUNT_ID, REGION)
    objects = account.aws.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    # A key has no name but its alias's.
    return {"KMS key example-swarm" if name.startswith("KMS key ") else name for name in named} | {
        f"object {one['Key']}" for one in objects
    }


def planned(output: str) -> set[str]:
    """What a plan says is to come."""
    return set(re.findall(r"^ *- '  \+ (.*)'$", output, re.MULTILINE))


@pytest.mark.parametrize("what", CONFIGURATIONS)
def test_a_configuration_is_planned_built_left_alone_and_destroyed(account: RolesAccount, what: str) -> None:
    configuration = CONFIGURATIONS[what]
    before = account.aws.control("GET", "inventory")
    plan = account.playbook("playbooks/plan.yml", **configuration)
    assert (plan.code, plan.writes) == (0, []), plan.output[-4000:]
    first = account.playbook("site.yml", "--skip-tags", "stack", **configuration)
    assert first.code == 0, first.output[-4000:]
    assert planned(plan.output) == made(account), "the plan of the empty account names what is then made"

    again = account.playbook("site.yml", "--skip-tags", "stack", **configuration)
    assert (again.code, dict(again.changed), again.writes) == (0, {}, []), again.output[-4000:]
    plan = account.playbook("playbooks/plan.yml", **configuration)
    assert (plan.code, plan.writes) == (0, []), plan.output[-4000:]
    assert "Nothing to change." in plan.output and "No orphans" in plan.output, plan.output[-4000:]

    destroyed = account.playbook("playbooks/destroy.yml", "-e", "confirm=example", **configuration)
    assert destroyed.code == 0, destroyed.output[-4000:]
    assert account.aws.control("GET", "inventory") == before


def test_nodes_behind_a_load_balancer_are_planned_and_built_once_its_target_group_is_there(
    account: RolesAccount,
) -> None:
    """The target group is in the cluster's VPC, which is therefore made before."""
    network = account.playbook("site.yml", "--tags", "network")
    assert network.code == 0, network.output[-4000:]
    (vpc,) = [one for one in account.aws.client("ec2").describe_vpcs()["Vpcs"] if one.get("Tags")]
    group = account.aws.client("elbv2").create_target_group(
        Name="web", Protocol="TCP", Port=80, VpcId=vpc["VpcId"], TargetType="instance"
    )["TargetGroups"][0]["TargetGroupArn"]
    configuration = {"node_groups": [{**MANAGERS, "target_groups": [group]}, WORKERS]}
    for expected in (1, 0):
        run = account.playbook("site.yml", "--skip-tags", "stack", **configuration)
        assert (run.code, bool(run.writes)) == (0, bool(expected)), run.output[-4000:]


def test_private_nodes_change_their_way_out_and_have_one_at_every_moment(account: RolesAccount) -> None:
    for nat in ("one", "per_zone", "none", "one"):
        run = account.playbook("site.yml", "--tags", "network", **private_nodes(nat))
        assert run.code == 0, run.output[-4000:]
        _has_a_way_out_first(run.writes)
        again = account.playbook("site.yml", "--tags", "network", **private_nodes(nat))
        assert (again.code, again.writes) == (0, []), again.output[-4000:]


def _has_a_way_out_first(writes: list[str]) -> None:
    """What leads out is made before what led out goes."""
    new = [at for at, write in enumerate(writes) if write in ("ec2:CreateNatGateway", "ec2:CreateVpcEndpoint")]
    old = [at for at, write in enumerate(writes) if write in ("ec2:DeleteNatGateway", "ec2:DeleteVpcEndpoints")]
    assert not new or not old or max(new) < min(old), writes
