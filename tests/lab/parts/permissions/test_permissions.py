"""A cluster's life as a user who has what docs/permissions.md says, and nothing else.

With SWARM_PERMISSIONS=record the user may do everything instead, and what was asked for is written to a file, for
`python -m tests.lab.permissions --write .build/permissions.json`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lab.state import Lab
from tests.lab import permissions
from tests.lab.iam import judged_otherwise
from tests.lab.permissions import OPERATOR
from tests.lab.site import CLUSTER, Site, say

RECORD = os.environ.get("SWARM_PERMISSIONS") == "record"
# Of another cluster, whose name begins with this one's.
OTHER = f"{CLUSTER}-two"


@pytest.fixture(scope="module")
def site(lab: Lab) -> Site:
    """The account, in which others have things too, and the operator as the one who runs commands."""
    site = Site(lab)
    tag = {"Key": "swarm.aws/cluster", "Value": OTHER}
    site.aws("sqs").create_queue(QueueName=f"{OTHER}-events", tags={tag["Key"]: OTHER})
    site.aws("events").put_rule(Name=f"{OTHER}-events", EventPattern='{"source": ["aws.ec2"]}', Tags=[tag])
    site.aws("iam").create_role(RoleName=f"{OTHER}-manager", AssumeRolePolicyDocument="{}", Tags=[tag])
    site.aws("kms").create_key(Description="another's")
    site.become(OPERATOR, permissions.EVERYTHING if RECORD else permissions.policies())
    return site


def test_every_action_is_asked_for_by_some_configuration_or_has_its_reason() -> None:
    """On an account without engines."""
    judged = permissions.asked(permissions.record(), OPERATOR)
    assert _shown(permissions.lacking(judged)) == []
    assert permissions.unused(judged) == set()


def test_a_cluster_is_built_kept_and_destroyed_with_the_permissions_of_the_page(site: Site, tmp_path: Path) -> None:
    _does(site, "site.yml", "--check", "--diff")
    _does(site, "site.yml")
    site.settle()
    run = site.playbook("site.yml")
    assert (run.code, run.changed) == (0, 0), run.output[-6000:]
    for view in ("plan", "status", "instances", "managers"):
        _does(site, f"playbooks/{view}.yml")
    _does(site, "playbooks/picture.yml", "-e", f"output={tmp_path}/cluster.svg")
    _does(site, "playbooks/diagnose.yml", "-e", f"output={tmp_path}/diagnosis.tar.gz")
    _does(site, "remove_node.yml", "-e", f"id={site.one('worker')}")
    _does(site, "playbooks/tidy.yml")
    _does(site, "playbooks/scale.yml", "-e", "group=worker", "-e", "desired=2")
    _does(site, "playbooks/upgrade.yml")
    _does(site, "playbooks/rebalance.yml")
    _does(site, "playbooks/backup.yml")
    _does(site, "playbooks/restore_drill.yml")
    _does(site, "playbooks/destroy.yml", "-e", f"confirm={CLUSTER}")
    assert site.inventory() == site.before
    told = site.judgements()
    judged = permissions.asked(told, OPERATOR)
    say(f"the operator was judged {len(judged)} times")
    if RECORD:
        permissions.keep(told)
        return
    assert _shown(judgement for judgement in judged if not judgement["allowed"]) == []
    assert _shown(permissions.lacking(judged)) == []
    assert judged_otherwise({**told, "judgements": judged}) == []


def _does(site: Site, *words: str) -> None:
    run = site.playbook(*words)
    assert run.code == 0, f"{' '.join(words)}: {run.output[-6000:]}"


def _shown(judged: Any) -> list[str]:
    return [f"{judgement['action']} on {judgement['resource']}" for judgement in judged]
