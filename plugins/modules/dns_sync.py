#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: dns_sync
short_description: Update the DNS record of a swarm
version_added: 0.1.0
description:
  - Sets the cluster's Route 53 record to the addresses of the nodes that are in service and ready, in groups with
    C(dns). The leader's agent does the same by itself, with the same code.
  - With C(dns.ipv6) there is an A record and an AAAA record, which change together.
  - With C(dns.cloud_map) the nodes are instances of the cluster's Cloud Map service instead. Its tag
    C(swarm.aws/cluster) names its owner.
  - The record is never emptied, and the record of another owner is never changed. A TXT record under C(_swarm-aws.) and
    the record's name names the owner.
  - The configuration of the record comes from C(policy.json) in the cluster's bucket, as for the agent. After a change
    the module waits until all name servers have it.
  - Runs on a manager, with the credentials of its instance profile.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager
  - swarm.aws.attributes.changes
options:
  timeout:
    description:
      - Seconds to wait at most until all name servers have a change. Route 53 tells when they do. Cloud Map does not,
        so its changes count after 60 seconds.
    type: int
    default: 150
seealso:
  - module: swarm.aws.cluster_info
"""

EXAMPLES = r"""
- name: Update the DNS record
  swarm.aws.dns_sync:
  become: true
"""

RETURN = r"""
name:
  description: Name of the record, or of the Cloud Map service in its namespace.
  returned: success
  type: str
  sample: www.example.com
record:
  description: The record afterwards, or as it would be in check mode. Null if there is no record.
  returned: success
  type: dict
  contains:
    ipv4_values:
      description: Addresses of the A record.
      type: list
      elements: str
      sample: [198.51.100.1]
    ttl:
      description: TTL of the A record in seconds.
      type: int
      sample: 60
    ipv6_values:
      description: Addresses of the AAAA record, if it exists.
      type: list
      elements: str
      sample: ["2001:db8::1"]
    ipv6_ttl:
      description: TTL of the AAAA record in seconds, if it exists.
      type: int
      sample: 60
    owner:
      description: Content of the TXT record, or owner by the service's tag.
      type: str
      sample: heritage=swarm.aws,cluster=example,region=eu-west-1,records=A+AAAA
changes:
  description: What was created or updated, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [update the DNS record www.example.com]
notes:
  description: What was refused, such as an AAAA record of another owner, and what the operator should look at.
  returned: success
  type: list
  elements: str
"""

import contextlib
import time

from ..module_utils._core import dns, report
from ..module_utils._core.actions import SyncRecord
from ..module_utils._core.apply import Refused
from ..module_utils._core.errors import SwarmError
from ..module_utils._core.plan import decide
from ..module_utils.aws.clock import aws_time
from ..module_utils.verbs.on_manager import control_plane, look, run

# Seconds between two looks.
PAUSE = 2.0


def sync(cluster, *, check: bool, timeout: float = 0, now=time.monotonic, sleep=time.sleep) -> dict:
    """Do the module's work through the control plane and return its result. Raises SwarmError."""
    changes, deadline, late = [], now() + timeout, False
    while True:
        policy, observed = look(cluster)
        decision, action = due(policy, observed)
        notes = [*decision.refused, *decision.notes]
        if check or (action is None and (late or not changes or observed.record.in_sync)):
            break
        if action is not None:
            if late:
                raise SwarmError(f"After {timeout:g} s this is still to do: {action.change.sentence}.")
            # The leader's agent may change the record meanwhile. The next look tells what is left to do.
            with contextlib.suppress(Refused):
                changes += filter(None, [cluster.apply(action, policy)])
        sleep(PAUSE)
        late = now() >= deadline
    if action is not None:
        changes.append(action.change)
    elif changes and not observed.record.in_sync:
        notes.append(f"Some name servers may not have the change of {policy.dns.record} yet.")
    return {
        "changed": bool(changes),
        "changes": [change.sentence for change in changes],
        "diff": [change.diff() for change in changes],
        "name": policy.dns.record,
        "record": report.record(action.after if action else observed.record),
        "notes": notes,
    }


def due(policy, observed):
    """The decision, and its action on the record. Raises SwarmError if there is no record that may be changed."""
    if policy.dns is None:
        raise SwarmError("No DNS record is configured for this cluster: set dns and run site.yml.")
    foreign = dns.foreign(observed.record, policy.dns, policy.owner)
    if foreign:
        raise SwarmError(foreign)
    decision = decide(observed, policy, aws_time.now())
    return decision, next((action for action in decision.actions if isinstance(action, SyncRecord)), None)


def main() -> None:
    def work(module):
        return sync(control_plane(module.params), check=module.check_mode, timeout=module.params["timeout"])

    run({"timeout": {"type": "int", "default": 150}}, work)


if __name__ == "__main__":
    main()
