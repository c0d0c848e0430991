# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """What the modules that run on a node, nearly all on a manager, with its own credentials have in common."""

    DOCUMENTATION = r"""
options:
  cluster:
    description: Name of the cluster. By default the one of the host's C(/etc/swarm-agent/config.json).
    type: str
  region:
    description: Its region, by default that of the same file.
    type: str
  bucket:
    description: Its bucket, by default that of the same file.
    type: str
requirements:
  - boto3
  - docker (Python SDK)
"""
