#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_converged
short_description: Wait until a stack has converged, and show the state of its services
version_added: 0.1.0
description:
  - Waits until every service of a stack runs as defined and every job is complete. Fails with the reason, by service,
    when an update is paused or rolled back, when tasks cannot be prepared or have ended for good, or at the deadline.
  - A task without a health check, or with a disabled health check, counts after it has run for 5 seconds, or for its
    C(update_config.monitor) if that is longer, so that a task that fails right after its start does not count. Each
    failed task in its place adds 5 seconds, up to 30.
  - A service fails when the last three tasks in a place were rejected by nodes, over at least 10 seconds. Rejections
    because of a network, as of a stack that was just removed, are waited for until O(timeout).
  - With O(tidy) it then removes what the stack no longer needs.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager.stack
  - swarm.aws.attributes.changes
options:
  timeout:
    description: Seconds in which the services must converge.
    type: int
    default: 300
  since:
    description:
      - When the wait began, in epoch seconds by the manager's clock, as RV(since) of an earlier call. By default it
        begins now.
    type: float
  look_for:
    description:
      - Seconds after which to return even if there is more to wait for, so that a caller can show RV(awaited) and call
        again. The default is O(timeout).
    type: int
  bundle:
    description: The deployed bundle, to mask its secrets in the logs of tasks.
    type: str
  tidy:
    description:
      - Whether to mark the newest release as converged once it has, so that a later release can be rolled back to it,
        and to remove the stack's configs and secrets that neither its services nor a rollback need.
    type: bool
    default: false
seealso:
  - module: swarm.aws.stack_deploy
"""

EXAMPLES = r"""
- name: Wait until the stack has converged
  swarm.aws.stack_converged:
    name: shop
    timeout: 600
    tidy: true
  register: shop

- name: Show the stack's state, without waiting or failing
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
      description: Number of tasks that should run, or complete.
      type: int
    running:
      description: Number of tasks of the present definition that run, or have completed.
      type: int
    image:
      description: The image by name and tag.
      type: str
    digest:
      description: The image's digest.
      type: str
    ports:
      description: The published ports, each with C(port), C(protocol) and C(mode).
      type: list
      elements: dict
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
      ports: [{port: 80, protocol: tcp, mode: host}]
      running: 6
      verdict: converged
      wanted: 6
      why: ""
awaited:
  description: What is still awaited, a phrase for each service.
  returned: when there is such a stack
  type: list
  elements: str
  sample: [example_web (4 of 6 tasks running)]
since:
  description: When the wait began, for the next call.
  returned: when there is such a stack
  type: float
removed:
  description: Names of the removed configs and secrets.
  returned: when there is such a stack
  type: list
  elements: str
  sample: [shop_settings_0a1b2c3d4e5f]
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.stack import convergence
from ..module_utils.stack.compose import Bundle
from ..module_utils.stack.deploy import tidied
from ..module_utils.stack.stack_engine import StackEngine
from ..module_utils.stack.stack_error import StackError


def settle(engine, given, clock, *, check):
    """Wait, tidy up, and return the problem, empty if there is none, and the module's result. Raises StackError."""
    name, since = given["name"], clock.now() if given["since"] is None else given["since"]
    look_for = given["timeout"] if given["look_for"] is None else given["look_for"]
    state = convergence.wait(engine, name, clock, since=since, timeout=given["timeout"], look_for=look_for)
    converged = not state.problem and not state.awaited
    removed = tidied(engine, name, check=check) if given["tidy"] and converged else []
    return state.problem, {
        "changed": bool(removed),
        "services": state.services,
        "awaited": state.awaited,
        "since": since,
        "removed": removed,
        "diff": {"before": {"configs and secrets": removed} if removed else {}, "after": {}},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "timeout": {"type": "int", "default": 300},
            "since": {"type": "float"},
            "look_for": {"type": "int"},
            "bundle": {"type": "str", "no_log": True},
            "tidy": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        if given["bundle"]:
            secrets = Bundle.unpack(given["bundle"]).secrets
            module.no_log_values.update(secret.decode(errors="ignore") for secret in secrets if secret.strip())
        engine = StackEngine(module.run_command)
        reason = engine.manages()
        if reason:
            raise StackError(reason)
        clock = convergence.StackClock(time.time, time.sleep)
        problem, result = settle(engine, given, clock, check=module.check_mode)
    except StackError as error:
        module.fail_json(msg=str(error))
    if problem:
        module.fail_json(msg=problem, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
