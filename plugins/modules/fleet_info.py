#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_info
short_description: Show a swarm's instances, groups and DNS record
version_added: 0.1.0
description:
  - Returns a cluster's instances, Auto Scaling groups and DNS record, and the last status of the leader's agent in the
    cluster's bucket. It needs no manager, so it also works when no manager answers.
  - Runs on the controller, with the operator's credentials. Changes nothing.
  - Apart from the instances, what cannot be read is left out, and C(failures) says why.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.kept.cluster
  - swarm.aws.attributes.reads
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  account_id:
    description: ID of the account that the credentials must be for. By default any.
    type: str
  answers:
    description: Whether to return AWS's answers too, without user data.
    type: bool
    default: false
seealso:
  - module: swarm.aws.cluster_info
    description: The same with what a manager knows.
"""

EXAMPLES = r"""
- name: Show the instances
  swarm.aws.fleet_info:
    cluster_name: example
    region: eu-west-1
  register: fleet

- name: Stop unless every group has its desired size
  ansible.builtin.assert:
    that: fleet.groups | map(attribute='in_service') == fleet.groups | map(attribute='desired')
"""

RETURN = r"""
members:
  description: >-
    A row for every instance, as in RV(swarm.aws.cluster_info#module:members). Values that only a manager knows, such as
    C(node), C(raft) and C(tasks), are null.
  returned: success
  type: list
  elements: dict
groups:
  description: The Auto Scaling groups, as in RV(swarm.aws.cluster_info#module:groups).
  returned: success
  type: list
  elements: dict
outdated:
  description: IDs of the outdated instances, as in RV(swarm.aws.cluster_info#module:outdated).
  returned: success
  type: list
  elements: str
record:
  description: >-
    The DNS record, as in RV(swarm.aws.cluster_info#module:record). C(wanted) is null, since only a manager knows it.
  returned: success
  type: dict
agent:
  description: The leader's agent, as in RV(swarm.aws.cluster_info#module:agent).
  returned: success
  type: dict
last_actions:
  description: The last actions of the leader's agent, as in RV(swarm.aws.cluster_info#module:last_actions).
  returned: success
  type: list
  elements: dict
msg:
  description: How many of the desired instances of each group run.
  returned: success
  type: str
  sample: 1 of 3 instances of manager, 1 of 1 instance of worker running
notes:
  description: Auto Scaling's reasons why launches fail.
  returned: success
  type: list
  elements: str
failures:
  description: What could not be read, and why.
  returned: success
  type: list
  elements: str
answers:
  description: AWS's answers, by call.
  returned: when O(answers=true)
  type: dict
"""

from ..module_utils.aws.module_runner import run
from ..module_utils.verbs.aws_survey import AwsSurvey

ARGUMENTS = {
    "cluster_name": {"type": "str", "required": True},
    "account_id": {"type": "str"},
    "answers": {"type": "bool", "default": False},
}


def work(aws, params, changes):
    survey = AwsSurvey(aws, params["cluster_name"], params["account_id"])
    result = survey.look()
    return {**result, "answers": survey.answers()} if params["answers"] else result


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
