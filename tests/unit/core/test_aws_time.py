"""AWS's time by a host whose clock may be wrong, and the answers of AWS late."""

from __future__ import annotations

from math import floor

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.aws_time import TOLD, TOLERANCE, AwsTime
from hypothesis import given
from hypothesis import strategies as st

EPOCH = 1_700_000_000.0


class Host:
    """One whose clock is off by so many seconds."""

    def __init__(self, off: float = 0.0) -> None:
        self.true, self.off = EPOCH, off
        self.time = AwsTime(lambda: self.true + self.off, lambda: self.true - EPOCH)

    def asks(self, before: float, after: float = 0.0) -> None:
        """AWS answers so long after it was asked, and the answer takes so long."""
        self.true += before
        date = floor(self.true)
        self.true += after
        self.time.observe(date, before + after)

    @property
    def wrong(self) -> float:
        return self.time.now() - self.true


OFFSETS = st.one_of(st.floats(-1e5, 1e5), st.sampled_from([-600.0, -0.5, 0.0, 0.5, 600.0]))
TIMES = st.floats(0, 30)


@pytest.mark.fault(45)
@given(OFFSETS, st.lists(st.tuples(TIMES, TIMES, TIMES, st.one_of(st.none(), OFFSETS)), min_size=1, max_size=8))
def test_fault_45_the_error_is_at_most_the_duration_of_the_fastest_answer(
    off: float, answers: list[tuple[float, float, float, float | None]]
) -> None:
    """This holds for every host clock, and whenever somebody sets it."""
    host, most = Host(off), float("inf")
    for before, after, idle, jump in answers:
        host.asks(before, after)
        most = min(most, before + after + 1 + 2 * TOLERANCE)
        host.true += idle
        if jump is not None:
            host.off = jump
        assert abs(host.wrong) <= most + 1e-3


@given(st.lists(st.tuples(TIMES, TIMES), max_size=8))
def test_a_correct_clock_is_not_changed(answers: list[tuple[float, float]]) -> None:
    host = Host()
    for before, after in answers:
        host.asks(before, after)
        assert (host.wrong, host.time.flaw()) == (0.0, "")


def test_a_precise_measurement_outlives_a_slow_answer() -> None:
    host = Host(-12.0)
    host.asks(0.01, 0.01)
    host.asks(0.0, 20.0)
    assert abs(host.wrong) <= 1.1


def test_before_the_first_answer_of_aws_the_hosts_clock_counts() -> None:
    host = Host(600.0)
    assert (host.wrong, host.time.difference(), host.time.flaw()) == (600.0, 0.0, "")


@pytest.mark.fault(45)
@pytest.mark.parametrize(("off", "word"), [(600.0, "ahead of"), (-600.0, "behind")])
def test_fault_45_the_difference_is_reported_until_the_clock_is_right(off: float, word: str) -> None:
    host = Host(off)
    host.asks(0.1)
    told = host.time.flaw()
    assert any(f"The clock of this host is {seconds} s {word} AWS's time." in told for seconds in (599, 600, 601)), told
    host.off = TOLD / 2
    assert host.time.flaw() == ""
