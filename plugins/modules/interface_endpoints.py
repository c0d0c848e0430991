#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: interface_endpoints
short_description: Manage the interface endpoints for the private nodes of a swarm
version_added: 0.1.0
description:
  - Creates or updates an interface endpoint with private DNS for each service, with an address in each private subnet
    whose zone has the service, and waits until it is available.
  - Deletes the cluster's interface endpoints for other services, and waits until they are gone.
  - C(amazon.aws.ec2_vpc_endpoint) only tags an existing endpoint. This module also adds a new zone or changes the
    security group.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.kept
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  vpc_id:
    description: ID of the VPC. May be missing in check mode if it does not exist yet.
    type: str
  subnets:
    description: ID of the private subnet of each zone. Other subnets of an endpoint stay.
    type: dict
    default: {}
  security_group:
    description: ID of the security group that lets the nodes in. May be missing in check mode if it does not exist yet.
    type: str
  services:
    description: >-
      The services, by the last part of their names in EC2, such as V(ecr.api). V(route53) is global, and outside of
      C(us-east-1) the caller needs the permission C(vpce:AllowMultiRegion) for it.
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
  description: ID of the endpoint for each service. Null if it does not exist yet in check mode.
  returned: success
  type: dict
  sample: {"ec2": "vpce-0123456789abcdef0"}
changes:
  description: What was created, updated or deleted, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [create the interface endpoint example-ec2]
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
