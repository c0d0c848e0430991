"""Two thousand boots, each with its own weather, and the election that the simulator must catch."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulation import naive
from tests.simulation.invariant import Broken
from tests.simulation.joining_cluster import JoiningCluster
from tests.simulation.weather import Weather

# `make soak` runs more.
SCHEDULES = int(os.environ.get("SWARM_SCHEDULES", "2000"))
CHUNK = 1_000
# The share of schedules in which a swarm's only manager dies as it is published, so that only a restore helps.
LOST_AT_MOST = 0.005
NAIVE_SCHEDULES = 200


@pytest.mark.fault(1)
@pytest.mark.parametrize("first", range(0, SCHEDULES, CHUNK))
def test_fault_01_no_schedule_makes_a_second_cluster_and_all_nodes_join(first: int) -> None:
    lost = 0
    for seed in range(first, min(first + CHUNK, SCHEDULES)):
        world = JoiningCluster(seed)
        try:
            world.run()
        except Broken as error:
            pytest.fail(f"seed {seed}: {error} (replay it with `python -m tests.simulation {seed}`)")
        lost += world.lost
    assert lost <= CHUNK * LOST_AT_MOST


def rates(most: float) -> st.SearchStrategy[float]:
    return st.one_of(st.just(0.0), st.floats(0.01, most))


@settings(max_examples=300, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32),
    weather=st.builds(
        Weather,
        managers=st.integers(1, 5),
        workers=st.integers(0, 2),
        boot_spread=st.floats(0, 120),
        stall=rates(0.5),
        refuse=rates(0.5),
        lose_reply=rates(0.5),
        delay_write=rates(0.5),
        repeat_write=rates(0.5),
        conflict=rates(0.5),
        stale=rates(1.0),
        engine_hiccup=rates(0.1),
        slow_join=rates(0.8),
        crashes=st.integers(0, 5),
        rotations=st.integers(0, 3),
    ),
)
def test_no_weather_makes_a_second_cluster(seed: int, weather: Weather) -> None:
    JoiningCluster(seed, weather).run()


def test_the_same_seed_gives_the_same_story(capsys: pytest.CaptureFixture[str]) -> None:
    stories = []
    for _ in range(2):
        JoiningCluster(17, trace=True).run()
        stories.append(capsys.readouterr().out)
    assert stories[0] == stories[1]
    assert "joined" in stories[0]


def test_the_simulator_catches_the_election_by_check_put_and_sleep() -> None:
    splits = 0
    for seed in range(NAIVE_SCHEDULES):
        try:
            naive.world(seed).run()
        except Broken as error:
            splits += "two clusters" in str(error)
    assert splits > 0
