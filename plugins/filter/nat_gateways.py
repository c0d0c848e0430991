# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: nat_gateways
short_description: Plan the NAT gateways of a cluster
version_added: 0.1.0
description:
  - Returns a NAT gateway for all zones, a gateway for each zone, or none, as C(private_nodes.nat) says.
  - If a single gateway is wanted and several exist, the first is used. Gateways of zones that are no longer in
    the configuration stay.
author: The swarm.aws maintainers (@swarm-aws)
options:
  _input:
    description: The cluster's configuration, as the role P(swarm.aws.check#role) returns it.
    type: dict
    required: true
  found:
    description: Names of the existing NAT gateways.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Allocate the elastic IP addresses
  amazon.aws.ec2_eip:
    in_vpc: true
    tags: "{{ item.tags }}"
  loop: "{{ (cluster | swarm.aws.nat_gateways(names)).wanted }}"
"""

RETURN = r"""
_value:
  description: >-
    C(wanted), the gateways with C(name), C(zone) and C(tags) each; C(by_zone), the name of each zone's gateway;
    C(unwanted), names of gateways that no zone needs.
  type: dict
"""

from ..module_utils.account.nat_gateways import planned


def nat_gateways(cluster, found):
    """The NAT gateways."""
    return planned(cluster, list(found))


class FilterModule:
    """Filters for the network."""

    def filters(self):
        return {"nat_gateways": nat_gateways}
