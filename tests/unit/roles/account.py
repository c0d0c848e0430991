"""An account in memory, and roles that ansible-playbook runs in it as ``site.yml`` would.

    with roles_account(tmp_path) as account:
        first = account.run("events")                     # after the role `check`, with inventories/lab
        assert first.code == 0, first.output
        assert "Create the event queues" in first.changed
        assert account.run("events", check=True).writes == []
        account.aws.client("sqs")                         # what others do by hand
        account.run("events", "iam", logs=None, iam_key_arn="arn:…")    # other configuration, other variables

A run takes seconds, so a module shares an account: a fixture of the scope ``module``. The tests have the marker
``real(REASON)``, and do not depend on each other's order.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from lab.aws.account import STRICT, AccountProfile
from tests.unit.lab.fakes import ACCOUNT_ID, REGION, LittleAws, little_aws

__all__ = ["ACCOUNT_ID", "REGION", "RolesAccount", "Run", "roles_account"]

ROOT = Path(__file__).resolve().parents[3]
REASON = "ansible-playbook: what a task makes of the account is what amazon.aws does there"
READS = ("BatchGet", "Describe", "Get", "Head", "List", "Lookup", "Search", "Simulate", "AssumeRole")
# What a test deletes is gone when the next playbook looks.
PROFILE = replace(STRICT, linger_seconds=1)
_TASK = re.compile(r"^TASK \[(?:[\w.]+ : )?(.*)\] \*+$")
_GROUPS = ("amazon.aws.aws", "community.aws.aws", "swarm.aws.all")


@dataclass(frozen=True)
class Run:
    """What a run of ansible-playbook said and did."""

    code: int
    output: str
    changed: Mapping[str, int]
    """Names of the tasks that changed something, in their order, and how many of their items did."""
    writes: list[str]
    """The requests that were not only to read, in their order, such as ``sqs:CreateQueue``."""


class RolesAccount:
    """The account and its playbooks."""

    root = ROOT

    def __init__(self, aws: LittleAws, folder: Path) -> None:
        self.aws, self._folder = aws, folder
        self._key = {"AccessKeyId": "lab", "SecretAccessKey": "nothing-to-hide"}
        aws.client("route53").create_hosted_zone(Name="swarm.test", CallerReference="1")
        aws.client("ec2").create_key_pair(KeyName="lab")

    def become(self, user: str, policies: Mapping[str, Any]) -> None:
        """Have playbooks run as a new IAM user with these managed policies and no others."""
        self._key = self.aws.user(user, managed=policies)

    def run(self, *roles: str, check: bool = False, words: tuple[str, ...] = (), **variables: Any) -> Run:
        """Run the role check, then these.

        Variables are the configuration's, in place of those of ``inventories/lab``, or a role's own. ``words`` are more
        of the command line, such as ``--diff``.
        """
        playbook = self._folder / "roles.yml"
        playbook.write_text(yaml.safe_dump([_play(roles)], sort_keys=False))
        return self.playbook(str(playbook), *words, *(["--check"] if check else []), **variables)

    def playbook(self, *words: str, **variables: Any) -> Run:
        """Run a playbook, with words of the command line, and variables in place of those of ``inventories/lab``."""
        self.aws.control("DELETE", "calls")
        done = subprocess.run(
            ["ansible-playbook", *words, "-e", json.dumps(variables)],
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        writes = [
            f"{call['service']}:{call['action']}"
            for call in self.aws.control("GET", "calls")
            if not call["action"].startswith(READS)
        ]
        return Run(done.returncode, done.stdout + done.stderr, _changed(done.stdout), writes)

    def environment(self) -> dict[str, str]:
        """What points ansible-playbook at the account."""
        return {
            **os.environ,
            "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_ACCESS_KEY_ID": self._key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": self._key["SecretAccessKey"],
            "AWS_REGION": REGION,
            "ANSIBLE_INVENTORY": str(ROOT / "inventories/lab"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_FORCE_COLOR": "0",
        }


@contextmanager
def roles_account(folder: Path, profile: AccountProfile = PROFILE) -> Iterator[RolesAccount]:
    """A fresh account for as long as the context lasts; ``folder`` is for the playbooks."""
    with little_aws(profile) as aws:
        yield RolesAccount(aws, folder)


def _play(roles: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": "Run the roles",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "module_defaults": {f"group/{group}": {"region": "{{ region }}"} for group in _GROUPS},
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "tasks": [
            {"name": f"Run the role {role}", "ansible.builtin.include_role": {"name": f"swarm.aws.{role}"}}
            for role in ("check", *roles)
        ],
    }


def _changed(output: str) -> dict[str, int]:
    """The tasks that changed something. A loop's task is counted by its items."""
    changed: dict[str, int] = {}
    task = ""
    for line in output.splitlines():
        if found := _TASK.match(line):
            task = found[1]
        elif line.startswith("changed: ["):
            changed[task] = changed.get(task, 0) + 1
    return changed
