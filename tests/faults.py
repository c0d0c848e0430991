"""The faults that a cluster survives, and the tests that show it: `python -m tests.faults`.

The rows are those of the table in docs/faults.md; a test names its rows by ``@pytest.mark.fault(NUMBER)``.
Fails on a row without a test of each kind that it asks for, and on a test that names no row.
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
    """A fault, and the kinds of tests that have to show that it is survived: ``sim``, ``lab`` or both."""

    number: int
    fault: str
    kinds: frozenset[str]


@dataclass(frozen=True, order=True)
class Test:
    """A test by its file and name, without its parameters."""

    path: Path
    name: str

    @property
    def kind(self) -> str:
        return "lab" if "lab" in self.path.parts[:2] else "sim"

    @property
    def tier(self) -> str:
        """What runs it."""
        match self.path.parts[1:]:
            case ("lab", "parts", part, *_):
                return f"make test-long PART={part}"
            case ("lab", *_):
                return "make test"
        return "make check"


class _Collector:
    """A plugin of pytest's that notes which tests are marked with which faults."""

    def __init__(self) -> None:
        self.tests: dict[int, set[Test]] = defaultdict(set)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            for marker in item.iter_markers("fault"):
                path = item.path.relative_to(ROOT)
                self.tests[marker.args[0]].add(Test(path, item.nodeid.rpartition("::")[2].partition("[")[0]))


def rows() -> list[Row]:
    """The rows of the page's table."""
    return [
        Row(int(found["number"]), found["fault"], frozenset(found["kinds"].split(", ")))
        for found in _ROW.finditer(PAGE.read_text(encoding="utf-8"))
    ]


def marked() -> dict[int, set[Test]]:
    """The tests by the numbers of the faults that they are marked with, as pytest collects them."""
    collector, said = _Collector(), io.StringIO()
    with contextlib.redirect_stdout(said):
        words = ["--collect-only", "--quiet", "-p", "no:cacheprovider", "tests/unit", "tests/simulation", "tests/lab"]
        code = pytest.main(words, plugins=[collector])
    if code:
        sys.exit(f"The tests cannot be collected:\n{said.getvalue()[-3000:]}")
    return collector.tests


def main() -> int:
    """Print the table; 1 if a row or a test is left over."""
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
