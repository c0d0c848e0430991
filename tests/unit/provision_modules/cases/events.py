"""The queues and the rule that fills them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils.provision.shell import Aws
from ansible_collections.swarm.aws.plugins.modules import event_queue

from tests.unit.provision_modules.account import ACCOUNT_ID, REGION, Account
from tests.unit.provision_modules.cases.case import CLUSTER, TAGS, Case

QUEUE, DEAD = f"{CLUSTER}-events", f"{CLUSTER}-events-dead"
RULE = f"{CLUSTER}-events"


def arn(queue: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{queue}"


def policy(queue: str) -> dict[str, Any]:
    statement = {
        "Sid": "EventBridge",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn(queue),
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


PARAMS: Mapping[str, Any] = {
    "cluster_name": CLUSTER,
    "tags": TAGS,
    "queue": {
        "name": QUEUE,
        "attributes": {
            "VisibilityTimeout": 60,
            "SqsManagedSseEnabled": True,
            "RedrivePolicy": {"deadLetterTargetArn": arn(DEAD), "maxReceiveCount": 5},
            "Policy": policy(QUEUE),
        },
    },
    "dead_letter_queue": {
        "name": DEAD,
        "attributes": {"MessageRetentionPeriod": 1209600, "SqsManagedSseEnabled": True, "Policy": policy(DEAD)},
    },
    "rule": {
        "name": RULE,
        "description": "What happens to instances",
        "pattern": {"source": ["aws.autoscaling"], "detail-type": ["EC2 Instance-launch Lifecycle Action"]},
        "queue_arn": arn(QUEUE),
        "dead_letter_arn": arn(DEAD),
    },
}
ATTRIBUTES = ("VisibilityTimeout", "MessageRetentionPeriod", "SqsManagedSseEnabled", "RedrivePolicy", "Policy")


def prepare(_: Account) -> Mapping[str, Any]:
    return PARAMS


def url(aws: Aws, name: str) -> str:
    return aws.sqs.get_queue_url(QueueName=name)["QueueUrl"]


def look(aws: Aws) -> Any:
    sqs, events = aws.sqs, aws.events
    queues = []
    for found in sqs.list_queues().get("QueueUrls", []):
        attributes = sqs.get_queue_attributes(QueueUrl=found, AttributeNames=["All"])["Attributes"]
        queues.append(
            {
                "url": found,
                "attributes": {
                    key: json.loads(value) if value.startswith("{") else value
                    for key, value in attributes.items()
                    if key in ATTRIBUTES
                },
                "tags": sqs.list_queue_tags(QueueUrl=found).get("Tags", {}),
            }
        )
    return {
        "queues": queues,
        "rules": [
            {
                "rule": {**rule, "EventPattern": json.loads(rule["EventPattern"])},
                "targets": events.list_targets_by_rule(Rule=rule["Name"])["Targets"],
                "tags": events.list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"],
            }
            for rule in events.list_rules()["Rules"]
        ],
    }


def lose_rule(aws: Aws) -> None:
    aws.events.remove_targets(Rule=RULE, Ids=["queue"])
    aws.events.delete_rule(Name=RULE)


def narrow_rule(aws: Aws) -> None:
    aws.events.put_rule(Name=RULE, EventPattern=json.dumps({"source": ["aws.ec2"]}), Description="mine")


def misdirect(aws: Aws) -> None:
    aws.events.put_targets(Rule=RULE, Targets=[{"Id": "queue", "Arn": arn(DEAD)}])


CASE = Case(
    module=event_queue,
    prepare=prepare,
    planned=PARAMS,
    look=look,
    drifts={
        "the queue was deleted": lambda aws: aws.sqs.delete_queue(QueueUrl=url(aws, QUEUE)),
        "the dead-letter queue was deleted": lambda aws: aws.sqs.delete_queue(QueueUrl=url(aws, DEAD)),
        "the queue hides messages for another time": lambda aws: aws.sqs.set_queue_attributes(
            QueueUrl=url(aws, QUEUE), Attributes={"VisibilityTimeout": "5"}
        ),
        "anybody may send": lambda aws: aws.sqs.set_queue_attributes(
            QueueUrl=url(aws, QUEUE),
            Attributes={"Policy": json.dumps({**policy(QUEUE), "Id": "open"})},
        ),
        "nobody may send": lambda aws: aws.sqs.set_queue_attributes(
            QueueUrl=url(aws, QUEUE), Attributes={"Policy": ""}
        ),
        "the queue gives up early": lambda aws: aws.sqs.set_queue_attributes(
            QueueUrl=url(aws, QUEUE),
            Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn(DEAD), "maxReceiveCount": 1})},
        ),
        "the queue lost a tag": lambda aws: aws.sqs.untag_queue(QueueUrl=url(aws, QUEUE), TagKeys=["team"]),
        "the rule was disabled": lambda aws: aws.events.disable_rule(Name=RULE),
        "the rule was narrowed": narrow_rule,
        "the rule was deleted": lose_rule,
        "the rule lost a tag": lambda aws: aws.events.untag_resource(
            ResourceARN=f"arn:aws:events:{REGION}:{ACCOUNT_ID}:rule/{RULE}", TagKeys=["team"]
        ),
        "the rule lost its target": lambda aws: aws.events.remove_targets(Rule=RULE, Ids=["queue"]),
        "the rule's target is another": misdirect,
    },
)
