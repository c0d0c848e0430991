#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_policy
short_description: Write the policy of a swarm's agents into its bucket
version_added: 0.1.0
description:
  - Writes C(policy.json), which has the configuration for the agents, if its content differs.
  - C(amazon.aws.s3_object) compares an object's ETag with an MD5, but the ETag of an object with KMS encryption is not
    an MD5.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.attributes.changes
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  bucket:
    description: Name of the bucket.
    type: str
    required: true
  policy:
    description: Content of C(policy.json).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write the agents' policy
  swarm.aws.cluster_policy:
    region: eu-west-1
    bucket: example-swarm-123456789012-eu-west-1
    policy:
      cluster: example
      groups:
        manager: {role: manager, labels: {}, dns: true}
        worker: {role: worker, labels: {}, dns: false}
      queue: example-events
      dns: null
"""

RETURN = r"""
bucket_exists:
  description: Whether the bucket exists. In check mode it may not exist yet.
  returned: success
  type: bool
  sample: true
changes:
  description: What was created or updated, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [update the object policy.json]
"""

from ..module_utils.account.bucket import write_policy
from ..module_utils.aws.module_runner import run

ARGUMENTS = {
    "bucket": {"type": "str", "required": True},
    "policy": {"type": "dict", "required": True},
}


def work(aws, params, changes):
    return {"bucket_exists": write_policy(aws, params["bucket"], params["policy"], changes)}


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
