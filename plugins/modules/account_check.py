#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: account_check
short_description: Refuse the credentials of another account than the configured one
version_added: 0.1.0
description:
  - Fails unless the credentials are those of the account that is configured, in a region that exists, and unless the
    inventory files find the instances of the cluster that is configured. Changes nothing.
  - Every playbook of the collection begins with it. M(swarm.aws.preflight) checks the same and much more.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.attributes.reads
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  account_id:
    description: ID of the account that is configured.
    type: str
    required: true
  cluster_name:
    description: Name of the cluster that is configured.
    type: str
    required: true
  inventories:
    description: Contents of the inventory files that find the cluster's instances, by the file's path.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Verify the account
  swarm.aws.account_check:
    region: eu-west-1
    account_id: "123456789012"
    cluster_name: example
"""

RETURN = r"""
changes:
  description: Always empty.
  returned: always
  type: list
  elements: str
api_calls:
  description: How many requests it sent to AWS.
  returned: always
  type: int
"""

from ..module_utils.account import preflight
from ..module_utils.aws.module_runner import run

ARGUMENTS = {
    "account_id": {"type": "str", "required": True},
    "cluster_name": {"type": "str", "required": True},
    "inventories": {"type": "dict", "default": {}},
}


def work(aws, params, changes):
    named = {key: params[key] for key in ("account_id", "cluster_name")}
    preflight.identify(aws, {**named, "region": aws.region or ""}, params["inventories"])
    return {}


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
