"""Nouns after a count."""

from __future__ import annotations

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.counting import counted


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (0, "task", "0 tasks"),
        (1, "task", "1 task"),
        (2, "more instance", "2 more instances"),
        (2, "entry", "2 entries"),
        (2, "key", "2 keys"),
        (2, "address", "2 addresses"),
    ],
)
def test_a_noun_is_in_the_plural_unless_its_count_is_one(count: int, noun: str, text: str) -> None:
    assert counted(count, noun) == text
