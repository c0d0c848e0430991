"""Print the faults that a cluster survives, with their tests: `python -m tests.faults`.

The rows are in the table of docs/faults.md; a test has the number of a row in ``@pytest.mark.fault(NUMBER)``.
Fails if a row lacks a test of a kind that it needs, or if a test has a number without a row.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/faults.md"
_ROW = re.compile(r"^\| (?P<number>\d+) \| (?P<fault>.+?) \| .+ \| (?P<kinds>[a-z, ]+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """A fault, and the kinds of tests that it needs: ``sim``, ``lab`` or both."""

    number: int
    fault: str
    kinds: frozenset[str]


@dataclass(frozen=True, order=True)
class Test:
    """A test's file and name, without parameters."""

    path: Path
    name: str

    @property
    def kind(self) -> str:
        return "lab" if "lab" in self.path.parts[:2] else "sim"

    @property
    def tier(self) -> str:
        """The command that runs it."""
        match self.path.parts[1:]:
            case ("lab", "parts", part, *_):
                return f"make test-long PART={part}"
            case ("lab", *_):
                return "make test"
        return "make check"


class _Collector:
    """A pytest plugin that collects the tests of each fault."""

    def __init__(self) -> None:
        self.tests: dict[int, set[Test]] = defaultdict(set)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            for marker in item.iter_markers("fault"):
                path = item.path.relative_to(ROOT)
                self.tests[marker.args[0]].add(Test(path, item.nodeid.rpartition("::")[2].partition("[")[0]))


def rows() -> list[Row]:
    """The rows of the table."""
    return [
        Row(int(row["number"]), row["fault"], frozenset(row["kinds"].split(", ")))
        for row in _ROW.finditer(PAGE.read_text(encoding="utf-8"))
    ]


def marked() -> dict[int, set[Test]]:
    """The tests by the number of their fault."""
    collector, output = _Collector(), io.StringIO()
    with contextlib.redirect_stdout(output):
        arguments = [
            "--collect-only",
            "--quiet",
            "-p",
            "no:cacheprovider",
            "tests/unit",
            "tests/simulation",
            "tests/lab",
        ]
        code = pytest.main(arguments, plugins=[collector])
    if code:
        sys.exit(f"The tests cannot be collected:\n{output.getvalue()[-3000:]}")
    return collector.tests


def main() -> int:
    """Print the table. Returns 1 if a row lacks a test or a test lacks a row."""
    table, tests = rows(), marked()
    wrong = [f"{PAGE.name} has no row {number}" for number in sorted(tests.keys() - {row.number for row in table})]
    for row in table:
        print(f"{row.number:3} {row.fault}")
        for test in sorted(tests[row.number]):
            print(f"      {test.tier}: {test.path}::{test.name}")
        missing = row.kinds - {test.kind for test in tests[row.number]}
        wrong += [f"row {row.number} has no {kind} test" for kind in sorted(missing)]
    print(f"{len(table)} faults, {len(set().union(*tests.values()))} tests")
    if wrong:
        print("Wrong: " + "; ".join(wrong), file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
