# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: picture
short_description: A cluster's resources as an architecture picture
version_added: 0.1.0
description:
  - Makes an SVG of what stands in the account, with the VPC, its zones and instances, and what is beside it. Whoever
    points at a part sees its kind, name and ID. It is the same for the same account, and follows the reader's light or
    dark scheme.
author: The swarm.aws maintainers (@swarm-aws)
options:
  _input:
    description: The RV(swarm.aws.cluster_resources_info#module:resources) of M(swarm.aws.cluster_resources_info).
    type: list
    elements: dict
    required: true
  cluster:
    description: Name of the cluster.
    type: str
    required: true
  region:
    description: Its region.
    type: str
    required: true
  members:
    description: The RV(swarm.aws.fleet_info#module:members) of M(swarm.aws.fleet_info), which know the zones.
    type: list
    elements: dict
    default: []
  groups:
    description: The RV(swarm.aws.fleet_info#module:groups) of M(swarm.aws.fleet_info), which know the sizes.
    type: list
    elements: dict
    default: []
  record:
    description: The RV(swarm.aws.fleet_info#module:record) of M(swarm.aws.fleet_info).
    type: dict
"""

EXAMPLES = r"""
- name: Draw the cluster
  ansible.builtin.copy:
    content: >-
      {{ found.resources | swarm.aws.picture(cluster='example', region='eu-west-1', members=fleet.members) }}
    dest: cluster.svg
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The picture.
  type: str
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.swarm.aws.plugins.module_utils.account.picture import draw


def picture(resources, cluster, region, members=(), groups=(), record=None):
    """The picture as a text."""
    if not isinstance(resources, (list, tuple)) or not all(isinstance(resource, dict) for resource in resources):
        raise AnsibleFilterError("picture takes the resources that swarm.aws.cluster_resources_info found.")
    return draw(cluster, region, resources, members, groups, record)


class FilterModule:
    """The picture of a cluster."""

    def filters(self):
        return {"picture": picture}
