#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_remove
short_description: Remove a stack from a swarm, and wait until it is gone
version_added: 0.1.0
description:
  - Removes a stack's services, and its networks, configs and secrets once nothing uses them. It is gone when its tasks
    have stopped too, except on nodes that are down.
  - Volumes stay on their nodes, and so do C(external) secrets, including those that M(swarm.aws.stack_deploy)
    generated. RV(kept) names them.
  - Does nothing if the stack does not exist.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager.stack
  - swarm.aws.attributes.changes
options:
  timeout:
    description: Seconds in which it must be gone. Its tasks may take their C(stop_grace_period) to stop.
    type: int
    default: 300
seealso:
  - module: swarm.aws.stack_deploy
"""

EXAMPLES = r"""
- name: Remove the stack
  swarm.aws.stack_remove:
    name: shop
"""

RETURN = r"""
removed:
  description: What was removed, names by kind.
  returned: success
  type: dict
  sample:
    configs: [shop_settings_0a1b2c3d4e5f]
    networks: [shop_default]
    services: [shop_db, shop_web]
kept:
  description: What stays, a phrase each.
  returned: success
  type: list
  elements: str
  sample: [the volume shop_data on ip-10-20-0-5, the secret shop_password]
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.stack import stack_removal
from ..module_utils.stack.convergence import StackClock
from ..module_utils.stack.stack_engine import StackEngine
from ..module_utils.stack.stack_error import StackError


def main() -> None:
    module = AnsibleModule(
        argument_spec={"name": {"type": "str", "required": True}, "timeout": {"type": "int", "default": 300}},
        supports_check_mode=True,
    )
    name = module.params["name"]
    try:
        engine = StackEngine(module.run_command)
        reason = engine.manages()
        if reason:
            raise StackError(reason)
        before, kept = engine.left(name), stack_removal.kept(engine, name)
        if before and not module.check_mode:
            stack_removal.remove(engine, name, StackClock(time.time, time.sleep), timeout=module.params["timeout"])
    except StackError as error:
        module.fail_json(msg=str(error))
    shown = {kind: names for kind, names in before.items() if kind != "tasks"}
    module.exit_json(changed=bool(before), removed=shown, kept=kept, diff={"before": shown, "after": {}})


if __name__ == "__main__":
    main()
