# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """Common options of the modules that manage a cluster's resources."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Returns what it would change, also if nothing exists yet.
    support: full
  diff_mode:
    description: Shows every resource before and after.
    support: full
options:
  cluster_name:
    description: Name of the cluster, for the names and tags of its resources.
    type: str
    required: true
  tags:
    description: Additional tags for all resources. Other tags stay.
    type: dict
    default: {}
"""

    CLUSTER = r"""
options:
  cluster_name:
    description: Name of the cluster.
    type: str
    required: true
"""
