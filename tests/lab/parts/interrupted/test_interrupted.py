"""A first run that is killed after each of its tasks is finished by the next; on an account without engines."""

from __future__ import annotations

import itertools
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.site import say
from tests.unit.roles.account import RolesAccount, roles_account

WORDS = ("site.yml", "--skip-tags", "stack")
# How often a plan is made of what a killed run has left.
PLANNED = 8


@pytest.fixture
def account(tmp_path: Path) -> Iterator[RolesAccount]:
    with roles_account(tmp_path) as made:
        yield made


def killed_after(account: RolesAccount, tasks: int) -> bool:
    """Run site.yml until so many tasks have ended and the next one begins, and kill it; whether it came so far."""
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
    begun = 0
    try:
        for line in process.stdout:
            begun += line.startswith("TASK [")
            if begun > tasks:
                return True
        assert process.wait() == 0
        return False
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.fault(32)
def test_fault_32_runs_that_are_each_killed_one_task_later_get_to_the_end(account: RolesAccount) -> None:
    for tasks in itertools.count(1):
        if not killed_after(account, tasks):
            break
        if tasks % PLANNED == 0:
            plan = account.playbook("playbooks/plan.yml")
            assert (plan.code, plan.writes) == (0, []), plan.output[-4000:]
    say(f"{tasks - 1} runs were killed")
    assert tasks > 25
    last = account.playbook(*WORDS)
    assert (last.code, dict(last.changed), last.writes) == (0, {}, []), last.output[-4000:]
    plan = account.playbook("playbooks/plan.yml")
    assert "Nothing is to be changed." in plan.output and "No orphans" in plan.output, plan.output[-4000:]
