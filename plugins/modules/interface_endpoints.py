#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: interface_endpoints
short_description: Keep the interface endpoints by which the private nodes of a swarm reach AWS
version_added: 0.1.0
description:
  - Keeps an interface endpoint with private DNS for each of the services, with an address in each private subnet whose
    zone the service is in, and waits until it is available.
  - Deletes the cluster's interface endpoints for other services, and waits until they are gone.
  - C(amazon.aws.ec2_vpc_endpoint) only tags an endpoint that is there. A zone that is added to the cluster, or
    another security group, is a change that this module makes.
author: The swarm.aws maintainers (@swarm-aws)
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
    default: {}
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
"""

EXAMPLES = r"""
- name: Create the interface endpoints
  swarm.aws.interface_endpoints:
    cluster_name: example
    vpc_id: vpc-0123456789abcdef0
    subnets: {eu-west-1a: subnet-0123456789abcdef0}
    security_group: sg-0123456789abcdef0
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
"""

from ..module_utils.account.interface_endpoints import EndpointPlan, Endpoints
from ..module_utils.aws.module_runner import TAGS_ARGUMENT, run

ARGUMENTS = {
    "cluster_name": {"type": "str", "required": True},
    "tags": TAGS_ARGUMENT,
    "vpc_id": {"type": "str"},
    "subnets": {"type": "dict", "default": {}},
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
    return EndpointPlan(aws, wanted, changes).build()


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
