"""The table of the documentation's commands, and the files that pages name.

tests/lab/parts/pages runs the commands that are not in the table.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.lab import documented

LAB = Path(documented.__file__).parent
ROOT = LAB.parents[1]


def test_every_pattern_matches_a_documented_command() -> None:
    commands = documented.commands()
    unused = [
        pattern
        for pattern in (*documented.THERE, *documented.NOWHERE)
        if not any(re.fullmatch(pattern, command) for command in commands)
    ]
    assert unused == []


def test_every_test_named_in_the_table_exists() -> None:
    written = "".join(path.read_text() for path in LAB.glob("*/**/test_*.py"))
    assert [name for name in documented.THERE.values() if f"def {name}(" not in written] == []


@pytest.mark.parametrize("page", ["architecture", "glossary"])
def test_every_file_that_a_page_names_exists(page: str) -> None:
    folders = ("docs", "inventories", "lab", "playbooks", "plugins", "roles", "runtime", "tests", "tools")
    files = [f"/{path.relative_to(ROOT)}" for folder in folders for path in (ROOT / folder).rglob("*.*")]
    named = set(re.findall(r"[\w./-]+\.(?:py|yml|j2)\b", (ROOT / f"docs/{page}.md").read_text())) - {"site.yml"}
    assert [name for name in sorted(named) if not any(file.endswith(f"/{name}") for file in files)] == []
