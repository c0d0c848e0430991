#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: node_remove
short_description: Remove the nodes of terminated instances from a swarm
version_added: 0.1.0
description:
  - Deletes nodes from the swarm, and demotes managers first, if EC2 confirms that their instance is terminated or the
    instance has joined as another node. The leader's agent does the same by itself, with the same code.
  - A node that is down is left alone as long as EC2 says that its instance runs, since it may come back.
  - Managers are only removed if a quorum is left.
  - Runs on a manager, with the credentials of its instance profile.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager
  - swarm.aws.attributes.changes
options:
  nodes:
    description: IDs of other nodes to remove, which are down and have no instance in the cluster.
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
- name: Remove the nodes of terminated instances
  swarm.aws.node_remove:
  become: true

- name: Remove a node without an instance too
  swarm.aws.node_remove:
    nodes: [q3n0q0jt1s5j3ac2hxn9xsk5v]
  become: true
"""

RETURN = r"""
removed:
  description: Nodes that were removed, or would be in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: ID of the node.
      type: str
    instance:
      description: ID of its instance. Empty if unknown.
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

from ..module_utils._core.errors import SwarmError
from ..module_utils.verbs.node_tidying import Tidying
from ..module_utils.verbs.on_manager import control_plane, look, run

ARGUMENTS = {
    "nodes": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 60},
}


def tidy(cluster, params, *, check: bool, now=time.monotonic, sleep=time.sleep) -> dict:
    """Do the module's work through the control plane and return its result. Raises SwarmError."""
    work = Tidying(cluster.apply, lambda: look(cluster), params["nodes"])
    deadline = now() + params["timeout"]
    while work.step(check=check) and not check:
        if now() >= deadline:
            raise SwarmError(f"Still waiting for {work.awaited} after {params['timeout']} s: run this again.")
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
    run(ARGUMENTS, lambda module: tidy(control_plane(module.params), module.params, check=module.check_mode))


if __name__ == "__main__":
    main()
