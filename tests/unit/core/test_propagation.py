"""When a record counts as known to all name servers."""

from __future__ import annotations

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Record
from ansible_collections.swarm.aws.plugins.module_utils._core.dns_propagation import TYPICAL, Propagation
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable

OLD, NEW = Record(("198.51.100.1",), 10, "us"), Record(("198.51.100.2",), 10, "us")


def never(change: str) -> bool:
    return False


def refused(change: str) -> bool:
    raise Unavailable("AccessDenied")


def test_a_foreign_change_counts_from_when_it_was_seen():
    propagation = Propagation(never)
    assert [propagation.over(OLD, at) for at in (0.0, TYPICAL - 1, TYPICAL)] == [False, False, True]
    assert [propagation.over(NEW, at) for at in (100.0, 100 + TYPICAL)] == [False, True]


@pytest.mark.parametrize(("ask", "after_a_while"), [(never, False), (refused, True)])
def test_a_change_is_awaited_unless_its_state_is_unknown(ask, after_a_while):
    propagation = Propagation(ask)
    propagation.wrote(OLD, "C1", 0.0)
    assert [propagation.over(OLD, at) for at in (1.0, TYPICAL)] == [False, after_a_while]


def test_an_overwritten_change_says_nothing_about_the_record():
    propagation = Propagation(lambda change: True)
    propagation.wrote(OLD, "C1", 0.0)
    assert propagation.over(OLD, 1.0)
    assert not propagation.over(NEW, 2.0)
