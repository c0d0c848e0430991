#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_deploy
short_description: Deploy a stack to a swarm, or go back to what it was before
version_added: 0.1.0
description:
  - Deploys a bundle of M(swarm.aws.stack_bundle) on the manager that the task runs on. M(swarm.aws.stack_converged)
    then waits until the services run, and M(swarm.aws.stack_tidy) removes what they do not need any more.
  - Pins every image to the digest that its tag has at the moment, so that all tasks run the same and a second
    deployment changes nothing unless a tag moved.
  - Makes secrets with C(x-generate) that the swarm does not have, and removes services that the stack no longer has.
  - Keeps what it deploys in the swarm, as a release. O(rollback) deploys the last release before the present one that
    has converged, with its images' digests, configs and secrets, and needs no compose file.
  - A stack that already is as it should be is left alone. What is compared is every service's definition, image, number
    of replicas, configs, secrets and environment; O(reapply) deploys even so.
  - Where somebody has just removed the stack, its tasks are waited for up to 60 seconds and its networks up to 10,
    since nodes reject new tasks meanwhile.
  - Credentials for the images' registries are handed on to the nodes. For registries of ECR they are those of the
    manager's instance profile, and its agent renews them.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.attributes.changes
attributes:
  diff_mode:
    description: Shows services before and after, without the values of variables, configs and secrets.
options:
  bundle:
    description: What M(swarm.aws.stack_bundle) returned as RV(swarm.aws.stack_bundle#module:bundle).
    type: str
  rollback:
    description: Name of a stack that is to go back to its release before.
    type: str
  resolve:
    description:
      - When to look an image's digest up in its registry. V(always) finds out that a tag has moved. V(missing) keeps
        the digest that a service of the stack already has for the same tag.
    type: str
    choices: [always, missing]
    default: always
  registries:
    description: Credentials for registries.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: Name of the registry as images have it, with its port if it has one; V(docker.io) for Docker Hub.
        type: str
        required: true
      username:
        description: Whom to log in as.
        type: str
        required: true
      password:
        description: The password, or a token.
        type: str
        required: true
  registry_auth:
    description: Whether to hand this manager's registry credentials (C(docker login)) on to the nodes too.
    type: bool
    default: false
  reapply:
    description: Whether to deploy even if nothing seems to differ, which undoes changes made by hand.
    type: bool
    default: false
requirements:
  - docker (Python SDK)
  - docker (command line)
  - boto3, for images in ECR
seealso:
  - module: swarm.aws.stack_bundle
  - module: swarm.aws.stack_converged
  - module: swarm.aws.stack_tidy
"""

EXAMPLES = r"""
- name: Deploy the stack
  swarm.aws.stack_deploy:
    bundle: "{{ stack.bundle }}"

- name: Deploy again, without asking the registries for what is deployed already
  swarm.aws.stack_deploy:
    bundle: "{{ stack.bundle }}"
    resolve: missing
    registries:
      - host: registry.example.com
        username: deploy
        password: "{{ vault_registry_password }}"

- name: Go back to what ran before
  swarm.aws.stack_deploy:
    rollback: shop
"""

RETURN = r"""
changes:
  description: The names of the services and other things that change.
  returned: always
  type: list
  elements: str
  sample: [example_web]
images:
  description: By service of the compose file, the image with its digest.
  returned: success
  type: dict
  sample:
    web: python:3.13-slim@sha256:59d61d7e544f9a50d7e7c7dd869e7e9747ed7bc6ccf4bc6085827e9fb985ad22
proven:
  description: Whether what is deployed has converged once already, so that there is nothing to tidy up.
  returned: success
  type: bool
stack:
  description: The stack's name.
  returned: success
  type: str
  sample: example
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.errors import SwarmError
from ..module_utils._core.registry_credentials import Grant, Registry
from ..module_utils.adapters.aws import Aws
from ..module_utils.adapters.ecr import Ecr
from ..module_utils.stack import credentials
from ..module_utils.stack.compose import Bundle
from ..module_utils.stack.convergence import StackClock
from ..module_utils.stack.deploy import Deployment, Options, Report, rollback
from ..module_utils.stack.stack_engine import StackEngine
from ..module_utils.stack.stack_error import StackError


def ask_ecr(registry: Registry) -> Grant:
    """Credentials by this manager's own role. Raises StackError."""
    try:
        return Ecr(Aws(registry.region), time.time).grant(registry)
    except SwarmError as error:
        raise StackError(
            f"{error} Name the repository in ecr_repositories and run site.yml with the tags identity and discovery, "
            "or give credentials in stack_registries."
        ) from None


def result(report: Report) -> dict:
    """The module's result of a report."""
    before, after = report.before, report.after
    return {
        "changed": report.changed,
        "changes": sorted(name for name in {*before, *after} if before.get(name) != after.get(name)),
        "diff": {"before": before, "after": after},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "bundle": {"type": "str", "no_log": True},
            "rollback": {"type": "str"},
            "resolve": {"type": "str", "choices": ["always", "missing"], "default": "always"},
            "registries": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "host": {"type": "str", "required": True},
                    "username": {"type": "str", "required": True},
                    "password": {"type": "str", "required": True, "no_log": True},
                },
            },
            "registry_auth": {"type": "bool", "default": False},
            "reapply": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("bundle", "rollback")],
        required_one_of=[("bundle", "rollback")],
        supports_check_mode=True,
    )
    options = Options(**{name: module.params[name] for name in ("resolve", "registry_auth", "reapply")})
    deployment = None
    try:
        known = credentials.given(module.params["registries"])
        engine = StackEngine(module.run_command)
        packed = module.params["bundle"]
        bundle = Bundle.unpack(packed) if packed else rollback(engine, module.params["rollback"])
        deployment = Deployment(engine, bundle, options, known, ask_ecr, StackClock(time.time, time.sleep))
        report = deployment.run(check=module.check_mode)
    except StackError as error:
        module.fail_json(msg=str(error), **(result(deployment.report) if deployment else {}))
    for warning in report.warnings:
        module.warn(warning)
    module.exit_json(**result(report), stack=bundle.stack, images=report.images, proven=report.proven)


if __name__ == "__main__":
    main()
