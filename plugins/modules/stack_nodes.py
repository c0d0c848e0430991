#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_nodes
short_description: Show whether a swarm has all of its nodes
version_added: 0.1.0
description:
  - Returns whether this host is a working manager, and which of the configured nodes its swarm lacks.
  - It does not wait or fail if the swarm is incomplete, so that a task can wait with C(until).
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.attributes.reads
options:
  groups:
    description: The node groups, as the role P(swarm.aws.check#role) returns them in the cluster's configuration.
    type: list
    elements: dict
    default: []
  sizes:
    description: The RV(swarm.aws.node_group_size#module:groups) of scaled groups. Their sizes replace C(desired).
    type: list
    elements: dict
    default: []
requirements:
  - docker (Python SDK)
"""

EXAMPLES = r"""
- name: Wait until the swarm is complete
  swarm.aws.stack_nodes:
    groups: "{{ node_groups }}"
  register: swarm
  until: swarm.complete
  retries: 60
  delay: 5
"""

RETURN = r"""
manager:
  description: Whether this host is a working manager.
  returned: success
  type: bool
complete:
  description: Whether this host is a working manager and its swarm has all nodes.
  returned: success
  type: bool
missing:
  description: What is missing, a phrase for each group.
  returned: success
  type: list
  elements: str
  sample: ["1 of 3 nodes of group 'manager' (manager), 1 of them joined but not ready"]
msg:
  description: How many nodes of the groups the swarm has, and what is missing, as a sentence.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.stack import required_nodes
from ..module_utils.stack.stack_engine import StackEngine
from ..module_utils.stack.stack_error import StackError


def main() -> None:
    module = AnsibleModule(
        # Groups have other keys too, so their keys are not validated.
        argument_spec={
            "groups": {"type": "list", "elements": "dict", "default": []},
            "sizes": {"type": "list", "elements": "dict", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        engine = StackEngine(module.run_command)
        reason = engine.manages()
        groups = required_nodes.scaled(module.params["groups"], module.params["sizes"])
        nodes = [] if reason else engine.nodes()
    except StackError as error:
        reason, groups, nodes = str(error), [], []
    missing = [] if reason else required_nodes.missing(nodes, groups)
    module.exit_json(
        changed=False,
        manager=not reason,
        complete=not reason and not missing,
        missing=missing,
        msg=reason or required_nodes.told(nodes, groups),
    )


if __name__ == "__main__":
    main()
