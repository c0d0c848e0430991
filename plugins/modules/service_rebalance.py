#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: service_rebalance
short_description: Rebalance the tasks of a swarm's services over its nodes
version_added: 0.1.0
description:
  - A swarm never moves a running task, so a node that joins stays empty. This restarts the tasks of a service, as its
    C(update_config) says, if they can be spread more evenly.
  - Only rebalances replicated services that are C(start-first) and have a C(healthcheck) in their specification, so
    that no user notices. The other services are returned with the reason.
  - Waits for each service before the next. Refused while a node joins or is being removed.
  - Runs on a manager.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager
  - swarm.aws.attributes.changes
options:
  services:
    description: Names of the services. By default all services.
    type: list
    elements: str
    default: []
  not_after:
    description: Epoch seconds after which no other service is rebalanced. By default there is no limit.
    type: float
  timeout:
    description: Seconds to wait at most for each service.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Rebalance the services
  swarm.aws.service_rebalance:
  become: true
"""

RETURN = r"""
services:
  description: The services, and what was done, or would be in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the service.
      type: str
      sample: shop_web
    spread:
      description: Whether it was rebalanced, or would be in check mode.
      type: bool
    tasks:
      description: Number of tasks that were restarted, or would be in check mode.
      type: int
    reason:
      description: Why, or why not.
      type: str
      sample: ip-10-20-0-7 has 3 of its tasks and ip-10-20-0-9 0
    before:
      description: Number of tasks on each eligible node before, by its ID.
      type: dict
    after:
      description: Number of tasks on each node afterwards. Null if nothing was done.
      type: dict
at:
  description: When it began, in epoch seconds.
  returned: success
  type: float
"""

import time

from ..module_utils.aws.clock import aws_time
from ..module_utils.verbs.on_manager import control_plane, look, run
from ..module_utils.verbs.service_rebalancing import Rebalancing

ARGUMENTS = {
    "services": {"type": "list", "elements": "str", "default": []},
    "not_after": {"type": "float"},
    "timeout": {"type": "int", "default": 600},
}
OVER = "there was no time left for it"


def rebalance(params, *, check: bool, now=aws_time.now, sleep=time.sleep) -> dict:
    """Do the module's work and return its result. Raises SwarmError."""
    cluster = control_plane(params)
    work = Rebalancing(cluster.swarm, lambda: look(cluster), now=now, sleep=sleep)
    at, report, diff = now(), [], []
    for verdict in work.judge(params["services"]):
        wanted, reason, after = bool(verdict.tasks), verdict.reason, None
        if wanted and not check:
            # The services before it may have taken a while, and the tasks may have changed meanwhile.
            (verdict,) = work.judge([verdict.name])
            wanted, reason = bool(verdict.tasks), verdict.reason
            if wanted and params["not_after"] is not None and now() >= params["not_after"]:
                wanted, reason = False, f"{OVER}: {reason}"
            if wanted:
                after = work.spread(verdict.name, params["timeout"])
        report.append(
            {
                "name": verdict.name,
                "spread": wanted,
                "tasks": verdict.tasks if wanted else 0,
                "reason": reason,
                "before": dict(verdict.spread),
                "after": after,
            }
        )
        if wanted:
            header = f"tasks of {verdict.name} by node"
            shown = after if after is not None else "as even as they can be\n"
            diff.append(
                {"before_header": header, "after_header": header, "before": dict(verdict.spread), "after": shown}
            )
    return {"changed": bool(diff), "services": report, "at": at, "diff": diff}


def main() -> None:
    run(ARGUMENTS, lambda module: rebalance(module.params, check=module.check_mode))


if __name__ == "__main__":
    main()
