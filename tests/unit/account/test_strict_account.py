"""The product's own calls in an account like AWS's: slow to forget, busy, throttled, with limited filters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.account.resources import destroy as destroying
from ansible_collections.swarm.aws.plugins.module_utils.aws import waiters
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.plugins.module_utils.aws.provision_error import ProvisionError
from ansible_collections.swarm.aws.plugins.modules import cluster_destroy
from botocore.exceptions import ClientError

from lab.aws import account as profiles
from lab.aws.account import STRICT
from tests.unit.account.account import REGION, Account
from tests.unit.account.cases import groups
from tests.unit.account.whole import QUEUE, WHO, build, events, look
from tests.unit.lab.fakes import allow, little_aws

pytestmark = pytest.mark.real("a server: what lingers and is refused is the lab's answer over HTTP")


@contextmanager
def strict(*statements: dict[str, Any], **more: Any) -> Iterator[Account]:
    """The account of a user with these statements, or of the administrator."""
    profile = {"visible_seconds": 0, "busy_seconds": 0.1, "linger_seconds": 3, **more}
    with little_aws(replace(STRICT, **profile)) as aws:
        user = aws.user("operator", *statements) if statements else {"AccessKeyId": "lab", "SecretAccessKey": "lab"}
        key = {"aws_access_key_id": user["AccessKeyId"], "aws_secret_access_key": user["SecretAccessKey"]}
        key["verify"] = True
        yield Account(lambda: AwsSession.of_options(REGION, aws.url, key))


def destroy(account: Account) -> dict[str, Any]:
    return account.run(cluster_destroy.ARGUMENTS, cluster_destroy.work, {**WHO, "timeout": 60})


def test_destroying_ends_with_nothing_left_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    # Fewer than the groups' instances.
    monkeypatch.setattr(destroying, "MOST_VALUES", 1)
    with strict(filter_values=1) as account:
        build(account)
        # Undone before the account ends, which restores its own value.
        with monkeypatch.context() as while_destroying:
            while_destroying.setattr(profiles, "current", replace(profiles.current, visible_seconds=2))
            result = destroy(account)
        assert (result["left"], [resource["kind"] for resource in result["going"]]) == ([], ["KMS key"])
        assert len(result["changes"]) == len(set(result["changes"]))
        assert [resource["kind"] for resource in look(account)["resources"]] == ["KMS key"]


def test_deleting_again_what_lingers_may_be_denied() -> None:
    untagged = {"Null": {"aws:ResourceTag/swarm.aws/cluster": "true"}}
    denied = {**allow("sqs:DeleteQueue", when=untagged), "Effect": "Deny"}
    with strict(allow("*"), denied) as account:
        events(account.aws)
        result = destroy(account)
        assert (result["left"], len(result["changes"])) == ([], 3)


def test_a_resource_that_does_not_go_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destroying, "LINGERING", 2)
    with strict(linger_seconds=60) as account:
        events(account.aws)
        with pytest.raises(ProvisionError, match=f"still found after 2 s: queue {QUEUE}"):
            destroy(account)


def test_changes_right_after_each_other_are_made() -> None:
    with strict(busy_seconds=0.5) as account:
        events(account.aws)
        groups.CASE.run(account, groups.CASE.prepare(account))
        account.aws.client("autoscaling").set_desired_capacity(AutoScalingGroupName=groups.WORKER, DesiredCapacity=0)
        assert account.aws.client("events").list_targets_by_rule(Rule=QUEUE)["Targets"]


def test_a_group_of_a_missing_image_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(waiters, "time", SimpleNamespace(monotonic=lambda: sum(waited), sleep=waited.append))
    with strict(busy_seconds=0) as account:
        params = groups.CASE.prepare(account)
        version = {"LaunchTemplateName": groups.MANAGER, "LaunchTemplateData": {"ImageId": "ami-0123456789abcdef0"}}
        account.aws.client("ec2").create_launch_template_version(**version)
        versions = {**params["template_versions"], "manager": 2}
        with pytest.raises(ClientError, match="image id"):
            groups.CASE.run(account, {**params, "template_versions": versions})
    assert waited == []
