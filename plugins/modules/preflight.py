#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check a swarm's configuration before anything is changed
version_added: 0.1.0
description:
  - Checks a configuration against its argument specs, against itself and against the account, and changes nothing.
  - Fails with a sentence for each thing that is wrong, all at once. Warns of values that are valid but unwise.
  - Without O(spec) it only fails unless the credentials are for the configured account, the region exists, and the
    inventory files find the instances of the configured cluster. Every playbook of the collection begins with that.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.attributes.reads
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  config:
    description: The configuration. Without O(spec) only C(account_id) and C(cluster_name) are needed.
    type: dict
    required: true
  spec:
    description: The options of the configuration's argument spec.
    type: dict
  files:
    description: Names of the variables that each configuration file sets, by the file's path.
    type: dict
    default: {}
  known:
    description: Names of all variables that a configuration file may set, besides those that start with C(x_).
    type: list
    elements: str
    default: []
  inventories:
    description: Contents of the inventory files that find the cluster's instances, by the file's path.
    type: dict
    default: {}
  image_parameters:
    description: SSM parameters that name the machine image, by operating system and architecture.
    type: dict
  stack_name:
    description: Name of the stack to deploy to the cluster. Empty for the example's name.
    type: str
    default: ""
  deploys:
    description:
      - Whether the stack is deployed afterwards, so that it is an error instead of a warning if Ansible cannot reach
        the nodes.
    type: bool
    default: false
  session_plugin:
    description: Path of AWS's session-manager-plugin on the controller. Empty if it is not installed.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Check the configuration
  swarm.aws.preflight:
    region: "{{ region }}"
    config: "{{ cluster_config }}"
    spec: "{{ cluster_spec }}"
    image_parameters:
      debian13:
        x86_64: /aws/service/debian/release/13/latest/amd64

- name: Verify the account
  swarm.aws.preflight:
    region: eu-west-1
    config:
      account_id: "123456789012"
      cluster_name: example
"""

RETURN = r"""
images:
  description: The machine image and its root device, by architecture.
  returned: with O(spec)
  type: dict
  sample: {"x86_64": {"id": "ami-0123456789abcdef0", "root_device": "/dev/xvda"}}
config:
  description: >-
    The configuration with its defaults, the C(names) of the cluster's resources, their C(tags), the region's
    C(partition) and C(dns_suffix), the hosted zone as C(dns.zone_id), the cluster's KMS key as C(key_id) if its alias
    does not name it, and whether the play is in C(check_mode).
  returned: with O(spec)
  type: dict
"""

from ..module_utils.account import preflight
from ..module_utils.aws.module_runner import run

ARGUMENTS = {
    "config": {"type": "dict", "required": True},
    "spec": {"type": "dict"},
    "files": {"type": "dict", "default": {}},
    "known": {"type": "list", "elements": "str", "default": []},
    "inventories": {"type": "dict", "default": {}},
    "image_parameters": {"type": "dict"},
    "stack_name": {"type": "str", "default": ""},
    "deploys": {"type": "bool", "default": False},
    "session_plugin": {"type": "str", "default": ""},
}


def work(aws, params, changes):
    if params["spec"] is None:
        named = {key: str(params["config"].get(key, "")) for key in ("account_id", "cluster_name")}
        preflight.identify(aws, {**named, "region": aws.region or ""}, params["inventories"])
        return {}
    found = preflight.run(
        aws,
        params["config"],
        params["spec"],
        params["files"],
        params["known"],
        params["inventories"],
        params["image_parameters"],
        params["stack_name"],
        deploys=params["deploys"],
        session_plugin=params["session_plugin"],
    )
    # A play can be in check mode although `ansible_check_mode` is false.
    found["config"]["check_mode"] = changes.check_mode
    return found


def main():
    run(ARGUMENTS, work, required_together=[("spec", "image_parameters")])


if __name__ == "__main__":
    main()
