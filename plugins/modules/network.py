#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: network
short_description: Keep the network of a swarm
version_added: 0.1.0
description:
  - Keeps a VPC with a public subnet in each zone, an internet gateway, the route to it and a gateway endpoint for S3.
  - Keeps a private subnet in each zone too, if that is asked for, with a route to a NAT gateway in a public one.
  - All of it is found by the tag C(swarm.aws/cluster), so that a run that was interrupted is finished by the next one.
  - It is one module because a run of a module costs more than all the questions that this one asks.
author:
  - The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.kept
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  vpc_cidr:
    description: Address range of the VPC, from which each zone gets a part. It cannot be changed later.
    type: str
    required: true
  ipv6:
    description:
      - Whether the VPC and its subnets have an IPv6 range too, one of Amazon's, and a route to the internet gateway.
      - A range that they have once stays when this is turned off, since instances may have addresses of it.
    type: bool
    default: false
  nat:
    description:
      - How many NAT gateways private subnets have, V(one) for all or one for each zone. Without it there are public
        subnets alone.
      - With V(none) they have no way out but endpoints, which M(swarm.aws.interface_endpoints) keeps. NAT gateways that
        there are stay until it has made them.
      - Of V(one), the failure of its zone cuts the nodes of all zones off from what is outside of the VPC.
      - Private subnets that there are once stay with all that they need when this is turned off, since instances may be
        in them.
    type: str
    choices: [one, per_zone, none]
  zones:
    description: Availability zones. The subnet of a zone that is no longer named stays.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Build the network
  swarm.aws.network:
    region: eu-west-1
    cluster_name: example
    vpc_cidr: 10.20.0.0/16
    zones: [eu-west-1a, eu-west-1b, eu-west-1c]
  register: network
"""

RETURN = r"""
vpc_id:
  description: The VPC. Null if it is to come, as the other IDs are.
  returned: success
  type: str
  sample: vpc-0123456789abcdef0
subnets:
  description: The public subnet of each zone.
  returned: success
  type: dict
  sample: {"eu-west-1a": "subnet-0123456789abcdef0"}
private_subnets:
  description: The private subnet of each zone; empty without O(nat).
  returned: success
  type: dict
  sample: {"eu-west-1a": "subnet-0123456789abcdef1"}
node_subnets:
  description: The subnets that nodes are to be in, the private ones if there are to be any.
  returned: success
  type: dict
  sample: {"eu-west-1a": "subnet-0123456789abcdef1"}
internet_gateway_id:
  description: The internet gateway.
  returned: success
  type: str
  sample: igw-0123456789abcdef0
nat_gateway_ids:
  description: The NAT gateway of each zone; empty without O(nat), and of V(none).
  returned: success
  type: dict
  sample: {"eu-west-1a": "nat-0123456789abcdef0"}
route_table_id:
  description: The public subnets' route table.
  returned: success
  type: str
  sample: rtb-0123456789abcdef0
s3_endpoint_id:
  description: The gateway endpoint for S3.
  returned: success
  type: str
  sample: vpce-0123456789abcdef0
changes:
  description: What was, or in check mode would be, created, updated or deleted.
  returned: always
  type: list
  elements: str
  sample: [create the VPC example]
api_calls:
  description: How many requests it sent to AWS.
  returned: always
  type: int
  sample: 7
"""

from ..module_utils.provision.nat import NONE, ONE, PER_ZONE
from ..module_utils.provision.network import Builder, Network
from ..module_utils.provision.shell import TAGS_ARGUMENT, run

ARGUMENTS = {
    "cluster_name": {"type": "str", "required": True},
    "tags": TAGS_ARGUMENT,
    "vpc_cidr": {"type": "str", "required": True},
    "zones": {"type": "list", "elements": "str", "required": True},
    "ipv6": {"type": "bool", "default": False},
    "nat": {"type": "str", "choices": [ONE, PER_ZONE, NONE]},
}


def work(aws, params, changes):
    wanted = Network(
        params["cluster_name"], params["vpc_cidr"], params["zones"], params["tags"], params["ipv6"], params["nat"]
    )
    return Builder(aws, wanted, changes).build()


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
