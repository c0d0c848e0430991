# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: pairs
short_description: Make a dictionary from two values of each item
version_added: 0.1.0
description:
  - Makes a dictionary with an entry for each item that has both values. Other items are left out, such as resources
    that a task in check mode did not create.
author: The swarm.aws maintainers (@swarm-aws)
options:
  _input:
    description: The items.
    type: list
    elements: dict
    required: true
  key:
    description: Path of the key in each item, such as V(tags.Name).
    type: str
    required: true
  value:
    description: Path of the value in each item.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Map the subnets' names to IDs
  ansible.builtin.set_fact:
    ids: "{{ found.subnets | swarm.aws.pairs('tags.Name', 'subnet_id') }}"
"""

RETURN = r"""
_value:
  description: The dictionary.
  type: dict
"""


def pairs(items, key, value):
    """The dictionary."""
    found = ((_at(item, key), _at(item, value)) for item in items)
    return {left: right for left, right in found if left is not None and right is not None}


def _at(item, path):
    for name in path.split("."):
        item = item.get(name) if isinstance(item, dict) else None
    return item


class FilterModule:
    """Filters for tasks' results."""

    def filters(self):
        return {"pairs": pairs}
