"""A first run that is killed after each of its tasks is completed by the next, on an account without engines."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.site import say
from tests.unit.roles.account import RolesAccount, roles_account

WORDS = ("site.yml", "--skip-tags", "stack")


@pytest.fixture
def account(tmp_path: Path) -> Iterator[RolesAccount]:
    with roles_account(tmp_path) as made:
        yield made


def killed_after_a_change(account: RolesAccount) -> bool:
    """Run site.yml, and kill it when the next task begins after a change. Returns whether it was killed."""
    process = subprocess.Popen(
        ["ansible-playbook", *WORDS],
        env=account.environment(),
        cwd=account.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    changed, said = False, ""
    try:
        for line in process.stdout:
            said += line
            changed = changed or line.startswith("changed: [")
            if changed and line.startswith("TASK ["):
                return True
        assert process.wait() == 0, said[-4000:]
        return False
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.fault(32)
def test_fault_32_runs_killed_after_each_change_converge(account: RolesAccount) -> None:
    killed = 0
    while killed_after_a_change(account):
        killed += 1
        # Each plan takes as long as a run.
        if killed % 4 == 0:
            plan = account.playbook("playbooks/plan.yml")
            assert (plan.code, plan.writes) == (0, []), plan.output[-4000:]
    say(f"{killed} runs were killed")
    assert killed > 15
    last = account.playbook(*WORDS)
    assert (last.code, dict(last.changed), last.writes) == (0, {}, []), last.output[-4000:]
    plan = account.playbook("playbooks/plan.yml")
    assert "Nothing to change." in plan.output and "No orphans" in plan.output, plan.output[-4000:]
