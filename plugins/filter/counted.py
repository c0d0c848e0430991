# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: counted
short_description: Write a count with its noun
version_added: 0.1.0
description:
  - Puts the noun into the plural unless the count is 1.
author: The swarm.aws maintainers (@swarm-aws)
options:
  _input:
    description: The count.
    type: int
    required: true
  noun:
    description: The noun in the singular.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show the size
  ansible.builtin.debug:
    msg: "The group has {{ group.desired | swarm.aws.counted('instance') }}."
"""

RETURN = r"""
_value:
  description: The count and its noun.
  type: str
  sample: 1 instance
"""

from ..module_utils._core.counting import counted


class FilterModule:
    """Filters for counts."""

    def filters(self):
        return {"counted": counted}
