"""Five hundred clusters that have formed, whose bucket and nodes suffer what nobody should do to them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import plan
from ansible_collections.swarm.aws.plugins.module_utils._core.join import joiner
from ansible_collections.swarm.aws.plugins.module_utils._core.join.join_decision import Sighting
from ansible_collections.swarm.aws.plugins.module_utils._core.record_authority import Authority

from tests.simulation.living import Living
from tests.simulation.world import Broken

# More of them with `make soak`.
STORIES = int(os.environ.get("SWARM_SCHEDULES", "2000")) // 4
CHUNK = 250


@pytest.mark.fault(38)
@pytest.mark.fault(39)
@pytest.mark.fault(40)
@pytest.mark.fault(43)
@pytest.mark.parametrize("first", range(0, STORIES, CHUNK))
def test_no_story_makes_a_second_swarm_and_all_come_back(first: int) -> None:
    for seed in range(first, min(first + CHUNK, STORIES)):
        try:
            Living(seed).run()
        except Broken as error:
            pytest.fail(f"seed {seed}: {error} (replay it with `python -m tests.simulation living {seed}`)")


def nobody_is_asked(sightings: Sequence[Sighting], waited: float) -> str:
    """What was so once: the bucket decides alone who may initialise."""
    return ""


@pytest.mark.parametrize(
    ("where", "name", "instead", "why"),
    [
        (joiner, "hindrance", nobody_is_asked, "initialises a swarm beside"),
        (plan, "judge", lambda observed: Authority(True), "the bucket names"),
    ],
)
def test_the_simulator_catches(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, instead: Callable[..., object], why: str
) -> None:
    monkeypatch.setattr(where, name, instead)
    caught = False
    for seed in range(300):
        try:
            Living(seed).run()
        except Broken as error:
            caught = why in str(error)
        if caught:
            return
    pytest.fail("no story broke")
