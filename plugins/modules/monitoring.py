#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: monitoring
short_description: Keep the alarms, the topic, the dashboard and the log group of a swarm
version_added: 0.2.0
description:
  - Keeps CloudWatch alarms, the SNS topic that they go to, a dashboard, and the collection of the metrics of Auto
    Scaling groups.
  - Keeps the log group C(/swarm/CLUSTER), to which nodes send their journals.
  - Alarms, topic and dashboard of the cluster that are not given are deleted. The log group stays.
author:
  - The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.kept
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  account_id:
    description: ID of the account.
    type: str
    required: true
  topic:
    description: The cluster's own topic. Its name is the cluster's with C(-alarms).
    type: dict
    suboptions:
      policy:
        description: Who may publish.
        type: dict
        required: true
      emails:
        description: Addresses that are subscribed, each of which has to confirm that. Other subscriptions stay.
        type: list
        elements: str
        default: []
  alarms:
    description: The alarms.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the alarm. It begins with the cluster's and a slash.
        type: str
        required: true
      settings:
        description: What C(PutMetricAlarm) takes besides, as it names it.
        type: dict
        required: true
  dashboard:
    description: Body of the dashboard. Its name is the cluster's with C(-swarm).
    type: dict
  scaling_groups:
    description: Auto Scaling groups whose sizes are measured.
    type: list
    elements: str
    default: []
  retention_days:
    description: Days for which the log group keeps what it is sent. Without it there need not be one.
    type: int
"""

EXAMPLES = r"""
- name: Keep an alarm and who is written to
  swarm.aws.monitoring:
    region: eu-west-1
    account_id: "123456789012"
    cluster_name: example
    topic:
      emails: [operator@example.com]
      policy:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal: {Service: cloudwatch.amazonaws.com}
            Action: sns:Publish
            Resource: arn:aws:sns:eu-west-1:123456789012:example-alarms
    alarms:
      - name: example/node-down
        settings:
          Namespace: swarm.aws/example
          MetricName: NodesDown
          Statistic: Minimum
          Period: 60
          EvaluationPeriods: 5
          ComparisonOperator: GreaterThanOrEqualToThreshold
          Threshold: 1
          AlarmActions: [arn:aws:sns:eu-west-1:123456789012:example-alarms]
"""

RETURN = r"""
changes:
  description: What was, or in check mode would be, created, updated or deleted.
  returned: always
  type: list
  elements: str
  sample: [create the alarm example/node-down]
api_calls:
  description: How many requests it sent to AWS.
  returned: always
  type: int
  sample: 7
"""

from ..module_utils.provision.errors import ProvisionError
from ..module_utils.provision.monitoring import Builder, alarm_prefix
from ..module_utils.provision.shell import TAGS_ARGUMENT, run

ARGUMENTS = {
    "cluster_name": {"type": "str", "required": True},
    "account_id": {"type": "str", "required": True},
    "tags": TAGS_ARGUMENT,
    "topic": {
        "type": "dict",
        "options": {
            "policy": {"type": "dict", "required": True},
            "emails": {"type": "list", "elements": "str", "default": []},
        },
    },
    "alarms": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "settings": {"type": "dict", "required": True},
        },
    },
    "dashboard": {"type": "dict"},
    "scaling_groups": {"type": "list", "elements": "str", "default": []},
    "retention_days": {"type": "int"},
}


def work(aws, params, changes):
    cluster, topic = params["cluster_name"], params["topic"]
    alarms = {one["name"]: one["settings"] for one in params["alarms"]}
    for name in alarms:
        if not name.startswith(alarm_prefix(cluster)):
            raise ProvisionError(f"The alarm {name} must have a name that begins with {alarm_prefix(cluster)}")
    builder = Builder(aws, cluster, params["account_id"], params["tags"], changes)
    # First and last of all, so that no alarm goes where there is nothing.
    if topic is not None:
        builder.topic(topic["policy"], topic["emails"])
    builder.log_group(params["retention_days"])
    builder.group_metrics(params["scaling_groups"])
    builder.alarms(alarms)
    builder.dashboard(params["dashboard"])
    if topic is None:
        builder.topic(None, [])
    return {}


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
