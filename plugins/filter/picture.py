# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: picture
short_description: Draw a cluster's architecture
version_added: 0.1.0
description:
  - Draws the cluster's resources as SVG, with the VPC, its zones and instances, and the resources outside the VPC.
    Hovering over a part shows its kind, name and ID. The same resources give the same picture, which follows the
    reader's light or dark scheme.
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
    description: The RV(swarm.aws.fleet_info#module:members) of M(swarm.aws.fleet_info), for the zones.
    type: list
    elements: dict
    default: []
  groups:
    description: The RV(swarm.aws.fleet_info#module:groups) of M(swarm.aws.fleet_info), for the sizes.
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
    """The picture as SVG text."""
    if not isinstance(resources, (list, tuple)) or not all(isinstance(resource, dict) for resource in resources):
        raise AnsibleFilterError("The input of picture must be the resources of swarm.aws.cluster_resources_info.")
    return draw(cluster, region, resources, members, groups, record)


class FilterModule:
    """The picture of a cluster."""

    def filters(self):
        return {"picture": picture}
