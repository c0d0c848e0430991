"""Input as nobody should send it: texts that break decoders, values of any shape, good documents with a bad spot."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

DEEP = "[" * 100_000
# Each broke a parser, or would break a plain one.
TEXTS = (
    DEEP,
    DEEP + "]" * 100_000,
    '{"detail":' * 100_000,
    "9" * 5000,
    "1e999",
    "NaN",
    "-Infinity",
    "\ud800",
    '"\\ud800"',
    "\x00",
    "{",
    "",
)
# As a label, a tag or a number within a document.
NUMBERS = ("nan", "inf", "-inf", "1e999", "-1", "9" * 400, "9" * 5000, "٣", "1_0", "", " ", "0x1", "1e308")
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(10**400), 2**63, 1e308]),
    st.floats(),
    st.sampled_from(NUMBERS),
    st.text(st.characters(), max_size=8),
    st.text(st.characters(categories=["Cs"]), min_size=1, max_size=2),
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
texts = st.one_of(st.text(), st.sampled_from(TEXTS), values.map(json.dumps))


@st.composite
def spoiled(draw: st.DrawFn, document: Any) -> Any:
    """The document with some of its values replaced by anything, or taken out."""
    result = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        paths = list(_paths(result, ()))
        if not paths:
            return draw(values)
        *way, last = draw(st.sampled_from(paths))
        parent = result
        for key in way:
            parent = parent[key]
        if draw(st.booleans()):
            parent[last] = draw(values)
        else:
            del parent[last]
    return result


def _paths(value: Any, way: tuple[Any, ...]) -> Any:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in list(inner):
        yield (*way, key)
        yield from _paths(one, (*way, key))


def encoded(document: Any) -> st.SearchStrategy[str]:
    """Any text, and the document spoiled, as JSON."""
    return st.one_of(texts, spoiled(document).map(json.dumps))
