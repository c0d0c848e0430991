"""EventBridge: sends events to the queues of the rules that match."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Sequence
from typing import Any

from lab.aws import world
from lab.aws.iam.policy import Access, lets, queue_policies
from lab.state import ACCOUNT_ID, REGION

log = logging.getLogger(__name__)


def publish(source: str, detail_type: str, detail: dict[str, Any], resources: Sequence[str] = ()) -> None:
    """Put an event on the default bus and send it to every target of every enabled rule that matches.

    :param source: such as ``aws.ec2``.
    :param resources: the ARNs of the event's resources.
    """
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT_ID,
        "time": world.timestamp(),
        "region": REGION,
        "resources": list(resources),
        "detail": detail,
    }
    with world.LOCK:
        for rule in list(world.events().event_buses["default"].rules.values()):
            if rule.state == "ENABLED" and rule.event_pattern.matches_event(event):
                for target in list(rule.targets):
                    _send(rule, target, event)
        world.CHANGED.notify_all()


def _send(rule: Any, target: dict[str, Any], event: dict[str, Any]) -> None:
    body = json.dumps(event)
    if _put(target["Arn"], rule.arn, body):
        return
    dead_letters = target.get("DeadLetterConfig", {}).get("Arn")
    if not dead_letters or not _put(dead_letters, rule.arn, body):
        log.warning("an event of rule %s was lost: %s does not accept it", rule.name, target["Arn"])


def _put(queue_arn: str, rule_arn: str, body: str) -> bool:
    """Send to a queue. Returns False if it does not exist or its policy does not allow EventBridge to send."""
    service, name = queue_arn.split(":")[2], queue_arn.rsplit(":", 1)[-1]
    if service != "sqs":
        log.warning("the lab delivers events to SQS only, not to %s", queue_arn)
        return False
    queue = world.sqs().queues.get(name)
    if queue is None:
        return False
    sending = Access("sqs:SendMessage", queue.queue_arn)
    if not lets(queue_policies(queue), "events.amazonaws.com", sending, rule_arn):
        return False
    world.sqs().send_message(queue_name=name, message_body=body)
    return True


def instance_arn(instance_id: str) -> str:
    return f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:instance/{instance_id}"
