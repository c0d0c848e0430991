"""Five hundred formed clusters, whose bucket and nodes somebody damages."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import plan
from ansible_collections.swarm.aws.plugins.module_utils._core.join import joiner
from ansible_collections.swarm.aws.plugins.module_utils._core.join.join_decision import Sighting
from ansible_collections.swarm.aws.plugins.module_utils._core.record_authority import Authority

from tests.simulation.invariant import Broken
from tests.simulation.membership import Membership

# `make soak` runs more.
STORIES = int(os.environ.get("SWARM_SCHEDULES", "2000")) // 4
CHUNK = 250


@pytest.mark.fault(38)
@pytest.mark.fault(39)
@pytest.mark.fault(40)
@pytest.mark.fault(43)
@pytest.mark.parametrize("first", range(0, STORIES, CHUNK))
def test_no_story_makes_a_second_swarm_and_all_nodes_join_again(first: int) -> None:
    for seed in range(first, min(first + CHUNK, STORIES)):
        try:
            Membership(seed).run()
        except Broken as error:
            pytest.fail(f"seed {seed}: {error} (replay it with `python -m tests.simulation membership {seed}`)")


def no_hindrance(sightings: Sequence[Sighting], waited: float) -> str:
    """The earlier behaviour: the bucket alone decides which node may initialise a swarm."""
    return ""


@pytest.mark.parametrize(
    ("where", "name", "instead", "why"),
    [
        (joiner, "hindrance", no_hindrance, "initialises a swarm beside"),
        (plan, "judge", lambda observed: Authority(True), "the bucket names"),
    ],
)
def test_the_simulator_catches_a_second_swarm(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, instead: Callable[..., object], why: str
) -> None:
    monkeypatch.setattr(where, name, instead)
    caught = False
    for seed in range(300):
        try:
            Membership(seed).run()
        except Broken as error:
            caught = why in str(error)
        if caught:
            return
    pytest.fail("no story broke")
