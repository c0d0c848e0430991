#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudwatch
short_description: Manage the CloudWatch alarms and the dashboard of a swarm
version_added: 0.1.0
description:
  - Creates and updates alarms on metrics and on metric math, with their tags, and the dashboard C(CLUSTER-swarm).
  - Deletes other alarms that have the cluster's tag.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.kept
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  alarms:
    description: The alarms.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the alarm. It begins with the cluster's name and a slash.
        type: str
        required: true
      settings:
        description: The other parameters of C(PutMetricAlarm).
        type: dict
        required: true
  dashboard:
    description: Body of the dashboard. Without it the dashboard is deleted.
    type: dict
"""

EXAMPLES = r"""
- name: Create an alarm and the dashboard
  swarm.aws.cloudwatch:
    region: eu-west-1
    cluster_name: example
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
    dashboard:
      widgets:
        - type: text
          x: 0
          y: 0
          properties:
            markdown: "# The swarm"
"""

RETURN = r"""
names:
  description: Names of the alarms in O(alarms).
  returned: success
  type: list
  elements: str
  sample: [example/node-down]
changes:
  description: What was created, updated or deleted, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [create the alarm example/node-down]
api_calls:
  description: Number of requests to AWS.
  returned: always
  type: int
"""

from ..module_utils.account.cloudwatch import keep_alarms, keep_dashboard
from ..module_utils.aws.module_runner import TAGS_ARGUMENT, run

ARGUMENTS = {
    "cluster_name": {"type": "str", "required": True},
    "tags": TAGS_ARGUMENT,
    "alarms": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "settings": {"type": "dict", "required": True},
        },
    },
    "dashboard": {"type": "dict"},
}


def work(aws, params, changes):
    alarms = {alarm["name"]: alarm["settings"] for alarm in params["alarms"]}
    keep_alarms(aws, params["cluster_name"], params["tags"], alarms, changes)
    keep_dashboard(aws, params["cluster_name"], params["dashboard"], changes)
    return {"names": list(alarms)}


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
