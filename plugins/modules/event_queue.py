#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: event_queue
short_description: Keep the queue of what AWS tells about the instances of a swarm
version_added: 0.1.0
description:
  - Keeps an SQS queue, its dead-letter queue and an EventBridge rule that sends events to the queue.
author:
  - The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.kept
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  queue:
    description: The queue.
    type: dict
    required: true
    suboptions: &queue
      name:
        description: Name of the queue.
        type: str
        required: true
      attributes:
        description: The attributes to set, as SQS names them. Those that are JSON documents are given as mappings.
        type: dict
        default: {}
  dead_letter_queue:
    description: Where messages go that cannot be delivered or handled.
    type: dict
    required: true
    suboptions: *queue
  rule:
    description: The EventBridge rule.
    type: dict
    required: true
    suboptions:
      name:
        description: Name of the rule.
        type: str
        required: true
      description:
        description: What it is for.
        type: str
        required: true
      pattern:
        description: Which events it sends.
        type: dict
        required: true
      queue_arn:
        description: The queue that it sends them to.
        type: str
        required: true
      dead_letter_arn:
        description: The queue for those that could not be sent.
        type: str
        required: true
"""

EXAMPLES = r"""
- name: Keep the queue of events
  swarm.aws.event_queue:
    region: eu-west-1
    cluster_name: example
    dead_letter_queue:
      name: example-events-dead
    queue:
      name: example-events
      attributes:
        VisibilityTimeout: 60
    rule:
      name: example-events
      description: What happens to the instances of the swarm
      pattern: {source: [aws.autoscaling]}
      queue_arn: arn:aws:sqs:eu-west-1:123456789012:example-events
      dead_letter_arn: arn:aws:sqs:eu-west-1:123456789012:example-events-dead
"""

RETURN = r"""
queue_url:
  description: URL of the queue. Null if it is to come.
  returned: success
  type: str
  sample: https://sqs.eu-west-1.amazonaws.com/123456789012/example-events
changes:
  description: What was, or in check mode would be, created, updated or deleted.
  returned: always
  type: list
  elements: str
  sample: [create the VPC example]
api_calls:
  description: How many requests it sent to AWS.
  returned: always
  type: int
  sample: 7
"""

from ..module_utils.provision.events import Queue, Rule, Wiring
from ..module_utils.provision.shell import TAGS_ARGUMENT, run

QUEUE = {
    "type": "dict",
    "required": True,
    "options": {
        "name": {"type": "str", "required": True},
        "attributes": {"type": "dict", "default": {}},
    },
}
ARGUMENTS = {
    "cluster_name": {"type": "str", "required": True},
    "tags": TAGS_ARGUMENT,
    "queue": QUEUE,
    "dead_letter_queue": QUEUE,
    "rule": {
        "type": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "description": {"type": "str", "required": True},
            "pattern": {"type": "dict", "required": True},
            "queue_arn": {"type": "str", "required": True},
            "dead_letter_arn": {"type": "str", "required": True},
        },
    },
}


def work(aws, params, changes):
    wiring = Wiring(aws, params["cluster_name"], params["tags"], changes)
    # First, since the queue refers to it.
    wiring.queue(Queue(**params["dead_letter_queue"]))
    url = wiring.queue(Queue(**params["queue"]))
    wiring.rule(Rule(**params["rule"]))
    return {"queue_url": url}


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
