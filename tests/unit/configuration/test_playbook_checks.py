"""No playbook works in another account than the configured one, and each can be read in twenty seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

PLAYBOOKS = Path(__file__).resolve().parents[3] / "playbooks"
CHECK, VARIABLES = "_verify_account.yml", "_check_variables.yml"
# Whose first role is the whole check, which has this one in it.
WHOLE_CHECK = {"plan.yml", "site.yml"}


def plays(name: str) -> list[dict[str, Any]]:
    return yaml.safe_load((PLAYBOOKS / name).read_text())


def only_reads_the_command_line(play: dict[str, Any]) -> bool:
    """Whether all that a play can do is to refuse what was asked for."""
    imported = play.get("ansible.builtin.import_playbook")
    if imported is not None:
        return imported == VARIABLES or all(only_reads_the_command_line(play) for play in plays(imported))
    tasks = play.get("tasks", [])
    return bool(tasks) and all("ansible.builtin.fail" in task or "ansible.builtin.assert" in task for task in tasks)


def begins_with_the_check(name: str) -> bool:
    first = next(play for play in plays(name) if not only_reads_the_command_line(play))
    imported = first.get("ansible.builtin.import_playbook")
    if imported is not None:
        return imported == CHECK or begins_with_the_check(imported)
    role = first["roles"][0]
    return name in WHOLE_CHECK and role in ("swarm.aws.check", {"role": "swarm.aws.check", "tags": ["always"]})


@pytest.mark.fault(34)
@pytest.mark.parametrize("name", sorted(path.name for path in PLAYBOOKS.glob("[!_]*.yml")))
def test_fault_34_a_playbook_verifies_the_account_first(name: str) -> None:
    assert begins_with_the_check(name)


@pytest.mark.parametrize("name", sorted(path.name for path in PLAYBOOKS.glob("*.yml")))
def test_a_playbook_has_at_most_30_lines(name: str) -> None:
    assert len((PLAYBOOKS / name).read_text().splitlines()) <= 30
