#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: dns_zone
short_description: Check the hosted zone of a swarm
version_added: 0.1.0
description:
  - Finds the public hosted zone that the record of a swarm stands in. Changes nothing.
author:
  - The swarm.aws maintainers (@swarm-aws)
attributes:
  check_mode:
    description: Only reads.
    support: full
  diff_mode:
    description: Changes nothing.
    support: full
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  zone:
    description: Name of the zone.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Check the zone
  swarm.aws.dns_zone:
    zone: example.com
  register: dns_zone
"""

RETURN = r"""
zone_id:
  description: The zone's ID.
  returned: success
  type: str
  sample: Z0123456789ABCDEFGHIJ
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

from ..module_utils.provision import zones
from ..module_utils.provision.shell import run

ARGUMENTS = {
    "zone": {"type": "str", "required": True},
}


def work(aws, params, changes):
    return {"zone_id": zones.find(aws, params["zone"])["id"]}


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
