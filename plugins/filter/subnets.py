# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: subnets
short_description: Plan the subnets of a cluster
version_added: 0.1.0
description:
  - Returns a public subnet for each zone and, if nodes are private, a private subnet too, each with its part of the
    VPC's ranges.
  - An existing subnet keeps its ranges, even if zones are added or removed. A new subnet gets the first free ranges.
author: The swarm.aws maintainers (@swarm-aws)
options:
  _input:
    description: The cluster's configuration, as the role P(swarm.aws.check#role) returns it.
    type: dict
    required: true
  found:
    description: The existing subnets, as C(amazon.aws.ec2_vpc_subnet_info) returns them.
    type: list
    elements: dict
    required: true
  ipv6_range:
    description: The VPC's IPv6 range. Empty if it has no range yet.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Create the subnets
  amazon.aws.ec2_vpc_subnet:
    vpc_id: "{{ vpc_id }}"
    az: "{{ item.zone }}"
    cidr: "{{ item.cidr }}"
    ipv6_cidr: "{{ item.ipv6_cidr }}"
  loop: "{{ cluster | swarm.aws.subnets(found.subnets) }}"
"""

RETURN = r"""
_value:
  description: The subnets, with C(name), C(zone), C(private), C(cidr), C(ipv6_cidr) and C(tags) each.
  type: list
  elements: dict
"""

from ansible.errors import AnsibleFilterError

from ..module_utils.account.subnets import planned
from ..module_utils.aws.provision_error import ProvisionError


def subnets(cluster, found, ipv6_range=""):
    """The subnets."""
    try:
        return planned(cluster, found, ipv6_range)
    except ProvisionError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Filters for the network."""

    def filters(self):
        return {"subnets": subnets}
