"""The simulator can fail: it catches each deliberate mistake within a thousand stories."""

from __future__ import annotations

import pytest

from tests.simulation.invariant import Broken

from .broken import ALL, Break
from .schedule import run

SCHEDULES = 1000


@pytest.mark.parametrize(("mistake", "message"), ALL, ids=lambda value: getattr(value, "__name__", None))
def test_the_simulator_catches_a_deliberate_mistake(
    mistake: Break, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    for seed in range(SCHEDULES):
        try:
            run(seed)
        except Broken as error:
            if message in str(error):
                return
    pytest.fail(f"not caught in {SCHEDULES} stories")
