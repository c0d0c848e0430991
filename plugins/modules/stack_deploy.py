#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_deploy
short_description: Deploy a stack to a swarm and wait until it runs
version_added: 0.1.0
description:
  - Deploys a bundle of M(swarm.aws.stack_bundle) on the manager that the task runs on, and waits until every service
    runs as it should. Fails with the reason, by service, when an update is paused or rolled back, when tasks cannot be
    prepared, or when the deadline passes.
  - Pins every image to the digest that its tag has at the moment, so that all tasks run the same and a second
    deployment changes nothing unless a tag moved.
  - Makes secrets with C(x-generate) that the swarm does not have, removes services that the stack no longer has, and
    removes configs and secrets that nothing uses any more.
  - A stack that already is as it should be is left alone. What is compared is every service's definition, image, number
    of replicas, configs, secrets and environment; O(reapply) deploys even so.
author:
  - The swarm.aws maintainers (@swarm-aws)
attributes:
  check_mode:
    description: Tells what would change, images' digests included.
    support: full
  diff_mode:
    description: Shows services before and after, without the values of variables, configs and secrets.
    support: full
options:
  bundle:
    description: What M(swarm.aws.stack_bundle) returned as RV(swarm.aws.stack_bundle#module:bundle).
    type: str
    required: true
  resolve:
    description:
      - When to look an image's digest up in its registry. V(always) finds out that a tag has moved. V(missing) keeps
        the digest that a service of the stack already has for the same tag.
    type: str
    choices: [always, missing]
    default: always
  registry_auth:
    description: Whether to hand this manager's registry credentials (C(docker login)) on to the nodes.
    type: bool
    default: false
  reapply:
    description: Whether to deploy even if nothing seems to differ, which undoes changes made by hand.
    type: bool
    default: false
  timeout:
    description: Seconds to wait for the services to run.
    type: int
    default: 300
requirements:
  - docker (Python SDK)
  - docker (command line)
seealso:
  - module: swarm.aws.stack_bundle
"""

EXAMPLES = r"""
- name: Deploy the stack
  swarm.aws.stack_deploy:
    bundle: "{{ stack.bundle }}"
    timeout: 600

- name: Deploy again, without asking the registries for what is deployed already
  swarm.aws.stack_deploy:
    bundle: "{{ stack.bundle }}"
    resolve: missing
"""

RETURN = r"""
services:
  description: Every service of the stack, by its name in the swarm. Empty in check mode.
  returned: always
  type: dict
  contains:
    desired:
      description: How many tasks are to run.
      type: int
    running:
      description: How many tasks run, as the service now is defined.
      type: int
    image:
      description: The image by name and tag.
      type: str
    digest:
      description: The digest it is pinned to.
      type: str
    verdict:
      description: C(converged), C(progressing) or C(failed).
      type: str
    reason:
      description: Why it has not converged.
      type: str
    log:
      description: The last lines of the failing task's log.
      returned: when it has not converged
      type: list
      elements: str
  sample:
    example_web:
      desired: 6
      digest: sha256:59d61d7e544f9a50d7e7c7dd869e7e9747ed7bc6ccf4bc6085827e9fb985ad22
      image: python:3.13-slim
      reason: ""
      running: 6
      verdict: converged
changes:
  description: The names of the services and other things that change.
  returned: always
  type: list
  elements: str
  sample: [example_web]
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.stack.compose import Bundle
from ..module_utils.stack.deploy import Clock, Deployment, Options, Report
from ..module_utils.stack.engine import DockerEngine
from ..module_utils.stack.errors import StackError


def result(report: Report) -> dict:
    """The module's result of a report."""
    before, after = report.before, report.after
    return {
        "changed": report.changed,
        "services": report.services,
        "changes": sorted(name for name in {*before, *after} if before.get(name) != after.get(name)),
        "diff": {"before": before, "after": after},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "bundle": {"type": "str", "required": True, "no_log": True},
            "resolve": {"type": "str", "choices": ["always", "missing"], "default": "always"},
            "registry_auth": {"type": "bool", "default": False},
            "reapply": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    options = Options(**{key: value for key, value in module.params.items() if key != "bundle"})
    deployment = None
    try:
        bundle = Bundle.unpack(module.params["bundle"])
        # A task's log may repeat a secret; what is known here is masked in all that is returned.
        module.no_log_values.update(blob.data.decode(errors="ignore") for blob in bundle.secrets if blob.data.strip())
        deployment = Deployment(DockerEngine(module.run_command), bundle, options, Clock(time.monotonic, time.sleep))
        report = deployment.run(check=module.check_mode)
    except StackError as error:
        module.fail_json(msg=str(error), **(result(deployment.report) if deployment else {}))
    for warning in report.warnings:
        module.warn(warning)
    module.exit_json(**result(report))


if __name__ == "__main__":
    main()
