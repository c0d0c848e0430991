# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """Attributes of modules: check mode and diff."""

    READS = r"""
attributes:
  check_mode:
    description: Only reads.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
"""

    CHANGES = r"""
attributes:
  check_mode:
    description: Returns what it would change.
    support: full
  diff_mode:
    description: Shows what it changes, before and after.
    support: full
"""
