#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudwatch_dashboard
short_description: Create a CloudWatch dashboard
version_added: 0.1.0
description:
  - Creates, updates or deletes a dashboard, for which amazon.aws and community.aws have no module.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.attributes.changes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  name:
    description: Name of the dashboard.
    type: str
    required: true
  body:
    description: Body of the dashboard. Without O(body) the dashboard is deleted.
    type: dict
"""

EXAMPLES = r"""
- name: Create a dashboard
  swarm.aws.cloudwatch_dashboard:
    region: eu-west-1
    name: example-swarm
    body:
      widgets:
        - type: text
          x: 0
          y: 0
          properties:
            markdown: "# The swarm"
"""

RETURN = r"""
changes:
  description: What was created, updated or deleted, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [create the dashboard example-swarm]
api_calls:
  description: Number of requests to AWS.
  returned: always
  type: int
"""

from ..module_utils.account.cloudwatch import keep_dashboard
from ..module_utils.aws.module_runner import run

ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "body": {"type": "dict"},
}


def work(aws, params, changes):
    keep_dashboard(aws, params["name"], params["body"], changes)
    return {}


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
