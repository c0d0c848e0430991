#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_deploy
short_description: Deploy a stack to a swarm, or roll it back
version_added: 0.1.0
description:
  - Deploys a bundle of M(swarm.aws.stack_bundle) on the manager that the task runs on. M(swarm.aws.stack_converged)
    then waits until the services have converged, and removes what they no longer need.
  - Pins every image to the present digest of its tag, so that all tasks run the same image and a second deployment
    changes nothing unless a tag has moved.
  - Generates secrets with C(x-generate) that the swarm does not have, and removes services that are no longer in the
    stack.
  - Docker's own command reads the compose files (C(docker stack config)), in a private folder in memory that is removed
    afterwards, and deploys the definition that it makes of them (C(docker stack deploy)).
  - Refuses settings of an existing network that Docker cannot change, and warns of options that a swarm ignores.
  - Keeps what it deploys in the swarm as a release. O(rollback) deploys the last converged release before the present
    release, with its images' digests, configs and secrets, and needs no compose file.
  - Does nothing if Docker's definition is that of the last deployment, and every service is as that deployment left it.
    O(reapply) deploys even then.
  - If the stack was just removed, waits up to 60 seconds for its tasks and 10 seconds for its networks to be gone,
    since nodes reject new tasks meanwhile.
  - Gives the nodes the credentials for the images' registries. For ECR they are those of the manager's instance
    profile, and its agent renews them.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.attributes.changes
attributes:
  diff_mode:
    description:
      - Shows services before and after, and which parts were changed since the last deployment, without values that may
        be secret, such as those of variables, commands and labels.
options:
  bundle:
    description: What M(swarm.aws.stack_bundle) returned as RV(swarm.aws.stack_bundle#module:bundle).
    type: str
  rollback:
    description: Name of a stack to roll back.
    type: str
  resolve:
    description:
      - When to look up an image's digest in its registry. V(always) notices that a tag has moved. V(missing) keeps the
        digest that a service of the stack already has for the same tag.
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
        description: Name of the registry as in images, with its port if any; V(docker.io) for Docker Hub.
        type: str
        required: true
      username:
        description: The user name.
        type: str
        required: true
      password:
        description: The password, or a token.
        type: str
        required: true
  registry_auth:
    description: Whether to give the nodes this manager's registry credentials (C(docker login)) too.
    type: bool
    default: false
  reapply:
    description: Whether to deploy even if nothing seems to differ, which reverts manual changes.
    type: bool
    default: false
requirements:
  - docker (Python SDK)
  - docker (command line) 25 or newer
  - PyYAML
  - boto3, for images in ECR
seealso:
  - module: swarm.aws.stack_bundle
  - module: swarm.aws.stack_converged
"""

EXAMPLES = r"""
- name: Deploy the stack
  swarm.aws.stack_deploy:
    bundle: "{{ stack.bundle }}"

- name: Deploy again and keep the digests of deployed images
  swarm.aws.stack_deploy:
    bundle: "{{ stack.bundle }}"
    resolve: missing
    registries:
      - host: registry.example.com
        username: deploy
        password: "{{ vault_registry_password }}"

- name: Roll back the stack
  swarm.aws.stack_deploy:
    rollback: shop
"""

RETURN = r"""
changes:
  description: Names of the services and other things that change.
  returned: always
  type: list
  elements: str
  sample: [example_web]
configs:
  description: Names of the configs in the swarm that the stack uses.
  returned: success
  type: list
  elements: str
  sample: [example_web_0a1b2c3d4e5f]
images:
  description: By service in the compose file, the image with its digest.
  returned: success
  type: dict
  sample:
    web: python:3.13-slim@sha256:59d61d7e544f9a50d7e7c7dd869e7e9747ed7bc6ccf4bc6085827e9fb985ad22
secrets:
  description: Names of the secrets in the swarm that the stack uses.
  returned: success
  type: list
  elements: str
  sample: [example_store-password]
stack:
  description: The stack's name.
  returned: success
  type: str
  sample: example
"""

import signal
import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core.errors import SwarmError
from ..module_utils._core.registry_credentials import Grant, Registry
from ..module_utils.adapters.ecr import Ecr
from ..module_utils.aws.aws_session import AwsSession
from ..module_utils.stack import credentials, docker_reading
from ..module_utils.stack.compose import Bundle
from ..module_utils.stack.convergence import StackClock
from ..module_utils.stack.deploy import Deployment, Options, Report, rollback
from ..module_utils.stack.stack_engine import StackEngine
from ..module_utils.stack.stack_error import StackError


def ask_ecr(registry: Registry) -> Grant:
    """ECR credentials of this manager's own role. Raises StackError."""
    try:
        return Ecr(AwsSession.on_node(registry.region), time.time).grant(registry)
    except SwarmError as error:
        raise StackError(
            f"{error} Name the repository in ecr_repositories and run site.yml with the tags iam and discovery, "
            "or set credentials in stack_registries."
        ) from None


def ended(number: int, _frame: object) -> None:
    """End the module by an exception."""
    raise SystemExit(128 + number)


def result(report: Report) -> dict:
    """The module's result from a report."""
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
    # An ended connection ends the module, which removes its folder.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ended)
    try:
        known = credentials.given(module.params["registries"])
        engine = StackEngine(module.run_command)
        back = module.params["rollback"]
        wanted = (
            rollback(engine, back)
            if back
            else docker_reading.read(Bundle.unpack(module.params["bundle"]), module.run_command)
        )
        deployment = Deployment(engine, wanted, options, known, ask_ecr, StackClock(time.time, time.sleep))
        report = deployment.run(check=module.check_mode)
    except StackError as error:
        module.fail_json(msg=str(error), **(result(deployment.report) if deployment else {}))
    for warning in report.warnings:
        module.warn(warning)
    module.exit_json(**result(report), **report.names, stack=wanted.stack, images=report.images)


if __name__ == "__main__":
    main()
