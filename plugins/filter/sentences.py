# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: sentences
short_description: Describe the state of a cluster in sentences
version_added: 0.1.0
description:
  - Describes the quorum, the DNS record, the target groups, the leader's agent's next actions and the missing facts.
  - Skips unknown values.
author: The swarm.aws maintainers (@swarm-aws)
options:
  _input:
    description: The result of M(swarm.aws.cluster_info), or some of its keys.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the quorum
  ansible.builtin.debug:
    msg: "{{ {'quorum': told.quorum} | swarm.aws.sentences }}"
"""

RETURN = r"""
_value:
  description: The sentences.
  type: list
  elements: str
  sample: ["Quorum: 3 of 3 managers reachable, quorum 2, 1 may fail"]
"""

from ..module_utils.account.sentences import sentences


class FilterModule:
    """Filters for sentences."""

    def filters(self):
        return {"sentences": lambda status: list(sentences(status))}
