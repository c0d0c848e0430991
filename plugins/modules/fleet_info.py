#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_info
short_description: Show what EC2, Auto Scaling and DNS say of a swarm
version_added: 0.1.0
description:
  - Tells a cluster's instances, Auto Scaling groups and DNS record, and what the leader's agent wrote last into the
    cluster's bucket. It needs no manager, and so tells the same when none answers.
  - Runs on the controller, with the operator's credentials. Changes nothing.
  - Apart from the instances, what cannot be told is left out, and C(failures) says why.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.attributes.reads
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  cluster_name:
    description: Name of the cluster.
    type: str
    required: true
  account_id:
    description: ID of the account that the credentials are to be of. By default any.
    type: str
  answers:
    description: Whether to return AWS's own answers too, without user data.
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

- name: Stop unless every group has the instances that it wants
  ansible.builtin.assert:
    that: fleet.groups | map(attribute='in_service') == fleet.groups | map(attribute='desired')
"""

RETURN = r"""
members:
  description: A row for every instance and for every node that is none of theirs. What does not exist is null.
  returned: success
  type: list
  elements: dict
  contains:
    instance:
      description: ID of the instance.
      type: str
    group:
      description: Its node group.
      type: str
    zone:
      description: Its availability zone.
      type: str
    state:
      description: Its state in EC2, or V(gone) for a node whose instance has ended.
      type: str
    lifecycle:
      description: Its state in Auto Scaling.
      type: str
    healthy:
      description: Whether Auto Scaling takes it for healthy.
      type: bool
    private_address:
      description: Its private address.
      type: str
    public_address:
      description: Its public address.
      type: str
    ipv6_address:
      description: Its IPv6 address.
      type: str
    kind:
      description: Its instance type.
      type: str
    image:
      description: The machine image that it was made from.
      type: str
    template:
      description: The version of the launch template that it was made from.
      type: str
    launched:
      description: When it was started, in UTC.
      type: str
    node:
      description: ID of its node.
      type: str
    role:
      description: Its role in the swarm.
      type: str
    node_state:
      description: State of the node.
      type: str
    availability:
      description: Availability of the node.
      type: str
    engine:
      description: Version of its engine.
      type: str
    raft:
      description: What it is in Raft, V(leader), V(reachable) or V(unreachable). Null if it does not vote.
      type: str
    leader:
      description: Whether it leads.
      type: bool
    voter:
      description: Whether it is a member of Raft.
      type: bool
    reachable:
      description: Whether the leader hears it in Raft.
      type: bool
    tasks:
      description: How many tasks run on it.
      type: int
    published:
      description: Whether the DNS record leads to it.
      type: bool
groups:
  description: The Auto Scaling groups.
  returned: success
  type: list
  elements: dict
  sample: [{group: worker, scaling_group: example-worker, in_service: 1, desired: 1, min: 1, max: 4, template: "1"}]
behind:
  description: IDs of the instances that are of another version of the launch template than their group has now.
  returned: success
  type: list
  elements: str
record:
  description:
    - The DNS record. Null if none is configured.
    - C(ipv4_values) and C(ttl) are the A record's, C(ipv6_values) and C(ipv6_ttl) those of the AAAA record, if there is
      one.
    - C(addresses) are all of them, null if they are not known; C(wanted) is what they should be, null if that is not.
      C(leads_to) names the running instance at each address.
  returned: success
  type: dict
  sample:
    name: www.example.com
    ipv4_values: [198.51.100.1]
    ttl: 60
    owner: heritage=swarm.aws,cluster=example,region=eu-west-1
    addresses: [198.51.100.1]
    wanted: [198.51.100.1]
    leads_to: {198.51.100.1: i-0123456789abcdef0}
agent:
  description: When the leader's agent last wrote its status document, and its version. Null if there is none.
  returned: success
  type: dict
  sample: {at: "2026-01-01T00:00:00+00:00", version: 0.1.0}
last_actions:
  description: What the leader's agent did last, the latest at the end, as its status document in the bucket says.
  returned: success
  type: list
  elements: dict
  contains:
    at:
      description: When, in UTC.
      type: str
    action:
      description: The kind of action.
      type: str
    resource:
      description: What it was done to.
      type: str
failures:
  description: What could not be told, and why.
  returned: success
  type: list
  elements: str
answers:
  description: AWS's own answers, by the call.
  returned: when O(answers=true)
  type: dict
changes:
  description: Always empty.
  returned: always
  type: list
  elements: str
api_calls:
  description: How many requests it sent to AWS.
  returned: always
  type: int
  sample: 6
"""

from ..module_utils.aws.module_runner import run
from ..module_utils.verbs.outside import Outside

ARGUMENTS = {
    "cluster_name": {"type": "str", "required": True},
    "account_id": {"type": "str"},
    "answers": {"type": "bool", "default": False},
}


def work(aws, params, changes):
    outside = Outside(aws, params["cluster_name"], params["account_id"])
    result = outside.look()
    return {**result, "answers": outside.answers()} if params["answers"] else result


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
