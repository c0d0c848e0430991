#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: node_remove
short_description: Remove the nodes of a swarm whose instances are gone
version_added: 0.1.0
description:
  - Takes nodes out of the swarm, and dead managers out of its votes, whose instance has ended as EC2 confirms, or has
    joined anew. The leader's agent does the same by itself, with the same code.
  - A node that is down is left alone as long as EC2 says that its instance runs, since it may come back.
  - No more managers are taken out than leave a quorum.
  - Runs on a manager, with the credentials of its instance profile.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager
  - swarm.aws.attributes.changes
options:
  nodes:
    description: IDs of more nodes to remove, which are down and which no instance of the cluster answers for.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait at most until demoted managers have lost their votes.
    type: int
    default: 60
seealso:
  - module: swarm.aws.cluster_info
  - module: swarm.aws.node_drain
"""

EXAMPLES = r"""
- name: Remove what EC2 confirms as gone
  swarm.aws.node_remove:
  become: true

- name: Remove a leftover that no instance answers for, too
  swarm.aws.node_remove:
    nodes: [q3n0q0jt1s5j3ac2hxn9xsk5v]
  become: true
"""

RETURN = r"""
removed:
  description: Nodes that were, or in check mode would be, removed.
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: ID of the node.
      type: str
    instance:
      description: ID of the instance that it was. Empty if it is not known.
      type: str
    reason:
      description: Why it is removed.
      type: str
kept:
  description: Nodes that look dead and are left alone, and why, a sentence each.
  returned: success
  type: list
  elements: str
  sample: ["i-0123456789abcdef0 is down, but EC2 says that it runs: it is left alone."]
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.errors import SwarmError
from ..module_utils.verbs.node_tidying import Tidying
from ..module_utils.verbs.on_manager import ARGUMENTS, control_plane, look


def tidy(cluster, params, *, check: bool, now=time.monotonic, sleep=time.sleep) -> dict:
    """Do the module's work through the control plane and return its result. Raises SwarmError."""
    work = Tidying(cluster.apply, lambda: look(cluster), params["nodes"])
    deadline = now() + params["timeout"]
    while work.step(check=check) and not check:
        if now() >= deadline:
            raise SwarmError(f"After {params['timeout']} s there still is {work.awaited}.")
        sleep(1)
    removed = [
        {"node": removal.node, "instance": removal.instance, "reason": removal.reason} for removal in work.removed
    ]
    diff = [
        {
            "before_header": f"node {removal['node']}",
            "after_header": "",
            "before": f"{removal['reason']}\n",
            "after": "",
        }
        for removal in removed
    ]
    return {"changed": bool(removed), "removed": removed, "kept": work.kept, "diff": diff}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "nodes": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 60},
            **ARGUMENTS,
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**tidy(control_plane(module.params), module.params, check=module.check_mode))
    except SwarmError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
