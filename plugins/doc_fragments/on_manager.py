# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """Common options of the modules that run on a node, mostly a manager, with its own credentials."""

    DOCUMENTATION = r"""
options:
  cluster:
    description: Name of the cluster. The default is in the host's C(/etc/swarm-agent/config.json).
    type: str
  region:
    description: Region of the cluster. The default is in the same file.
    type: str
  bucket:
    description: Bucket of the cluster. The default is in the same file.
    type: str
requirements:
  - boto3
  - docker (Python SDK)
"""

    STACK = r"""
options:
  name:
    description: Name of the stack.
    type: str
    required: true
requirements:
  - docker (Python SDK)
  - docker (command line)
"""
