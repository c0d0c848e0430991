# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: published
short_description: Show where clients find what a stack publishes
version_added: 0.1.0
description:
  - Returns the URL of each port that a stack publishes, by the cluster's record, its load balancer or the address of a
    node. The port is shown alone if it is not known to speak HTTP.
  - Warns of ports that no node group opens, and of clients with IPv6 that the routing mesh does not answer.
author: The swarm.aws maintainers (@swarm-aws)
options:
  _input:
    description: RV(swarm.aws.stack_converged#module:services).
    type: dict
    required: true
  cluster:
    description: The cluster's C(node_groups), C(published_ports), C(dns) and C(monitoring).
    type: dict
    required: true
  hosts:
    description: The variables of the hosts, C(hostvars).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the URLs
  ansible.builtin.debug:
    msg: "{{ shop.services | swarm.aws.published(cluster, hostvars) }}"
"""

RETURN = r"""
_value:
  description: Where each port is.
  type: list
  elements: str
  sample: ["https://swarm.example.com/ (shop_web)"]
"""

from ansible.utils.display import Display

from ..module_utils.stack.published_ports import Published


def published(services, cluster, hosts):
    """The places of the published ports; warns of ports that clients do not reach."""
    found = Published(services, cluster, hosts)
    for sentence in found.warnings():
        Display().warning(sentence)
    return list(found.places())


class FilterModule:
    """Filters for published ports."""

    def filters(self):
        return {"published": published}
