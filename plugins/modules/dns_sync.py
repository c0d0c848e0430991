#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: dns_sync
short_description: Bring the DNS record of a swarm up to date
version_added: 0.1.0
description:
  - Makes the cluster's Route 53 record say the addresses of the nodes that are in service and ready, of the groups
    that are configured with C(dns). The leader's agent does the same by itself, with the same code.
  - With C(dns.ipv6) that is an A record and an AAAA record, which change at once.
  - With C(dns.cloud_map) those nodes are the instances of the cluster's Cloud Map service instead, and whose it is
    stands in its tag C(swarm.aws/cluster).
  - The record is never emptied, and one that is not this cluster's is not touched. Whose it is stands in a TXT record
    under C(_swarm-aws.) and the record's name.
  - What the record should have comes from C(policy.json) in the cluster's bucket, as the agent has it. After a change
    the module waits until all name servers answer so.
  - Runs on a manager, with the credentials of its instance profile.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager
  - swarm.aws.attributes.changes
options:
  timeout:
    description:
      - Seconds to wait at most until all name servers answer with a change. Route 53 tells when they do; of Cloud Map's
        changes nobody can tell, so that they are given 60 seconds.
    type: int
    default: 150
seealso:
  - module: swarm.aws.cluster_info
"""

EXAMPLES = r"""
- name: Bring the record up to date
  swarm.aws.dns_sync:
  become: true
"""

RETURN = r"""
name:
  description: The record's name, or that of the Cloud Map service in its namespace.
  returned: success
  type: str
  sample: www.example.com
record:
  description: The record as it is then, or in check mode would be. Null if there is none.
  returned: success
  type: dict
  contains:
    ipv4_values:
      description: The A record's.
      type: list
      elements: str
      sample: [198.51.100.1]
    ttl:
      description: The A record's, in seconds.
      type: int
      sample: 60
    ipv6_values:
      description: The AAAA record's, if there is one.
      type: list
      elements: str
      sample: ["2001:db8::1"]
    ipv6_ttl:
      description: The AAAA record's, if there is one.
      type: int
      sample: 60
    owner:
      description: What the TXT record, or the service's tag, says.
      type: str
      sample: heritage=swarm.aws,cluster=example,region=eu-west-1,records=A+AAAA
changes:
  description: What was, or in check mode would be, created or updated.
  returned: success
  type: list
  elements: str
  sample: [update the DNS record www.example.com]
notes:
  description: What was refused, such as an AAAA record of somebody else's, and what somebody should look at.
  returned: success
  type: list
  elements: str
"""

import contextlib
import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._core import dns, report
from ..module_utils._core.actions import SyncRecord
from ..module_utils._core.apply import Refused
from ..module_utils._core.errors import SwarmError
from ..module_utils._core.plan import decide
from ..module_utils.adapters.clock import aws_time
from ..module_utils.verbs.on_manager import ARGUMENTS, control_plane, look

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
                raise SwarmError(f"After {timeout:g} s it still is to be done: {action.change.sentence}.")
            # The leader's agent may change the record meanwhile; what there is to do then is seen anew.
            with contextlib.suppress(Refused):
                changes += filter(None, [cluster.apply(action, policy)])
        sleep(PAUSE)
        late = now() >= deadline
    if action is not None:
        changes.append(action.change)
    elif changes and not observed.record.in_sync:
        notes.append(f"Not all name servers are known to answer so for {policy.dns.record} yet.")
    return {
        "changed": bool(changes),
        "changes": [change.sentence for change in changes],
        "diff": [change.diff() for change in changes],
        "name": policy.dns.record,
        "record": report.record(action.after if action else observed.record),
        "notes": notes,
    }


def due(policy, observed):
    """The whole decision, and what is to be done to the record. Raises SwarmError if there is none to change."""
    if policy.dns is None:
        raise SwarmError("No DNS record is configured for this cluster: set dns and run site.yml.")
    foreign = dns.foreign(observed.record, policy.dns, policy.owner)
    if foreign:
        raise SwarmError(foreign)
    decision = decide(observed, policy, aws_time.now())
    return decision, next((action for action in decision.actions if isinstance(action, SyncRecord)), None)


def main() -> None:
    module = AnsibleModule(
        argument_spec={"timeout": {"type": "int", "default": 150}, **ARGUMENTS}, supports_check_mode=True
    )
    check, timeout = module.check_mode, module.params["timeout"]
    try:
        module.exit_json(**sync(control_plane(module.params), check=check, timeout=timeout))
    except SwarmError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
