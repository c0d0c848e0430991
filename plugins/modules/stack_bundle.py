#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_bundle
short_description: Collect compose files and all files that they name
version_added: 0.1.0
description:
  - Reads compose files, and the files that they name (C(env_file), and C(file) of configs and secrets), and makes a
    bundle that M(swarm.aws.stack_deploy) deploys on a manager. Runs where these files are, usually on the controller.
  - Docker's own command on the manager decides what the compose files say. This module refuses what the command would
    change without a word, such as nested variables, and contents that are too large for a swarm.
  - The C(content) and C(environment) of configs and secrets are supported too, as in the Compose specification.
  - The deployment generates a secret that is C(external) and has C(x-generate) with a length, unless the swarm has a
    secret of that name. It is never shown. Without a C(name), its name is prefixed with the stack's name.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.attributes.reads
options:
  src:
    description:
      - Paths of the compose files, which Docker merges in this order. Paths in them are relative to the first file's
        folder.
    type: list
    elements: path
    required: true
  name:
    description: Name of the stack.
    type: str
    required: true
  environment:
    description: Values for the compose files' variables. They override the process's environment.
    type: dict
    default: {}
requirements:
  - PyYAML
notes:
  - The bundle contains the secrets' contents. Set C(no_log=true) on the task.
seealso:
  - module: swarm.aws.stack_deploy
"""

EXAMPLES = r"""
- name: Read the stack
  swarm.aws.stack_bundle:
    src:
      - "{{ playbook_dir }}/stacks/example/docker-compose.yml"
    name: example
    environment:
      TAG: "3.0"
  delegate_to: localhost
  register: stack
  no_log: true
"""

RETURN = r"""
bundle:
  description: The stack as an opaque string. It contains the secrets' contents.
  returned: success
  type: str
services:
  description: The names of the services.
  returned: success
  type: list
  elements: str
  sample: [proxy, sentinel, store, web]
"""

import os
import pathlib

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ..module_utils.stack import compose_files
from ..module_utils.stack.stack_error import StackError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "list", "elements": "path", "required": True},
            "name": {"type": "str", "required": True},
            "environment": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    if compose_files.yaml is None:
        module.fail_json(msg=missing_required_lib("PyYAML"))
    paths = [pathlib.Path(path) for path in module.params["src"]]
    given = {str(key): str(value) for key, value in module.params["environment"].items()}
    try:
        bundle = compose_files.bundle(module.params["name"], paths, given, os.environ)
    except StackError as error:
        module.fail_json(msg=str(error))
    services = {name.split(".")[1] for name in bundle.lines if name.startswith("services.")}
    module.exit_json(changed=False, bundle=bundle.pack(), services=sorted(services))


if __name__ == "__main__":
    main()
