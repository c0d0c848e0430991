#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: node_roles
short_description: Keep the IAM roles of the nodes of a swarm
version_added: 0.1.0
description:
  - Keeps IAM roles, each with one inline policy named C(swarm) and an instance profile of the role's name.
  - Policies that others attached to the roles stay.
author:
  - The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.kept
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  trust:
    description: Who may take the roles on.
    type: dict
    required: true
  roles:
    description: The roles.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the role and of its instance profile.
        type: str
        required: true
      description:
        description: What the role is for.
        type: str
        required: true
      policy:
        description: What the role may do.
        type: dict
        required: true
"""

EXAMPLES = r"""
- name: Keep the role of workers
  swarm.aws.node_roles:
    cluster_name: example
    trust: "{{ lookup('ansible.builtin.template', 'trust.json.j2') | from_json }}"
    roles:
      - name: example-worker
        description: Workers of the swarm example
        policy: "{{ lookup('ansible.builtin.template', 'worker.json.j2') | from_json }}"
"""

RETURN = r"""
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

from ..module_utils.provision.identity import Identities
from ..module_utils.provision.shell import TAGS_ARGUMENT, run

ARGUMENTS = {
    "cluster_name": {"type": "str", "required": True},
    "tags": TAGS_ARGUMENT,
    "trust": {"type": "dict", "required": True},
    "roles": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "description": {"type": "str", "required": True},
            "policy": {"type": "dict", "required": True},
        },
    },
}


def work(aws, params, changes):
    identities = Identities(aws, params["cluster_name"], params["trust"], params["tags"], changes)
    for role in params["roles"]:
        identities.keep(role["name"], role["description"], role["policy"])
    return {}


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
