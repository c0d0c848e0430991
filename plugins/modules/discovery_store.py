#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: discovery_store
short_description: Keep the bucket through which the nodes of a swarm find each other
version_added: 0.1.0
description:
  - Keeps a private, versioned bucket that is encrypted with a KMS key of its own.
  - Keeps in it the agent's bundle, named after its content, and C(policy.json), by which the agents go.
  - What the agents themselves put there is left alone.
author:
  - The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.kept
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
options:
  bucket:
    description: Name of the bucket.
    type: str
    required: true
  bucket_policy:
    description: The bucket's policy.
    type: dict
    required: true
  key_alias:
    description: Alias of the KMS key, without C(alias/).
    type: str
    required: true
  agent_root:
    description: Folder on this host with the collection, of which the agent's bundle is made.
    type: path
    required: true
  policy:
    description: Content of C(policy.json).
    type: dict
    required: true
  unlock_keys:
    description:
      - Name of a secret in Secrets Manager for the unlock keys of managers that lock their state, where the agents put
        them. Without it there is none.
    type: str
"""

EXAMPLES = r"""
- name: Keep the bucket
  swarm.aws.discovery_store:
    region: eu-west-1
    cluster_name: example
    bucket: example-swarm-123456789012-eu-west-1
    bucket_policy: "{{ lookup('ansible.builtin.template', 'bucket-policy.json.j2') | from_json }}"
    key_alias: example-swarm
    agent_root: "{{ role_path | dirname | dirname }}"
    policy:
      cluster: example
      groups:
        manager: {role: manager, labels: {}, dns: true}
        worker: {role: worker, labels: {}, dns: false}
      queue: example-events
      dns: null
"""

RETURN = r"""
key_arn:
  description: The KMS key. Null if it is to come.
  returned: success
  type: str
  sample: arn:aws:kms:eu-west-1:123456789012:key/0b8a1d1e-6d2c-4c0e-8c55-1f7c1f0e7c11
bundle_key:
  description: The object with the agent's bundle.
  returned: success
  type: str
  sample: agent/5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03.pyz
bundle_sha256:
  description: The bundle's SHA-256.
  returned: success
  type: str
  sample: 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
changes:
  description: What was, or in check mode would be, created, updated or deleted.
  returned: always
  type: list
  elements: str
  sample: [create the VPC example]
api_calls:
  description: How many requests it sent to AWS.
  returned: always
  type: int
  sample: 7
"""

import hashlib
from pathlib import Path

from ..module_utils.provision import bundle
from ..module_utils.provision.errors import ProvisionError
from ..module_utils.provision.shell import TAGS_ARGUMENT, run
from ..module_utils.provision.store import Keeper, Store

ARGUMENTS = {
    "cluster_name": {"type": "str", "required": True},
    "tags": TAGS_ARGUMENT,
    "bucket": {"type": "str", "required": True},
    "bucket_policy": {"type": "dict", "required": True},
    "key_alias": {"type": "str", "required": True, "no_log": False},
    "agent_root": {"type": "path", "required": True},
    "policy": {"type": "dict", "required": True},
    "unlock_keys": {"type": "str", "no_log": False},
}


def work(aws, params, changes):
    try:
        content = bundle.pack(Path(params["agent_root"]))
    except bundle.BundleError as error:
        raise ProvisionError(str(error)) from error
    digest = hashlib.sha256(content).hexdigest()
    wanted = Store(
        params["cluster_name"], params["bucket"], params["key_alias"], params["bucket_policy"], params["tags"]
    )
    keeper = Keeper(aws, wanted, changes)
    key_arn = keeper.key()
    if params["unlock_keys"]:
        keeper.secret(params["unlock_keys"], key_arn)
    there = keeper.bucket(key_arn)
    bundle_key = keeper.bundle(content, digest, there=there)
    keeper.policy(params["policy"], there=there)
    return {"key_arn": key_arn, "bundle_key": bundle_key, "bundle_sha256": digest}


def main():
    run(ARGUMENTS, work)


if __name__ == "__main__":
    main()
