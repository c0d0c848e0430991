#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_info
short_description: Show the instances, nodes and DNS record of a swarm
version_added: 0.1.0
description:
  - Joins the instances in EC2 and Auto Scaling with the nodes in Raft and the addresses in DNS.
  - Returns how many managers may fail, how many tasks the services have, the last actions of the leader's agent and its
    next actions. What cannot be read now is left out, and C(failures) says why.
  - Runs on a manager, with the credentials of its instance profile. Changes nothing.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager
  - swarm.aws.attributes.reads
seealso:
  - module: swarm.aws.dns_sync
  - module: swarm.aws.fleet_info
    description: If no manager answers.
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
health:
  description:
    - The state, V(healthy), V(changing), V(attention), V(unhealthy) or V(unknown), and a sentence about it.
  returned: success
  type: dict
  sample: {state: healthy, sentence: "Healthy: 4 of 4 nodes, 15 of 15 tasks"}
members:
  description: A row for every instance, and for every node without an instance. Missing values are null.
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
      description: Its state in EC2, or V(gone) for a node whose instance is terminated.
      type: str
    lifecycle:
      description: Its state in Auto Scaling.
      type: str
    healthy:
      description: Whether it is healthy in Auto Scaling.
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
      description: The machine image that it was launched from.
      type: str
    template:
      description: The version of the launch template that it was launched from.
      type: str
    launched:
      description: When it was launched, in UTC.
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
    agent:
      description: Version of its agent. Null if the node was launched before agents had a label.
      type: str
    raft:
      description: Its state in Raft, V(leader), V(reachable) or V(unreachable). Null if it has no vote.
      type: str
    leader:
      description: Whether it is the leader.
      type: bool
    voter:
      description: Whether it is a member of Raft.
      type: bool
    reachable:
      description: Whether the leader reaches it in Raft.
      type: bool
    tasks:
      description: How many tasks run on it.
      type: int
    published:
      description: Whether the DNS record points to it.
      type: bool
groups:
  description: The Auto Scaling groups.
  returned: success
  type: list
  elements: dict
  sample: [{group: worker, scaling_group: example-worker, in_service: 1, desired: 1, min: 1, max: 4, template: "1"}]
  contains:
    launch_failure:
      description: Auto Scaling's reason why the group's launches fail. Null if they do not.
      type: str
    failing_seconds:
      description: For how many seconds they have failed. Null if they do not.
      type: float
outdated:
  description: IDs of the outdated instances, whose version of the launch template is not their group's present version.
  returned: success
  type: list
  elements: str
record:
  description:
    - The DNS record. Null if no record is configured.
    - C(ipv4_values) and C(ttl) are the A record's, C(ipv6_values) and C(ipv6_ttl) the AAAA record's, if it exists.
    - C(addresses) are all present addresses and C(wanted) the addresses that it should have; null if unknown.
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
  description: The load balancers' target groups of the node groups.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    states:
      description: Number of targets in each state. Null if AWS did not answer.
      type: dict
      sample: {healthy: 3}
    targets:
      description: The state of each target, by its ID. Null if AWS did not answer.
      type: dict
      sample: {i-0123456789abcdef0: healthy}
services:
  description:
    - The services, with their number of running and wanted tasks. C(wanted) of a replicated service leaves out tasks
      that have completed.
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
      description: Number of managers with a vote.
      type: int
    reachable:
      description: Number of reachable managers.
      type: int
    needed:
      description: Number of managers for a quorum.
      type: int
    margin:
      description: Number of managers that may fail.
      type: int
  sample: {voters: 3, reachable: 3, needed: 2, margin: 1}
planned:
  description: The next actions of the leader's agent.
  returned: success
  type: list
  elements: str
  sample: ["update the DNS record www.example.com: add 198.51.100.1"]
awaited:
  description: What the leader's agent waits for.
  returned: success
  type: list
  elements: str
  sample: [i-0123456789abcdef0 to join the swarm]
refused:
  description: What the leader's agent will not do, and why.
  returned: success
  type: list
  elements: str
notes:
  description: What the operator should look at.
  returned: success
  type: list
  elements: str
agent:
  description: When the leader's agent last wrote its status document, and its version. Null if there is none.
  returned: success
  type: dict
  sample: {at: "2026-01-01T00:00:00+00:00", version: 0.1.0}
last_actions:
  description: The last actions of the leader's agent, the latest last, from its status document in the bucket.
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
    sentence:
      description: What it did.
      type: str
      sample: drain the node of i-0123456789abcdef0
    resource:
      description: The resource that it changed.
      type: str
failures:
  description: What could not be read, and why.
  returned: success
  type: list
  elements: str
msg:
  description: How many of the members have a node that is ready.
  returned: success
  type: str
  sample: 3 of 4 nodes ready
"""

from ..module_utils._core import report
from ..module_utils._core.counting import counted
from ..module_utils._core.errors import SwarmError
from ..module_utils._core.health import health
from ..module_utils._core.plan import decide
from ..module_utils.adapters.swarm import manager_here
from ..module_utils.aws.clock import aws_time
from ..module_utils.verbs.on_manager import control_plane, run


def show(cluster):
    """The module's result, as far as it can be read. Raises SwarmError if the nodes cannot be read."""
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
        failures.append(f"From the acting agent: {status['agents']}")
    now = aws_time.now()
    decision = decide(observed, policy, now)
    members = report.members(observed, policy.dns.addresses if policy.dns else "public")
    present = [member for member in members if member["node"] or member["state"] == "running"]
    ready = sum(member["node_state"] == "ready" for member in present)
    return {
        "msg": f"{ready} of {counted(len(present), 'node')} ready",
        "health": health(observed, policy, decision, now),
        "members": members,
        "groups": report.groups(groups),
        "outdated": report.outdated(observed, groups),
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
    run({}, lambda module: show(control_plane(module.params)))


if __name__ == "__main__":
    main()
