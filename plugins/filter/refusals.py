# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: refusals
short_description: What is wrong with the values of variables
version_added: 0.1.0
description:
  - Says of each variable whose value is not of its option's type what it is and what it must be.
  - A text is taken for what it reads as, since C(-e name=value) gives nothing but texts.
author: The swarm.aws maintainers (@swarm-aws)
options:
  _input:
    description: The variables, by their names.
    type: dict
    required: true
  options:
    description: The option of an argument spec that each is for, by the variable's name.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse what cannot be meant
  ansible.builtin.fail:
    msg: "{{ {'force': 'maybe'} | swarm.aws.refusals(options) | join(' ') }}"
  vars:
    options: {force: {type: bool, description: Whether to insist.}}
"""

RETURN = r"""
_value:
  description: A sentence for each that is wrong.
  type: list
  elements: str
  sample: ["force is 'maybe', but must be true or false: Whether to insist."]
"""

from ..module_utils.account.variables import refusals


class FilterModule:
    """Filters for the command line."""

    def filters(self):
        return {"refusals": refusals}
