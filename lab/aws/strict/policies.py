"""Returns resource policies as AWS stores them: equal, but not the text that was given."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.kms.models import KmsBackend
from moto.s3.models import S3Backend
from moto.sns.models import Topic
from moto.sqs.models import Queue

from lab.aws import account
from lab.aws.grafts import Grafts


def install(grafts: Grafts) -> None:
    """Normalize the policies of buckets, queues, topics and keys. IAM returns its documents as they were given."""
    if not account.current.normalized_policies:
        return
    attributes: Any = vars(Queue)["attributes"].fget
    policy: Any = vars(Topic)["policy"]
    grafts.around(S3Backend, "get_bucket_policy", _normalized)
    grafts.around(KmsBackend, "get_key_policy", _normalized)
    grafts.attribute(Queue, "attributes", property(lambda queue: _of_queue(attributes(queue))))
    grafts.attribute(Topic, "policy", property(lambda topic: _text(policy.fget(topic)), policy.fset))


def _normalized(get: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    return _text(get(*arguments, **named))


def _of_queue(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: _text(value) if key == "Policy" else value for key, value in attributes.items()}


def _text(policy: Any) -> Any:
    if not policy:
        return policy
    document = json.loads(policy)
    statements = document.get("Statement", [])
    statements = [_value(statement) for statement in (statements if isinstance(statements, list) else [statements])]
    text = json.dumps({**document, "Statement": statements})
    return text.encode() if isinstance(policy, bytes) else text


def _value(value: Any) -> Any:
    """In another order, and a list of a single string as that string."""
    if isinstance(value, dict):
        return {key: _value(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return value[0] if len(value) == 1 else value[::-1]
    return value
