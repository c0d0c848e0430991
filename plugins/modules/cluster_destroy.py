#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_destroy
short_description: Delete all that is a swarm's in the account
version_added: 0.1.0
description:
  - Deletes what M(swarm.aws.cluster_resources_info) finds, each when nothing stands on it any more. The nodes lose
    their permissions first, so that no agent makes anew what is deleted. Instances end without a drain.
  - What is not the cluster's stays, and so does what it stands on. Both are returned with the reason.
  - A KMS key can only be scheduled for deletion. That takes seven days, in which it can be kept after all.
  - Asks nobody. C(playbooks/destroy.yml) does.
author: The swarm.aws maintainers (@swarm-aws)
attributes:
  check_mode:
    description: Says all that it would delete, in the order in which it would.
extends_documentation_fragment:
  - swarm.aws.attributes.changes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  cluster_name:
    description: Name of the cluster.
    type: str
    required: true
  account_id:
    description: ID of the account, by which the bucket is named.
    type: str
    required: true
  keep_backups:
    description:
      - Whether the bucket, its backups, its key and the cluster's secrets stay, if there are backups. What else is in
        the bucket goes, for it says of a cluster that it is there.
    type: bool
    default: false
  until:
    description:
      - V(ended) stops when the instances have ended, so that a playbook can say what it waits for.
      - V(gone) deletes everything.
    type: str
    choices: [ended, gone]
    default: gone
  timeout:
    description: Seconds to wait for instances to end, and for anything to be unused.
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
    What stays, each with what RV(swarm.aws.cluster_resources_info#module:resources) has of it, and why it stays.
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
    What AWS deletes later, as in RV(swarm.aws.cluster_resources_info#module:resources), where C(going) is the day.
  returned: success
  type: list
  elements: dict
changes:
  description: What was, or in check mode would be, deleted.
  returned: always
  type: list
  elements: str
  sample: [delete the VPC example (vpc-0123456789abcdef0)]
api_calls:
  description: How many requests it sent to AWS.
  returned: always
  type: int
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
