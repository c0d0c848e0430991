#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_destroy
short_description: Delete all resources of a swarm in the account
version_added: 0.1.0
description:
  - Deletes what M(swarm.aws.cluster_resources_info) finds, each resource once nothing depends on it. The nodes lose
    their permissions first, so that no agent creates deleted resources again. Instances are terminated without a drain.
  - Resources that are not the cluster's stay, and so do the resources that they depend on. Both are returned with the
    reason.
  - A KMS key can only be scheduled for deletion. For seven days the deletion can be cancelled.
  - Does not ask for confirmation. C(playbooks/destroy.yml) does.
author: The swarm.aws maintainers (@swarm-aws)
attributes:
  check_mode:
    description: Returns all that it would delete, in order.
extends_documentation_fragment:
  - swarm.aws.kept.cluster
  - swarm.aws.attributes.changes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  account_id:
    description: ID of the account, which is in the bucket's name.
    type: str
    required: true
  keep_backups:
    description:
      - Whether to keep the bucket, its backups, its key and the cluster's secrets, if there are backups. Other objects
        in the bucket are deleted, since they say that the cluster exists.
    type: bool
    default: false
  until:
    description:
      - V(ended) returns when the instances are terminated, so that a playbook can show what it waits for.
      - V(gone) deletes everything.
    type: str
    choices: [ended, gone]
    default: gone
  timeout:
    description: Seconds to wait until instances are terminated, and until a resource is unused.
    type: int
    default: 900
"""

EXAMPLES = r"""
- name: Delete everything but the backups
  swarm.aws.cluster_destroy:
    region: eu-west-1
    cluster_name: example
    account_id: "123456789012"
    keep_backups: true
"""

RETURN = r"""
left:
  description: >-
    The resources that stay, as in RV(swarm.aws.cluster_resources_info#module:resources), and why.
  returned: success
  type: list
  elements: dict
  contains:
    why:
      description: Why it stays.
      type: str
      sample: the instance web (i-0123456789abcdef0) needs it, and it is not this cluster's
going:
  description: >-
    The resources that AWS deletes later, as in RV(swarm.aws.cluster_resources_info#module:resources). C(going) is the
    day.
  returned: success
  type: list
  elements: dict
changes:
  description: What was deleted, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [delete the VPC example (vpc-0123456789abcdef0)]
"""

from ..module_utils.account.resources.destroy import Destroyer
from ..module_utils.account.resources.survey import Survey
from ..module_utils.aws.module_runner import run

ARGUMENTS = {
    "cluster_name": {"type": "str", "required": True},
    "account_id": {"type": "str", "required": True},
    "keep_backups": {"type": "bool", "default": False},
    "until": {"type": "str", "choices": ["ended", "gone"], "default": "gone"},
    "timeout": {"type": "int", "default": 900},
}


def work(aws, params, changes):
    survey = Survey(aws, params["cluster_name"], params["account_id"], keep_backups=params["keep_backups"])
    destroyer = Destroyer(aws, survey, changes, timeout=params["timeout"])
    return destroyer.run(instances_only=params["until"] == "ended")


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
