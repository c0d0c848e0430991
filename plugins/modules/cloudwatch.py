#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudwatch
short_description: Manage the CloudWatch alarms and the dashboard of a swarm
version_added: 0.1.0
description:
  - Creates and updates the alarms on a cluster, with their tags, and its dashboard.
  - Deletes other alarms that have the cluster's tag. If the configuration asks for no alarms, deletes all and the
    dashboard.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.attributes.changes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  configuration:
    description: The cluster's configuration, as the role P(swarm.aws.check#role) returns it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Create the alarms and the dashboard
  swarm.aws.cloudwatch:
    region: eu-west-1
    configuration: "{{ cluster }}"
"""

RETURN = r"""
changes:
  description: What was created, updated or deleted, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [create the alarm example/node-down]
"""

from ..module_utils.account.cloudwatch import keep_alarms, keep_dashboard
from ..module_utils.account.monitoring import alarms_and_dashboard
from ..module_utils.aws.module_runner import run

ARGUMENTS = {"configuration": {"type": "dict", "required": True}}


def work(aws, params, changes):
    cluster = params["configuration"]
    alarms, dashboard = alarms_and_dashboard(cluster)
    keep_alarms(aws, cluster["cluster_name"], cluster["tags"], alarms, changes)
    keep_dashboard(aws, cluster["names"]["dashboard"], dashboard, changes)
    return {}


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
