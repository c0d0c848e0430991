"""The page of the first run quotes refusals that the code has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("plugins/module_utils/account", "plugins/module_utils/_core")
_, TABLE = (ROOT / "docs/first-run.md").read_text().split("## Refusals")
QUOTED = re.findall(r"^\| ([^|]*…[^|]*) \|", TABLE, re.MULTILINE)


def _texts(path: Path) -> Iterator[str]:
    """All texts in a file, with `…` in place of values."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


TEXTS = "\n".join(text for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")) for text in _texts(path))


def test_the_table_has_refusals() -> None:
    assert len(QUOTED) > 10


@pytest.mark.parametrize("sentence", QUOTED)
def test_a_quoted_refusal_is_in_the_code(sentence: str) -> None:
    """A sentence may be made of several texts, so each part between values is looked for."""
    parts = [part.strip() for part in sentence.split("…")]
    assert [part for part in parts if part and part not in TEXTS] == []
