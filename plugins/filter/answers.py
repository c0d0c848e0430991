# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: answers
short_description: List the hosts that can act, and why the others cannot
version_added: 0.1.0
description:
  - Reads a variable of each host, such as what a task registered there. A host without it did not answer.
author: The swarm.aws maintainers (@swarm-aws)
options:
  _input:
    description: The variables of the hosts, C(hostvars).
    type: dict
    required: true
  hosts:
    description: Names of the hosts.
    type: list
    elements: str
    required: true
  variable:
    description: Name of the variable, a dictionary.
    type: str
    required: true
  key:
    description: The key that is true for a host that can act. A host whose answer has no such key did not answer.
    type: str
    default: manager
"""

EXAMPLES = r"""
- name: Show why managers cannot act
  ansible.builtin.debug:
    msg: "{{ (hostvars | swarm.aws.answers(ansible_play_hosts_all, 'state')).silent }}"
"""

RETURN = r"""
_value:
  description: >-
    C(acting), names of the hosts that can act; C(answering), names of the hosts that answered; C(silent), why each
    other host cannot act; C(failures), the failures of each host that named some.
  type: dict
"""

SILENCE = "It did not answer"


def answers(hostvars, hosts, variable, key="manager"):
    """The hosts' answers."""
    found = {host: hostvars[host].get(variable) or {} for host in hosts}
    return {
        "acting": [host for host, answer in found.items() if answer.get(key)],
        "answering": [host for host, answer in found.items() if key in answer],
        "silent": {host: _reason(answer) for host, answer in found.items() if not answer.get(key)},
        "failures": {host: answer["failures"] for host, answer in found.items() if answer.get("failures")},
    }


def _reason(answer):
    """Ansible's message without its prefix."""
    reason = " ".join(str(answer.get("msg", f"{SILENCE}.")).split()).replace(": Task failed:", ":")
    return reason.replace("Task failed:", f"{SILENCE}:", 1) if reason.startswith("Task failed:") else reason


class FilterModule:
    """Filters for hosts' answers."""

    def filters(self):
        return {"answers": answers}
