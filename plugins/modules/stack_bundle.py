#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_bundle
short_description: Read a compose file and all files it refers to
version_added: 0.1.0
description:
  - Reads a compose file, its variables, and the files of its configs, secrets and environments, and makes a bundle
    that M(swarm.aws.stack_deploy) deploys on a manager. Runs where these files are, usually on the controller.
  - Names configs and secrets by their content. A change of content makes a new config or secret and updates the
    services that use it.
  - The deployment generates a secret that is C(external) and has C(x-generate) with a length, unless the swarm has a
    secret of that name. It is never shown. Without a C(name), its name is prefixed with the stack's name.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.attributes.reads
options:
  src:
    description: Path of the compose file. Paths in it are relative to its folder.
    type: path
    required: true
  name:
    description: Name of the stack.
    type: str
    required: true
  environment:
    description: Values for the compose file's variables. They override the process's environment.
    type: dict
    default: {}
notes:
  - The bundle contains the secrets' contents. Set C(no_log=true) on the task.
seealso:
  - module: swarm.aws.stack_deploy
"""

EXAMPLES = r"""
- name: Read the stack
  swarm.aws.stack_bundle:
    src: "{{ playbook_dir }}/stacks/example/docker-compose.yml"
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
images:
  description: The images of the services, as the compose file names them.
  returned: success
  type: list
  elements: str
  sample: ["haproxy:3.0", "python:3.13-slim", "valkey/valkey:8.1"]
"""

import os
import pathlib

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ..module_utils.stack import compose
from ..module_utils.stack.stack_error import StackError

try:
    import yaml
except ImportError:
    yaml = None


def load(path: pathlib.Path) -> object:
    """The document in a compose file. Raises StackError."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StackError(f"The compose file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise StackError(f"The compose file {path} is not UTF-8 text.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise StackError(
            f"The compose file {path} is not valid YAML{where}: {getattr(error, 'problem', error)}."
        ) from None


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            "environment": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    if yaml is None:
        module.fail_json(msg=missing_required_lib("PyYAML"))
    path = pathlib.Path(module.params["src"])
    given = {str(key): str(value) for key, value in module.params["environment"].items()}
    try:
        stack = compose.bundle(
            module.params["name"],
            load(path),
            {**os.environ, **given},
            compose.beside(path),
            source=str(path),
        )
    except StackError as error:
        module.fail_json(msg=str(error))
    services = stack.definition["services"]
    module.exit_json(
        changed=False,
        bundle=stack.pack(),
        services=sorted(services),
        images=sorted({service["image"] for service in services.values()}),
    )


if __name__ == "__main__":
    main()
