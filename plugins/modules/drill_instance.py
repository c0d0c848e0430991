#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_instance
short_description: Manage an instance for testing a backup of a swarm
version_added: 0.1.0
description:
  - Launches an instance from a manager group's launch template that joins no swarm and is in no Auto Scaling group.
  - Its security group does not let it reach the swarm's ports on managers.
  - A cluster has at most one drill instance. An instance of an earlier run is terminated first.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.kept
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  state:
    description: Whether the instance should exist. V(absent) waits until it is terminated.
    type: str
    choices: [present, absent]
    default: present
  launch_template:
    description: Name of a manager group's launch template.
    type: str
    required: true
  security_group:
    description: Name of its security group.
    type: str
    required: true
seealso:
  - module: swarm.aws.cluster_restore
"""

EXAMPLES = r"""
- name: Launch the drill instance
  swarm.aws.drill_instance:
    region: eu-west-1
    cluster_name: example
    launch_template: example-manager
    security_group: example-drill
"""

RETURN = r"""
instance:
  description: ID of the instance. Null if there is no instance, or in check mode.
  returned: success
  type: str
  sample: i-0123456789abcdef0
changes:
  description: What was created or deleted, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [create the instance example-drill]
"""

from ..module_utils.account.drill_instance import Scratch
from ..module_utils.aws.module_runner import TAGS_ARGUMENT, run

ARGUMENTS = {
    "cluster_name": {"type": "str", "required": True},
    "tags": TAGS_ARGUMENT,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "launch_template": {"type": "str", "required": True},
    "security_group": {"type": "str", "required": True},
}


def work(aws, params, changes):
    scratch = Scratch(aws, params["cluster_name"], params["tags"], changes)
    if params["state"] == "absent":
        scratch.absent()
        return {"instance": None}
    return {"instance": scratch.present(params["launch_template"], params["security_group"])}


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
