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
  - Tells how many managers could fail, how many tasks the services have, what the leader's agent did last and what it
    would do next. What cannot be told now is left out, and C(failures) says why.
  - Runs on a manager, with the credentials of its instance profile. Changes nothing.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager
  - swarm.aws.attributes.reads
seealso:
  - module: swarm.aws.dns_sync
  - module: swarm.aws.fleet_info
    description: Where no manager answers.
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
balancing:
  description: The load balancers' target groups that node groups name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    states:
      description: How many targets are in which state. Null if it did not answer.
      type: dict
      sample: {healthy: 3}
    targets:
      description: The state of each target, by its ID. Null if it did not answer.
      type: dict
      sample: {i-0123456789abcdef0: healthy}
services:
  description:
    - The services and how many tasks each has of those it is to have. C(wanted) of a replicated one leaves out tasks
      that were to end and have.
  returned: success
  type: list
  elements: dict
  sample:
    - name: example_web
      mode: replicated
      running: 6
      wanted: 6
      starting: 0
      stopping: 0
      pending: 0
      why_pending: ""
      updating: false
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
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core import report
from ..module_utils._core.errors import SwarmError
from ..module_utils._core.plan import decide
from ..module_utils.adapters.clock import aws_time
from ..module_utils.adapters.swarm import manager_here
from ..module_utils.verbs.on_manager import ARGUMENTS, control_plane


def show(cluster):
    """What there is, as far as it can be told. Raises SwarmError if the nodes cannot."""
    manager_here(cluster.swarm)
    policy, flaw = cluster.policy_or_last()
    observed = cluster.observe(policy)
    failures = [*filter(None, [flaw, aws_time.flaw()]), *(failure.message for failure in cluster.observer.failures)]
    if observed.nodes is None:
        raise SwarmError(" ".join(failures) or "The engine does not tell the nodes.")
    groups, status = (), {}
    try:
        groups = cluster.fleet.groups()
        status = cluster.read_status()
    except SwarmError as error:
        failures.append(str(error))
    if status.get("agents"):
        failures.append(f"Said by the agent that acts: {status['agents']}")
    decision = decide(observed, policy, aws_time.now())
    return {
        "members": report.members(observed, policy.dns.addresses if policy.dns else "public"),
        "groups": report.groups(groups),
        "behind": report.outdated(observed, groups),
        "record": report.standing(observed, policy, decision),
        "balancing": report.balancing(observed),
        "services": report.services(observed),
        "quorum": report.quorum(observed),
        "agent": {name: status.get(name) for name in ("at", "version")},
        "last_actions": status.get("last_actions", []),
        "failures": failures,
        **report.outlook(decision),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = show(control_plane(module.params))
    except SwarmError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
