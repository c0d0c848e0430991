# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: table
short_description: Format rows as an aligned table
version_added: 0.1.0
description:
  - Formats a list of dictionaries as text, with a line for each below the headings.
  - Null and empty values are shown as a dash, and a boolean as yes or no.
author: The swarm.aws maintainers (@swarm-aws)
options:
  _input:
    description: The rows.
    type: list
    elements: dict
    required: true
  columns:
    description:
      - Headings and their keys. With a list of keys, the first value that is not null is shown.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the groups
  ansible.builtin.debug:
    msg: "{{ cluster.groups | swarm.aws.table({'GROUP': 'group', 'HAS': 'in_service', 'WANTS': 'desired'}) }}"
"""

RETURN = r"""
_value:
  description: The table, without a newline at its end.
  type: str
"""

from ansible.errors import AnsibleFilterError


def table(rows, columns):
    """The rows as a string."""
    if not isinstance(rows, (list, tuple)) or not isinstance(columns, dict):
        raise AnsibleFilterError("table needs a list of dictionaries and a dictionary of headings and keys.")
    lines = [list(columns)]
    for row in rows:
        lines.append([_shown(row, [keys] if isinstance(keys, str) else keys) for keys in columns.values()])
    widths = [max(len(line[number]) for line in lines) for number in range(len(columns))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _shown(row, keys):
    value = next((row[key] for key in keys if row.get(key) is not None), None)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None or value == "" else str(value)


class FilterModule:
    """Filters for output."""

    def filters(self):
        return {"table": table}
