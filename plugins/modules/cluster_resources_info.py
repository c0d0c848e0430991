#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_resources_info
short_description: List all resources of a swarm in the account
version_added: 0.1.0
description:
  - Finds resources with the tag C(swarm.aws/cluster), resources named after the cluster, and DNS records with the
    cluster's TXT record. Also finds resources of others in its VPC.
  - With O(configuration) it also returns what is missing and what the configuration no longer asks for.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.kept.cluster
  - swarm.aws.attributes.reads
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  account_id:
    description: ID of the account, which is in the bucket's name.
    type: str
    required: true
  configuration:
    description: >-
      The cluster's configuration, as the role P(swarm.aws.check#role) returns it. Without it RV(missing) and
      RV(orphans) are null.
    type: dict
  parts:
    description: Roles of C(site.yml) whose missing resources are returned.
    type: list
    elements: str
    choices: [network, dns, events, discovery, iam, node_groups, monitoring]
    default: [network, dns, events, discovery, iam, node_groups, monitoring]
seealso:
  - module: swarm.aws.cluster_destroy
"""

EXAMPLES = r"""
- name: List the cluster's resources and its orphans
  swarm.aws.cluster_resources_info:
    region: eu-west-1
    cluster_name: example
    account_id: "123456789012"
    configuration: "{{ cluster }}"
  register: found
"""

RETURN = r"""
resources:
  description: All resources.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: Kind of the resource.
      type: str
      sample: subnet
    id:
      description: Its ID.
      type: str
      sample: subnet-0123456789abcdef0
    name:
      description: Its name, if it has a name besides the ID.
      type: str
      sample: example-eu-west-1a
    note:
      description: What else is known of it.
      type: str
    kept:
      description: Why it would not be destroyed, such as that it belongs to somebody else; otherwise empty.
      type: str
    going:
      description: When AWS deletes it, if its deletion is scheduled; otherwise empty.
      type: str
missing:
  description: >-
    Kind and name of each resource that the configuration asks for but does not exist. Null without O(configuration).
  returned: success
  type: list
  elements: str
  sample: [subnet example-eu-west-1c]
orphans:
  description: Resources that the configuration does not ask for, and why. Null without O(configuration).
  returned: success
  type: list
  elements: dict
  contains:
    resource:
      description: Kind, name and ID of the resource.
      type: str
      sample: Auto Scaling group example-batch
    why:
      description: Why the configuration does not ask for it.
      type: str
      sample: node_groups has no batch
    note:
      description: What else is known of it.
      type: str
      sample: 2 instances
old_versions:
  description: Number of versions of each launch template that no group and no instance uses.
  returned: success
  type: dict
  sample: {"example-worker": 3}
"""

from ..module_utils.account.resources.declared import PARTS, declared, missing
from ..module_utils.account.resources.orphans import old_versions, orphans
from ..module_utils.account.resources.survey import Survey
from ..module_utils.aws.module_runner import run

ARGUMENTS = {
    "cluster_name": {"type": "str", "required": True},
    "account_id": {"type": "str", "required": True},
    "configuration": {"type": "dict"},
    "parts": {"type": "list", "elements": "str", "choices": list(PARTS), "default": list(PARTS)},
}


def work(aws, params, changes):
    cluster = params["configuration"]
    zone = (cluster["dns"] or {}).get("zone_id") if cluster is not None else None
    found = Survey(aws, params["cluster_name"], params["account_id"], zone_id=zone).find()
    result = {
        "resources": [resource.report() for resource in found],
        "missing": None,
        "orphans": None,
        "old_versions": old_versions(found),
    }
    if cluster is not None:
        left_over = [
            {"resource": str(resource), "why": why, "note": resource.note} for resource, why in orphans(found, cluster)
        ]
        result.update(missing=missing(declared(cluster), found, params["parts"]), orphans=left_over)
    return result


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
