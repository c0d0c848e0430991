# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: monitoring
short_description: The alarms and the dashboard of a cluster
version_added: 0.1.0
description:
  - Returns the CloudWatch alarms and the dashboard for a cluster's configuration.
author: The swarm.aws maintainers (@swarm-aws)
options:
  _input:
    description: The cluster's configuration, as the role P(swarm.aws.check#role) leaves it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Create the alarms
  swarm.aws.cloudwatch_alarms:
    cluster_name: "{{ cluster.cluster_name }}"
    alarms: "{{ (cluster | swarm.aws.monitoring).alarms }}"
"""

RETURN = r"""
_value:
  description: >-
    C(alarms), as M(swarm.aws.cloudwatch_alarms) takes them, and C(dashboard), the body that
    M(swarm.aws.cloudwatch_dashboard) takes.
  type: dict
"""

from ..module_utils.account.monitoring import MonitoringResources


def monitoring(cluster):
    """The alarms and the dashboard."""
    found = MonitoringResources(cluster)
    return {"alarms": list(found.alarms()), "dashboard": found.dashboard()}


class FilterModule:
    """Filters for CloudWatch."""

    def filters(self):
        return {"monitoring": monitoring}
