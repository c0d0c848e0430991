# Copyright (c) The swarm.aws maintainers
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: document
type: stdout
short_description: Print only the document of a view
version_added: 0.1.0
description:
  - Prints only the document of a playbook such as C(swarm.aws.status), so that it can be piped into C(jq) and other
    commands. Failures are printed on standard error, and the exit code is Ansible's own.
  - The document is what the playbook sets with M(ansible.builtin.set_stats) as C(swarm_aws_document). A string is
    printed as it is, anything else as JSON.
author: The swarm.aws maintainers (@swarm-aws)
requirements:
  - set in E(ANSIBLE_STDOUT_CALLBACK)
"""

import json
import sys

from ansible.plugins.callback import CallbackBase

DOCUMENT = "swarm_aws_document"


class CallbackModule(CallbackBase):
    """Silent until the end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "swarm.aws.document"

    def v2_playbook_on_stats(self, stats):
        document = stats.custom.get("_run", {}).get(DOCUMENT)
        if document is not None:
            print(document if isinstance(document, str) else json.dumps(document, indent=2))

    def v2_runner_on_failed(self, result, ignore_errors=False):
        if not ignore_errors:
            self._complain(result, result.result.get("msg") or "failed")

    def v2_runner_item_on_failed(self, result):
        self._complain(result, result.result.get("msg") or "failed")

    def v2_runner_on_unreachable(self, result):
        # A view that does not need all nodes shows by itself which do not answer.
        if not result.task.ignore_unreachable:
            self._complain(result, f"is unreachable: {result.result.get('msg')}")

    def _complain(self, result, message):
        print(f"{result.host.get_name()}: {message}", file=sys.stderr)
