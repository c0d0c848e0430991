# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: monthly_cost
short_description: Estimate the monthly cost of a swarm
version_added: 0.1.0
description:
  - Estimates the monthly cost of a cluster's node groups and key from a table of prices.
  - Counts the desired instances with their volumes and public addresses, at on-demand prices. Traffic is not included.
positional: _input, region, prices, monitoring, nat_gateways, cloud_map, endpoints
options:
  _input:
    description: The node groups of the configuration, with defaults.
    type: list
    elements: dict
    required: true
  region:
    description: The region.
    type: str
    required: true
  prices:
    description: A table of prices like C(roles/account/files/prices.yml).
    type: dict
    required: true
  monitoring:
    description: The configuration's key of that name. Without it, metrics and alarms are not counted.
    type: dict
  nat_gateways:
    description: Number of NAT gateways, if nodes have no public addresses.
    type: int
  cloud_map:
    description: Whether the nodes of groups with C(dns) are instances of a Cloud Map service.
    type: bool
  endpoints:
    description: Number of addresses of interface endpoints, which is their number times the number of zones.
    type: int
"""

EXAMPLES = r"""
- name: Show the monthly cost
  ansible.builtin.debug:
    msg: "{{ (cluster.node_groups | swarm.aws.monthly_cost(cluster.region, prices)).total }}"
"""

RETURN = r"""
_value:
  description:
    - RV(ignore:groups) with RV(ignore:name), RV(ignore:count), RV(ignore:type), RV(ignore:spot),
      RV(ignore:instances), RV(ignore:volumes), RV(ignore:addresses) and RV(ignore:total) each,
      RV(ignore:key), RV(ignore:monitoring), RV(ignore:nat), RV(ignore:endpoints), RV(ignore:cloud_map),
      RV(ignore:total), RV(ignore:currency), RV(ignore:as_of), RV(ignore:left_out), and RV(ignore:unpriced), which is
      not counted.
  type: dict
"""

from ansible.errors import AnsibleFilterError

from ..module_utils.account.prices import monthly


def monthly_cost(groups, region, prices, monitoring=None, nat_gateways=None, cloud_map=False, endpoints=0):
    try:
        return monthly(groups, region, prices, monitoring, nat_gateways, cloud_map=cloud_map, endpoints=endpoints)
    except (KeyError, TypeError, AttributeError) as error:
        raise AnsibleFilterError(
            f"The table of prices is not like roles/account/files/prices.yml: {error!r} is missing or invalid."
        ) from error


class FilterModule:
    """The collection's filters."""

    def filters(self):
        return {"monthly_cost": monthly_cost}
