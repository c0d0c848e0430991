"""What `site.yml --check` prints about an empty account."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.unit.roles.account import REASON, roles_account

pytestmark = pytest.mark.real(REASON)


def test_site_yml_in_check_mode_names_each_thing_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with roles_account(tmp_path) as account:
        environment = {**account.environment(), "ANSIBLE_STDOUT_CALLBACK": "swarm.aws.terminal"}
        monkeypatch.setattr(account, "environment", lambda: environment)
        run = account.playbook("site.yml", "--check")

    assert (run.code, run.writes) == (0, []), run.output[-4000:]
    tasks, _, _ = run.output.partition("PLAY RECAP")
    lines = [line.strip() for line in tasks.splitlines() if line.strip()]
    assert [line for line, times in Counter(lines).items() if times > 1] == []
    for resource in ("alarm example/node-down", "queue example-events", "object policy.json", "VPC example"):
        assert [line for line in lines if line.endswith(resource)] == [f"+ {resource}"]
