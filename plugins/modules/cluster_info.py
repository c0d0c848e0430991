#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_info
short_description: Show instances, nodes and DNS of a swarm beside each other
version_added: 0.1.0
description:
  - Joins what EC2 and Auto Scaling tell of the instances with what Raft tells of the nodes and with what stands in DNS.
  - Tells how many managers could fail, what the leader's agent did last and what it would do next.
  - Runs on a manager, with the credentials of its instance profile. Changes nothing.
author:
  - The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager
attributes:
  check_mode:
    description: Only reads.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
seealso:
  - module: swarm.aws.dns_sync
"""

EXAMPLES = r"""
- name: Show the cluster
  swarm.aws.cluster_info:
  become: true
  register: cluster

- name: Stop unless a manager may fail
  ansible.builtin.assert:
    that: cluster.quorum.margin >= 1
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
      description: Its state in EC2. Null for a node whose instance is gone.
      type: str
    lifecycle:
      description: Its state in Auto Scaling.
      type: str
    private_address:
      description: Its private address.
      type: str
    public_address:
      description: Its public address.
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
quorum:
  description: The numbers of Raft.
  returned: success
  type: dict
  contains:
    voters:
      description: How many managers vote.
      type: int
    reachable:
      description: How many of them are heard.
      type: int
    needed:
      description: How many have to be.
      type: int
    margin:
      description: How many could fail.
      type: int
  sample: {voters: 3, reachable: 3, needed: 2, margin: 1}
record:
  description: The DNS record. Null if there is none.
  returned: success
  type: dict
  sample: {values: [198.51.100.1], ttl: 60, owner: "heritage=swarm.aws,cluster=example,region=eu-west-1"}
planned:
  description: What the leader's agent would do next.
  returned: success
  type: list
  elements: str
  sample: ["SyncRecord: update the DNS record www.example.com"]
awaited:
  description: What it waits for.
  returned: success
  type: list
  elements: str
  sample: [i-0123456789abcdef0 to join the swarm]
refused:
  description: What it will not do, and why.
  returned: success
  type: list
  elements: str
notes:
  description: What somebody should look at.
  returned: success
  type: list
  elements: str
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
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core import report
from ..module_utils._core.errors import SwarmError
from ..module_utils._core.plan import decide
from ..module_utils.on_manager import ARGUMENTS, keeper, look


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        cluster = keeper(module.params)
        policy, observed = look(cluster)
        last = cluster.read_status().get("last_actions", [])
    except SwarmError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        members=report.members(observed, policy.dns.addresses if policy.dns else "public"),
        quorum=report.quorum(observed),
        record=report.record(observed.record),
        last_actions=last,
        **report.outlook(decide(observed, policy, time.time())),
    )


if __name__ == "__main__":
    main()
