"""The simulator can fail: each plan that is wrong on purpose is caught within a thousand stories."""

from __future__ import annotations

import pytest

from .broken import ALL, Break
from .invariants import Broken
from .schedule import tell

SCHEDULES = 1000


@pytest.mark.parametrize(("wrong", "told"), ALL, ids=lambda value: getattr(value, "__name__", None))
def test_a_wrong_plan_is_caught(wrong: Break, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong(monkeypatch)
    for seed in range(SCHEDULES):
        try:
            tell(seed)
        except Broken as error:
            if told in str(error):
                return
    pytest.fail(f"not caught in {SCHEDULES} stories")
