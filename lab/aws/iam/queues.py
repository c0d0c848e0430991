"""Whether a queue's policy lets EventBridge send to it."""

from __future__ import annotations

import json
from typing import Any

from lab.aws.iam.policy import Access, Principal, Verdict, judge
from lab.state import ACCOUNT_ID


def lets_rule_send(queue: Any, rule_arn: str) -> bool:
    """Whether events of the rule may go into moto's queue."""
    context = {"aws:SourceArn": rule_arn, "aws:SourceAccount": ACCOUNT_ID, "aws:SecureTransport": "true"}
    access = Access("sqs:SendMessage", queue.queue_arn, context)
    return judge(policy_of(queue), access, Principal(service="events.amazonaws.com")) is Verdict.ALLOW


def policy_of(queue: Any) -> list[dict[str, Any]]:
    """The queue's policy, if it has one."""
    policy = getattr(queue, "policy", None)
    if not policy:
        return []
    return [json.loads(policy) if isinstance(policy, str) else policy]
