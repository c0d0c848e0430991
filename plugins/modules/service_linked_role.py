#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: service_linked_role
short_description: Create Auto Scaling's service-linked role
version_added: 0.1.0
description:
  - Creates the IAM role with which Auto Scaling launches instances, unless the account has it.
  - Otherwise the account's first Auto Scaling group creates it, and its first launches fail, since the role cannot be
    used at once.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.attributes.changes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Create Auto Scaling's service-linked role
  swarm.aws.service_linked_role:
    region: eu-west-1
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: ["create the IAM role AWSServiceRoleForAutoScaling"]
"""

from ..module_utils.aws.aws_session import unless_missing
from ..module_utils.aws.module_runner import run

ROLE = "AWSServiceRoleForAutoScaling"
SERVICE = "autoscaling.amazonaws.com"
ARGUMENTS = {}


def work(aws, params, changes):
    iam = aws.client("iam")
    if unless_missing(iam.get_role, "NoSuchEntity", RoleName=ROLE) is None:
        changes.apply(
            f"IAM role {ROLE}",
            None,
            {"service": SERVICE},
            # InvalidInput: it was created meanwhile.
            lambda: unless_missing(iam.create_service_linked_role, "InvalidInput", AWSServiceName=SERVICE),
        )
    return {}


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
