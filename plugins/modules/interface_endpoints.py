#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: interface_endpoints
short_description: Keep the interface endpoints by which the private nodes of a swarm reach AWS
version_added: 0.2.0
description:
  - Keeps an interface endpoint with private DNS for each of the services, with an address in each private subnet whose
    zone the service is in, and waits until it is available.
  - Deletes the cluster's interface endpoints for other services, and once all are there its NAT gateways with their
    addresses and the routes that lead to them.
  - Without any services it deletes the endpoints and their security group, since then NAT gateways lead out.
  - M(swarm.aws.network) makes the subnets, and the NAT gateways before this module is told to delete endpoints, so that
    nodes have a way to AWS at every moment.
author:
  - The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.kept
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  vpc_id:
    description: The VPC. Without it, which is for check mode, it is to come.
    type: str
  subnets:
    description: The private subnet of each zone. Those of others that an endpoint is in stay.
    type: dict
    required: true
  security_group:
    description: ID of the security group that lets the nodes in. Without it, which is for check mode, it is to come.
    type: str
  services:
    description: >-
      The services, by the last part of the names that EC2 has for them, such as V(ecr.api). V(route53) is one for all
      regions, for which the caller needs the right to C(vpce:AllowMultiRegion) outside of C(us-east-1).
    type: list
    elements: str
    required: true
seealso:
  - module: swarm.aws.network
  - module: swarm.aws.security_groups
"""

EXAMPLES = r"""
- name: Keep the endpoints
  swarm.aws.interface_endpoints:
    region: eu-west-1
    cluster_name: example
    vpc_id: "{{ network_built.vpc_id }}"
    subnets: "{{ network_built.private_subnets }}"
    security_group: "{{ network_firewall.ids['example-endpoints'] }}"
    services: [autoscaling, ec2, sqs]
"""

RETURN = r"""
endpoint_ids:
  description: The endpoint for each service. Null if it is to come.
  returned: success
  type: dict
  sample: {"ec2": "vpce-0123456789abcdef0"}
changes:
  description: What was, or in check mode would be, created, updated or deleted.
  returned: always
  type: list
  elements: str
  sample: [create the interface endpoint example-ec2]
api_calls:
  description: How many requests it sent to AWS.
  returned: always
  type: int
  sample: 7
"""

from ..module_utils.provision.endpoints import Builder, Endpoints
from ..module_utils.provision.shell import TAGS_ARGUMENT, run

ARGUMENTS = {
    "cluster_name": {"type": "str", "required": True},
    "tags": TAGS_ARGUMENT,
    "vpc_id": {"type": "str"},
    "subnets": {"type": "dict", "required": True},
    "security_group": {"type": "str"},
    "services": {"type": "list", "elements": "str", "required": True},
}


def work(aws, params, changes):
    wanted = Endpoints(
        params["cluster_name"],
        params["tags"],
        params["vpc_id"],
        params["subnets"],
        params["security_group"],
        params["services"],
    )
    return Builder(aws, wanted, changes).build()


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
