"""A thousand stories, each with its own weather: no invariant breaks, and all clusters converge."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.invariant import Broken

from .schedule import run

# `make soak` runs more.
SCHEDULES = int(os.environ.get("SWARM_SCHEDULES", "1000"))
CHUNK = 100
# The share of stories that lose so many managers at once that only a restore helps.
LOST_AT_MOST = 0.03


def chunk(first: int) -> tuple[list[str], int]:
    """The failures of a chunk of stories, and how many lost the quorum."""
    failures, lost = [], 0
    for seed in range(first, min(first + CHUNK, SCHEDULES)):
        try:
            lost += run(seed).swarm.lost
        except Broken as error:
            failures.append(f"seed {seed}: {error} (replay it with `python -m tests.simulation control_plane {seed}`)")
    return failures, lost


@pytest.mark.fault(16)
@pytest.mark.fault(30)
def test_no_schedule_breaks_an_invariant_and_all_converge() -> None:
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("fork")) as pool:
        results = list(pool.map(chunk, range(0, SCHEDULES, CHUNK)))
    failures = [failure for found, _ in results for failure in found]
    assert not failures, f"{len(failures)} of {SCHEDULES}: " + "\n".join(failures[:10])
    assert sum(lost for _, lost in results) <= SCHEDULES * LOST_AT_MOST


def test_a_plan_is_not_applied_after_its_agent_froze() -> None:
    """The story, found among 100,000, in which another agent led meanwhile and the record had a dead node."""
    run(38520)


def test_the_same_seed_gives_the_same_story(capsys: pytest.CaptureFixture[str]) -> None:
    stories = []
    for _ in range(2):
        run(17, trace=True)
        stories.append(capsys.readouterr().out)
    assert stories[0] == stories[1]
    assert "fault" in stories[0]
