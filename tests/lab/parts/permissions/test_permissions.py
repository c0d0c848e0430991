"""A cluster's life with exactly the permissions of docs/permissions.md.

With SWARM_PERMISSIONS=record the user has all permissions instead, and the judgements are written to a file, for
`python -m tests.lab.permissions --write .build/permissions.json`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lab.state import Lab
from tests.lab import permissions
from tests.lab.iam import disagreements
from tests.lab.permissions import OPERATOR
from tests.lab.site import CLUSTER, Site, say
from tests.unit.roles.account import roles_account

RECORD = os.environ.get("SWARM_PERMISSIONS") == "record"
# Another cluster, whose name begins with this cluster's.
OTHER = f"{CLUSTER}-two"


@pytest.fixture(scope="module")
def site(lab: Lab) -> Site:
    """The account with resources of others, and the operator as the user of all commands."""
    site = Site(lab)
    tag = {"Key": "swarm.aws/cluster", "Value": OTHER}
    site.aws("sqs").create_queue(QueueName=f"{OTHER}-events", tags={tag["Key"]: OTHER})
    site.aws("events").put_rule(Name=f"{OTHER}-events", EventPattern='{"source": ["aws.ec2"]}', Tags=[tag])
    site.aws("iam").create_role(RoleName=f"{OTHER}-manager", AssumeRolePolicyDocument="{}", Tags=[tag])
    site.aws("kms").create_key(Description="another's")
    site.become(OPERATOR, permissions.EVERYTHING if RECORD else permissions.policies(permissions.WITHOUT_VPC))
    return site


def test_every_permission_is_used_by_a_configuration_or_has_a_reason() -> None:
    """The account has no engines."""
    judged = permissions.asked(permissions.record(), OPERATOR)
    assert _shown(permissions.lacking(judged)) == []
    assert permissions.unused(judged) == set()


def test_the_documented_permissions_are_enough_for_a_clusters_life(site: Site, tmp_path: Path) -> None:
    _run(site, "site.yml", "--check", "--diff")
    _run(site, "site.yml")
    site.settle()
    run = site.playbook("site.yml")
    assert (run.code, run.changed) == (0, 0), run.output[-6000:]
    for view in ("plan", "status", "instances", "managers"):
        _run(site, f"playbooks/{view}.yml")
    _run(site, "playbooks/picture.yml", "-e", f"output={tmp_path}/cluster.svg")
    _run(site, "playbooks/diagnose.yml", "-e", f"output={tmp_path}/diagnosis.tar.gz")
    _run(site, "remove_node.yml", "-e", f"id={site.pick('worker')}")
    _run(site, "playbooks/tidy.yml")
    _run(site, "playbooks/scale.yml", "-e", "group=worker", "-e", "desired=2")
    _run(site, "playbooks/upgrade.yml")
    _run(site, "playbooks/rebalance.yml")
    _run(site, "playbooks/backup.yml")
    _run(site, "playbooks/restore_drill.yml")
    _run(site, "playbooks/destroy.yml", "-e", f"confirm={CLUSTER}")
    assert site.inventory() == site.before
    told = site.judgements()
    judged = permissions.asked(told, OPERATOR)
    say(f"the operator was judged {len(judged)} times")
    if RECORD:
        permissions.keep(told)
        return
    refused = [judgement for judgement in judged if not judgement["allowed"]]
    assert _shown(judgement for judgement in refused if not permissions.repeated(judgement)) == []
    assert _shown(permissions.lacking(judged)) == []
    assert disagreements({**told, "judgements": judged}) == []


def test_a_pull_requests_role_plans_a_built_cluster(tmp_path: Path) -> None:
    """The account has no engines."""
    with roles_account(tmp_path) as account:
        built = account.playbook("site.yml", "--skip-tags", "stack")
        assert built.code == 0, built.output[-6000:]
        account.become("planner", permissions.policies(files=[permissions.ROOT / "docs/ci-cd/plan.json"]))
        plan = account.playbook("playbooks/plan.yml")
        assert plan.code == 0, plan.output[-6000:]
        assert "Nothing to change." in plan.output


def _run(site: Site, *words: str) -> None:
    run = site.playbook(*words)
    assert run.code == 0, f"{' '.join(words)}: {run.output[-6000:]}"


def _shown(judged: Any) -> list[str]:
    return [f"{judgement['action']} on {judgement['resource']}" for judgement in judged]
