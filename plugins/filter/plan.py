# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: plan
short_description: Show the changes that site.yml would make
version_added: 0.1.0
description:
  - Combines the missing resources with the results of the roles' tasks in check mode.
author: The swarm.aws maintainers (@swarm-aws)
options:
  _input:
    description: >-
      The missing resources, as M(swarm.aws.cluster_resources_info) returns them in
      RV(swarm.aws.cluster_resources_info#module:missing).
    type: list
    elements: str
    required: true
  cluster:
    description: The cluster's configuration, as the role P(swarm.aws.check#role) returns it.
    type: dict
    required: true
  kept:
    description: Results of the tasks that create or update resources, by kind of resource.
    type: dict
    required: true
  deleted:
    description: Results of the tasks that delete resources, by kind of resource.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show the plan
  ansible.builtin.debug:
    msg: "{{ found.missing | swarm.aws.plan(cluster, {'VPC': network_vpc}) }}"
"""

RETURN = r"""
_value:
  description: Lists of resources under V(to_create), V(to_update) and V(to_delete).
  type: dict
"""

from ..module_utils.account.site_plan import plan as _plan


def plan(missing, cluster, kept, deleted=None):
    """The plan."""
    return _plan(cluster, missing, kept, deleted or {})


class FilterModule:
    """Filters for the plan."""

    def filters(self):
        return {"plan": plan}
