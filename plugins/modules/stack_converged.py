#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_converged
short_description: Wait until a stack runs, and tell how each of its services is
version_added: 0.1.0
description:
  - Waits until every service of a stack runs as it is defined, and every job of it is complete. Fails with the reason,
    by service, when an update is paused or rolled back, when tasks cannot be prepared or have ended for good, or when
    the deadline passes.
  - A task without a health check, or with a disabled one, counts once it has run for 5 seconds, or for as long as its
    C(update_config.monitor) says if that is longer, so that one that ends a moment after it started is no success.
    After tasks in its place have ended it is 5 more seconds for each, up to 30.
  - Tasks that a node rejects fail the service when the last three in one place were rejected and that has gone on for
    10 seconds. Rejections because of a network, as of a stack that was just removed, are waited for until O(timeout).
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.attributes.reads
options:
  name:
    description: Name of the stack.
    type: str
    required: true
  timeout:
    description: Seconds until the services are to have converged.
    type: int
    default: 300
  since:
    description:
      - When the wait began, in seconds since the epoch by the manager's clock, as RV(since) of an earlier look. By
        default it begins now.
    type: float
  look_for:
    description:
      - Return after so many seconds even if there is more to wait for, so that a caller can show RV(awaited) and look
        again. By default there is one look, as long as O(timeout).
    type: int
  bundle:
    description: The bundle that was deployed, for its secrets to be masked where a task's log has them.
    type: str
requirements:
  - docker (Python SDK)
  - docker (command line)
seealso:
  - module: swarm.aws.stack_deploy
"""

EXAMPLES = r"""
- name: Wait until the stack runs
  swarm.aws.stack_converged:
    name: shop
    timeout: 600
  register: shop

- name: Tell how it is now, without waiting or failing
  swarm.aws.stack_converged:
    name: shop
    look_for: 0
  register: shop
  failed_when: false
"""

RETURN = r"""
services:
  description: Every service of the stack, by its name in the swarm.
  returned: when there is such a stack
  type: dict
  contains:
    verdict:
      description:
        - V(converged), V(complete) for a job that is done, V(progressing), V(rolled back), V(paused) or V(failed).
      type: str
    wanted:
      description: How many tasks are to run, or to complete.
      type: int
    running:
      description: How many tasks of the present definition do, or have.
      type: int
    image:
      description: The image by name and tag.
      type: str
    digest:
      description: The digest it is pinned to.
      type: str
    why:
      description: Why it has not converged.
      type: str
    log:
      description: The last lines of the failing task's log.
      returned: when it has failed
      type: list
      elements: str
  sample:
    example_web:
      digest: sha256:59d61d7e544f9a50d7e7c7dd869e7e9747ed7bc6ccf4bc6085827e9fb985ad22
      image: python:3.13-slim
      running: 6
      verdict: converged
      wanted: 6
      why: ""
awaited:
  description: What is still to be waited for, a phrase for each service.
  returned: when there is such a stack
  type: list
  elements: str
  sample: [example_web (4 of 6 tasks run)]
since:
  description: When the wait began, for the next look.
  returned: when there is such a stack
  type: float
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.stack import convergence
from ..module_utils.stack.compose import Bundle
from ..module_utils.stack.stack_engine import StackEngine
from ..module_utils.stack.stack_error import StackError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "timeout": {"type": "int", "default": 300},
            "since": {"type": "float"},
            "look_for": {"type": "int"},
            "bundle": {"type": "str", "no_log": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    since = time.time() if given["since"] is None else given["since"]
    try:
        if given["bundle"]:
            blobs = Bundle.unpack(given["bundle"]).secrets
            module.no_log_values.update(blob.data.decode(errors="ignore") for blob in blobs if blob.data.strip())
        engine = StackEngine(module.run_command)
        reason = engine.manages()
        if reason:
            raise StackError(reason)
        state = convergence.wait(
            engine,
            given["name"],
            convergence.StackClock(time.time, time.sleep),
            since=since,
            timeout=given["timeout"],
            look_for=given["timeout"] if given["look_for"] is None else given["look_for"],
        )
    except StackError as error:
        module.fail_json(msg=str(error))
    result = {"changed": False, "services": state.services, "awaited": state.awaited, "since": since}
    if state.problem:
        module.fail_json(msg=state.problem, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
