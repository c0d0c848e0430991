#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: security_groups
short_description: Keep security groups that refer to each other
version_added: 0.1.0
description:
  - Keeps security groups and the rules of what may come in. Rules may name another of the groups, or their own.
  - Rules that are not declared are removed. What may go out is left alone.
author:
  - The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.kept
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  vpc_id:
    description: The VPC. In check mode it may be left out if it is to come.
    type: str
  groups:
    description: The security groups.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the group.
        type: str
        required: true
      description:
        description: What it is for. It cannot be changed later.
        type: str
        required: true
      rules:
        description: Who may reach which port.
        type: list
        elements: dict
        default: []
        suboptions:
          protocol:
            description: The protocol.
            type: str
            choices: [tcp, udp]
            default: tcp
          port:
            description: The port.
            type: int
            required: true
          cidr:
            description: Address range that may reach it, IPv4 or IPv6.
            type: str
          group:
            description: Name of one of the groups, whose instances may reach it.
            type: str
          description:
            description: What it is for.
            type: str
            required: true
"""

EXAMPLES = r"""
- name: Let the nodes of the swarm reach each other
  swarm.aws.security_groups:
    region: eu-west-1
    cluster_name: example
    vpc_id: vpc-0123456789abcdef0
    groups:
      - name: example-member
        description: Nodes of the swarm
        rules:
          - {port: 7946, group: example-member, description: gossip}
          - {port: 80, cidr: 0.0.0.0/0, description: the stack}
      - name: example-manager
        description: Managers of the swarm
        rules:
          - {port: 2377, group: example-member, description: swarm management}
"""

RETURN = r"""
ids:
  description: IDs of the groups by their names. Null for those to come.
  returned: success
  type: dict
  sample: {"example-member": "sg-0123456789abcdef0"}
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

from ..module_utils.provision.errors import ProvisionError
from ..module_utils.provision.security import Firewall
from ..module_utils.provision.shell import TAGS_ARGUMENT, run

RULE = {
    "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
    "port": {"type": "int", "required": True},
    "cidr": {"type": "str"},
    "group": {"type": "str"},
    "description": {"type": "str", "required": True},
}
ARGUMENTS = {
    "cluster_name": {"type": "str", "required": True},
    "tags": TAGS_ARGUMENT,
    "vpc_id": {"type": "str"},
    "groups": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "description": {"type": "str", "required": True},
            "rules": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": RULE,
                "mutually_exclusive": [["cidr", "group"]],
                "required_one_of": [["cidr", "group"]],
            },
        },
    },
}


def work(aws, params, changes):
    if not params["vpc_id"] and not changes.check_mode:
        raise ProvisionError("vpc_id is missing: give the VPC that the security groups are to be in.")
    firewall = Firewall(aws, params["cluster_name"], params["vpc_id"], params["tags"], changes)
    return {"ids": firewall.build(params["groups"])}


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
