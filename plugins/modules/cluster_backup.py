#!/usr/bin/python
# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_backup
short_description: Back up the state of a swarm
version_added: 0.1.0
description:
  - Copies the swarm's Raft state (services, networks, secrets, configs and nodes) from the manager that it runs on to
    the cluster's bucket, and deletes the oldest backups beyond the number to keep.
  - The engine is held for the fraction of a second that the copy takes. Containers keep running.
  - The archive is encrypted with the cluster's key, and a manifest has its SHA-256. Workers cannot read it.
  - Volumes are not backed up.
author: The swarm.aws maintainers (@swarm-aws)
extends_documentation_fragment:
  - swarm.aws.on_manager
  - swarm.aws.attributes.changes
seealso:
  - module: swarm.aws.cluster_restore
"""

EXAMPLES = r"""
- name: Back up the swarm
  swarm.aws.cluster_backup:
  become: true
"""

RETURN = r"""
backup:
  description: The backup. Null in check mode.
  returned: success
  type: dict
  contains:
    name:
      description: Its name, which begins with the time in UTC.
      type: str
      sample: 20260102T030405Z-i-0123456789abcdef0
    sha256:
      description: SHA-256 of the archive.
      type: str
    size:
      description: Size of the archive in bytes.
      type: int
    counts:
      description: Number of nodes, services, secrets and configs in the swarm.
      type: dict
      sample: {services: 4, secrets: 2, configs: 3, nodes: 4}
held_seconds:
  description: Seconds for which the engine was held.
  returned: success
  type: float
  sample: 0.12
removed:
  description: Names of the deleted backups.
  returned: success
  type: list
  elements: str
"""

from dataclasses import asdict

from ..module_utils.adapters.backup_job import BackupJob
from ..module_utils.verbs.on_manager import place, run


def work(module):
    job = BackupJob(**place(module.params))
    policy = job.policy()
    done = job.preview(policy) if module.check_mode else job.now(policy)
    manifest = None if done.manifest is None else asdict(done.manifest)
    after = manifest["name"] if manifest else "a backup of now"
    return {
        "changed": True,
        "backup": manifest,
        "held_seconds": round(done.held, 3),
        "removed": done.removed,
        "diff": {"before": "".join(f"{name}\n" for name in done.removed), "after": f"{after}\n"},
    }


def main() -> None:
    run({}, work)


if __name__ == "__main__":
    main()
