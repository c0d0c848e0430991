#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_rotate
short_description: Rotate a swarm's join tokens, its CA and its unlock key
version_added: 0.1.0
description:
  - Rotates them with the engine of the manager that it runs on, and publishes them at once, where the nodes read them.
    If it is interrupted, the leader's agent publishes the rest.
  - Running nodes are not affected. A node that is joining reads the new token and continues.
  - Waits until every node has a certificate of the new CA. The rotation cannot end while a node is down.
  - Old unlock keys are kept, for managers that are down meanwhile and for old backups.
  - No result contains a token or key.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager
  - swarm.aws.attributes.changes
options:
  what:
    description: What to rotate.
    type: list
    elements: str
    choices: [tokens, ca, unlock_key]
    default: [tokens]
  timeout:
    description: Seconds to wait for the new CA.
    type: int
    default: 600
seealso:
  - module: swarm.aws.cluster_backup
"""

EXAMPLES = r"""
- name: Rotate the join tokens
  swarm.aws.cluster_rotate:
  become: true
"""

RETURN = r"""
rotated:
  description: What was rotated, in order.
  returned: success
  type: list
  elements: str
  sample: [tokens, unlock_key]
log:
  description: What was done, a sentence each.
  returned: always
  type: list
  elements: str
  sample: [The new join tokens are published.]
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.errors import SwarmError
from ..module_utils.verbs.on_manager import ARGUMENTS, control_plane
from ..module_utils.verbs.token_rotation import ORDER, Rotation


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "what": {"type": "list", "elements": "str", "choices": list(ORDER), "default": ["tokens"]},
            "timeout": {"type": "int", "default": 600},
            **ARGUMENTS,
        },
        supports_check_mode=True,
    )
    params, log = module.params, []
    wanted = [secret for secret in ORDER if secret in params["what"]]
    try:
        rotation = Rotation(control_plane(params), log.append, time.monotonic, time.sleep)
        rotation.check(wanted)
        if not module.check_mode:
            rotation.run(wanted, params["timeout"])
    except SwarmError as error:
        module.fail_json(msg=str(error), log=log)
    module.exit_json(
        changed=bool(wanted),
        rotated=wanted,
        log=log,
        diff={
            "before": "".join(f"{secret}: as before\n" for secret in wanted),
            "after": "".join(f"{secret}: new\n" for secret in wanted),
        },
    )


if __name__ == "__main__":
    main()
