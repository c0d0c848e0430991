# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: refusals
short_description: Find invalid values of variables
version_added: 0.1.0
description:
  - Returns a sentence for each required variable that is missing, and for each value that is not of its option's type.
  - A string is read as its option's type, since C(-e name=value) only gives strings.
author: The swarm.aws maintainers (@swarm-aws)
options:
  _input:
    description: The variables, by name.
    type: dict
    required: true
  options:
    description: The options of an argument spec, by the variable's name.
    type: dict
    required: true
  required:
    description: Sentences for variables that must not be missing or empty, by the variable's name.
    type: dict
"""

EXAMPLES = r"""
- name: Refuse invalid values
  ansible.builtin.fail:
    msg: "{{ {'force': 'maybe'} | swarm.aws.refusals(options) | join(' ') }}"
  vars:
    options: {force: {type: bool, description: Whether to insist.}}
"""

RETURN = r"""
_value:
  description: A sentence for each invalid value.
  type: list
  elements: str
  sample: ["force is 'maybe', but must be true or false: Whether to insist."]
"""

from ..module_utils.account.variables import refusals


class FilterModule:
    """Filters for the command line."""

    def filters(self):
        return {"refusals": refusals}
