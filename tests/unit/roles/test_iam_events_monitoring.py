"""The roles iam, events and monitoring, run one after the other in an account."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.amazon.aws.plugins.modules import cloudwatchlogs_log_group

from tests.unit.lab.fakes import LittleAws
from tests.unit.roles.account import ACCOUNT_ID, REASON, REGION, ROOT, RolesAccount, Run, roles_account

pytestmark = pytest.mark.real(REASON)

MANAGER, WORKER, QUEUE = "example-manager", "example-worker", "example-events"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT_ID}:example-alarms"
DEAD = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:example-events-dead"
KEY = {"key_arn": f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/1"}
ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
MINE = {"swarm.aws/cluster": "example"}


@dataclass(frozen=True)
class Built:
    """The account, and what the first run made in it."""

    account: RolesAccount
    made: dict[str, Any]


def run(account: RolesAccount, *, check: bool = False, **variables: Any) -> Run:
    done = account.run("iam", "events", "monitoring", check=check, discovery_key=KEY, **variables)
    assert done.code == 0, done.output
    return done


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    with roles_account(tmp_path_factory.mktemp("roles")) as account:
        run(account)
        yield Built(account, state(account.aws))


@pytest.fixture
def account(built: Built) -> RolesAccount:
    return built.account


def state(aws: LittleAws) -> dict[str, Any]:
    """All that the roles made."""
    iam, sqs, sns = aws.client("iam"), aws.client("sqs"), aws.client("sns")
    events, logs, cloudwatch = aws.client("events"), aws.client("logs"), aws.client("cloudwatch")
    roles = [iam.get_role(RoleName=name)["Role"] for name in (MANAGER, WORKER)]
    profiles = [
        iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
        for name in sorted(found["InstanceProfileName"] for found in iam.list_instance_profiles()["InstanceProfiles"])
    ]
    urls = sorted(sqs.list_queues()["QueueUrls"])
    rule = events.describe_rule(Name=QUEUE)
    return {
        "roles": [
            (
                role["Description"],
                role["AssumeRolePolicyDocument"],
                _tags(role["Tags"]),
                role.get("PermissionsBoundary"),
                iam.get_role_policy(RoleName=role["RoleName"], PolicyName="swarm")["PolicyDocument"],
                iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"],
            )
            for role in roles
        ],
        "profiles": [([role["RoleName"] for role in profile["Roles"]], _tags(profile["Tags"])) for profile in profiles],
        "queues": {url.rsplit("/", 1)[1]: _queue(sqs, url) for url in urls},
        "rule": {key: rule.get(key) for key in ("Description", "EventPattern", "State")},
        "targets": events.list_targets_by_rule(Rule=QUEUE)["Targets"],
        "topics": {arn: _topic(sns, arn) for arn in [topic["TopicArn"] for topic in sns.list_topics()["Topics"]]},
        "alarms": sorted(alarm["AlarmName"] for alarm in cloudwatch.describe_alarms()["MetricAlarms"]),
        "dashboards": [entry["DashboardName"] for entry in cloudwatch.list_dashboards()["DashboardEntries"]],
        "logs": [
            (group["logGroupName"], group.get("retentionInDays"), _log_tags(logs, group))
            for group in logs.describe_log_groups()["logGroups"]
        ],
    }


def _tags(found: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in found}


def _log_tags(logs: Any, group: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = logs.list_tags_for_resource(resourceArn=group["arn"].removesuffix(":*"))["tags"]
    return found


def _queue(sqs: Any, url: str) -> dict[str, Any]:
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    settings = {key: value for key, value in found.items() if not key.endswith(("Timestamp", "Messages"))}
    documents = {key: json.loads(settings.pop(key)) for key in ("Policy", "RedrivePolicy") if key in settings}
    return {**settings, **documents, "tags": sqs.list_queue_tags(QueueUrl=url).get("Tags")}


def _topic(sns: Any, arn: str) -> dict[str, Any]:
    subscriptions = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    return {
        "policy": json.loads(sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]),
        "subscriptions": sorted((subscription["Protocol"], subscription["Endpoint"]) for subscription in subscriptions),
        "tags": _tags(sns.list_tags_for_resource(ResourceArn=arn)["Tags"]),
    }


def test_the_first_run_creates_every_declared_resource(built: Built) -> None:
    made = built.made
    assert made["profiles"] == [([role], {**MINE, "swarm.aws/region": REGION}) for role in (MANAGER, WORKER)]
    queue, dead = made["queues"][QUEUE], made["queues"]["example-events-dead"]
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": DEAD, "maxReceiveCount": 5}
    assert (queue["SqsManagedSseEnabled"], dead["SqsManagedSseEnabled"]) == ("true", "true")
    assert (queue["VisibilityTimeout"], queue["ReceiveMessageWaitTimeSeconds"]) == ("60", "20")
    assert (queue["MessageRetentionPeriod"], dead["MessageRetentionPeriod"]) == ("86400", "1209600")
    assert (queue["tags"], dead["tags"]) == (MINE, MINE)
    assert made["targets"] == [{"Id": "queue", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{QUEUE}"}]
    assert made["topics"][TOPIC]["subscriptions"] == [("email", "operator@swarm.test")]
    assert made["topics"][TOPIC]["tags"] == MINE
    allowed, refused = made["topics"][TOPIC]["policy"]["Statement"]
    assert allowed["Condition"] == {
        "ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT_ID}:alarm:example/*"},
        "StringEquals": {"aws:SourceAccount": ACCOUNT_ID},
    }
    assert (refused["Effect"], refused["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert "example/capacity-worker" in made["alarms"]
    assert made["logs"] == [("/swarm/example", 7, MINE)]


def test_foreign_changes_are_repaired_and_foreign_additions_stay(account: RolesAccount) -> None:
    aws = account.aws
    iam, sqs, sns = aws.client("iam"), aws.client("sqs"), aws.client("sns")
    theirs = iam.create_policy(PolicyName="theirs", PolicyDocument=json.dumps(ALLOW_ALL))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=WORKER, PolicyArn=theirs)
    iam.tag_role(RoleName=WORKER, Tags=[{"Key": "team", "Value": "blue"}])
    sns.subscribe(TopicArn=TOPIC, Protocol="email", Endpoint="pager@swarm.test")
    before = state(aws)

    iam.untag_role(RoleName=MANAGER, TagKeys=["swarm.aws/region"])
    iam.put_role_policy(RoleName=MANAGER, PolicyName="swarm", PolicyDocument=json.dumps(ALLOW_ALL))
    iam.remove_role_from_instance_profile(InstanceProfileName=WORKER, RoleName=WORKER)
    iam.delete_instance_profile(InstanceProfileName=WORKER)
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "5", "Policy": json.dumps(ALLOW_ALL)})
    events = aws.client("events")
    events.disable_rule(Name=QUEUE)
    # As earlier versions made it.
    events.put_targets(Rule=QUEUE, Targets=[{**before["targets"][0], "DeadLetterConfig": {"Arn": DEAD}}])
    sns.set_topic_attributes(TopicArn=TOPIC, AttributeName="Policy", AttributeValue=json.dumps(ALLOW_ALL))
    aws.client("logs").delete_retention_policy(logGroupName="/swarm/example")
    aws.client("cloudwatch").delete_alarms(AlarmNames=["example/node-down"])
    aws.client("cloudwatch").delete_dashboards(DashboardNames=["example-swarm"])

    planned = run(account, check=True)
    assert planned.writes == []
    repaired = run(account)
    # It has no check mode.
    assert set(repaired.changed) - set(planned.changed) == {"Create the event rule"}
    assert state(aws) == before


def test_a_boundary_and_alarms_are_removed_when_unset(account: RolesAccount) -> None:
    iam, before = account.aws.client("iam"), state(account.aws)
    boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=json.dumps(ALLOW_ALL))["Policy"]["Arn"]
    run(account, permissions_boundary=boundary, monitoring=None)
    after = state(account.aws)
    assert [role[3]["PermissionsBoundaryArn"] for role in after["roles"]] == [boundary, boundary]
    assert (after["alarms"], after["dashboards"], after["topics"]) == ([], [], {})
    assert after["logs"] == before["logs"]
    back = run(account)
    assert "Remove the permissions boundary" in back.changed
    assert [role[3] for role in state(account.aws)["roles"]] == [None, None]


def test_every_retention_of_the_log_group_is_valid_in_the_module() -> None:
    source = Path(cloudwatchlogs_log_group.__file__).read_text()
    (permitted,) = re.findall(r"permited_values = (\[[^]]*\])", source)
    spec = yaml.safe_load((ROOT / "roles/check/meta/argument_specs.yml").read_text())
    logs = spec["argument_specs"]["configuration"]["options"]["logs"]["options"]
    assert set(logs["retention_days"]["choices"]) <= set(json.loads(permitted))
