"""The table of the documentation's commands; tests/lab/parts/pages runs the commands that are not in it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.lab import documented

LAB = Path(documented.__file__).parent


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
