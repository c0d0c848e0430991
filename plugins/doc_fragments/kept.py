# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """What the modules that keep a cluster's resources have in common."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Says what it would change, also where nothing exists yet.
    support: full
  diff_mode:
    description: Shows every resource before and after.
    support: full
options:
  cluster_name:
    description: Name of the cluster, by which its resources are named and tagged.
    type: str
    required: true
  tags:
    description: More tags for all of the resources. Tags that others added stay.
    type: dict
    default: {}
"""
