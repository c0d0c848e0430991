# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: monthly_cost
short_description: Estimate the monthly cost of a swarm
version_added: 0.1.0
description:
  - Estimates the monthly cost of a cluster's node groups, key, NAT gateways, interface endpoints, Cloud Map service,
    metrics and alarms from a price table.
  - Counts the desired instances with their volumes and public addresses, at on-demand prices, without traffic.
positional: _input, prices
options:
  _input:
    description: The cluster's configuration, as the role P(swarm.aws.check#role) leaves it.
    type: dict
    required: true
  prices:
    description: A price table like C(roles/account/files/prices.yml).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the monthly cost
  ansible.builtin.debug:
    msg: "{{ (cluster | swarm.aws.monthly_cost(prices)).total }}"
"""

RETURN = r"""
_value:
  description:
    - RV(ignore:groups) with RV(ignore:name), RV(ignore:count), RV(ignore:type), RV(ignore:spot),
      RV(ignore:instances), RV(ignore:volumes), RV(ignore:addresses) and RV(ignore:total) each,
      RV(ignore:others) by their names, RV(ignore:total), RV(ignore:rows) of strings, RV(ignore:currency),
      RV(ignore:as_of), RV(ignore:left_out), and RV(ignore:unpriced), which is not counted.
  type: dict
"""

from ansible.errors import AnsibleFilterError

from ..module_utils.account.prices import monthly


def monthly_cost(cluster, prices):
    try:
        return monthly(cluster, prices)
    except (KeyError, TypeError, AttributeError) as error:
        raise AnsibleFilterError(
            f"The price table does not match roles/account/files/prices.yml: {error!r} is missing or invalid."
        ) from error


class FilterModule:
    """The collection's filters."""

    def filters(self):
        return {"monthly_cost": monthly_cost}
