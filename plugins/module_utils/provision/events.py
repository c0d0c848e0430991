"""The queue that the leader's agent reads, its dead-letter queue, and the rule that fills it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping

from . import tags
from .changes import Changes
from .errors import ProvisionError
from .shell import Aws, unless_missing

TARGET = "queue"
NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
# Attributes whose value is a JSON document, which is compared as such.
DOCUMENTS = ("Policy", "RedrivePolicy", "RedriveAllowPolicy")


@dataclass(frozen=True)
class Queue:
    """A queue and the attributes it should have, as SQS names them; documents are mappings."""

    name: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """An EventBridge rule that sends what its pattern matches to a queue, and what cannot be sent to another."""

    name: str
    description: str
    pattern: Mapping[str, Any]
    queue_arn: str
    dead_letter_arn: str


class Wiring:
    """Brings queues and rules to what they should be."""

    def __init__(self, aws: Aws, cluster: str, own_tags: Mapping[str, str], changes: Changes) -> None:
        self._sqs, self._events, self._changes = aws.sqs, aws.events, changes
        self._tags = tags.of_cluster(cluster, own_tags)

    def queue(self, wanted: Queue) -> str | None:
        """Keep a queue and return its URL; None in check mode if it is to come."""
        attributes = {key: _text(value) for key, value in wanted.attributes.items()}
        found = unless_missing(lambda: self._sqs.get_queue_url(QueueName=wanted.name), *NO_QUEUE)
        if found is None:
            return self._changes.apply(
                f"queue {wanted.name}",
                None,
                {**wanted.attributes, "tags": self._tags},
                lambda: self._sqs.create_queue(QueueName=wanted.name, Attributes=attributes, tags=self._tags)[
                    "QueueUrl"
                ],
            )
        url = found["QueueUrl"]
        # In one call, since which attributes exist is for SQS to say: it leaves out those that are not set.
        present = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        before = {key: _value(key, present[key]) for key in attributes if key in present}
        after = {key: _value(key, text) for key, text in attributes.items()}
        if before != after:
            differing = [key for key in after if before.get(key) != after[key]]
            self._changes.apply(
                f"queue {wanted.name}",
                {key: before.get(key) for key in differing},
                {key: after[key] for key in differing},
                lambda: self._sqs.set_queue_attributes(
                    QueueUrl=url, Attributes={key: attributes[key] for key in differing}
                ),
            )
        tags_before = self._sqs.list_queue_tags(QueueUrl=url).get("Tags", {})
        self._changes.add_tags(
            f"queue {wanted.name}",
            tags_before,
            self._tags,
            lambda missing: self._sqs.tag_queue(QueueUrl=url, Tags=missing),
        )
        return url

    def rule(self, wanted: Rule) -> None:
        """Keep the rule and its one target."""
        self._keep_rule(wanted)
        target = {
            "Id": TARGET,
            "Arn": wanted.queue_arn,
            "DeadLetterConfig": {"Arn": wanted.dead_letter_arn},
        }
        found = unless_missing(lambda: self._events.list_targets_by_rule(Rule=wanted.name), "ResourceNotFoundException")
        before = next((one for one in found["Targets"] if one["Id"] == TARGET), None) if found else None
        if before != target:
            self._changes.apply(
                f"target of the event rule {wanted.name}", before, target, lambda: self._put_target(wanted.name, target)
            )

    def _keep_rule(self, wanted: Rule) -> None:
        found = unless_missing(lambda: self._events.describe_rule(Name=wanted.name), "ResourceNotFoundException")
        after = {"description": wanted.description, "pattern": wanted.pattern, "state": "ENABLED"}
        if found is None:
            # Tags can only be given along when the rule is new.
            self._changes.apply(
                f"event rule {wanted.name}",
                None,
                {**after, "tags": self._tags},
                lambda: self._put_rule(wanted, Tags=tags.to_list(self._tags)),
            )
            return
        before = {
            "description": found.get("Description"),
            "pattern": json.loads(found.get("EventPattern") or "{}"),
            "state": found.get("State"),
        }
        if before != after:
            self._changes.apply(f"event rule {wanted.name}", before, after, lambda: self._put_rule(wanted))
        arn = found["Arn"]
        tags_before = tags.from_list(self._events.list_tags_for_resource(ResourceARN=arn)["Tags"])
        self._changes.add_tags(
            f"event rule {wanted.name}",
            tags_before,
            self._tags,
            lambda missing: self._events.tag_resource(ResourceARN=arn, Tags=tags.to_list(missing)),
        )

    def _put_rule(self, wanted: Rule, **more: Any) -> None:
        self._events.put_rule(
            Name=wanted.name,
            Description=wanted.description,
            EventPattern=json.dumps(wanted.pattern),
            State="ENABLED",
            **more,
        )

    def _put_target(self, rule: str, target: Mapping[str, Any]) -> None:
        failed = self._events.put_targets(Rule=rule, Targets=[target]).get("FailedEntries")
        if failed:
            reason = failed[0].get("ErrorMessage")
            raise ProvisionError(f"EventBridge did not take the target of the rule {rule}: {reason}")


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(key: str, text: str) -> Any:
    return json.loads(text) if key in DOCUMENTS and text else text
