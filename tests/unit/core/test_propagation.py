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


def test_what_somebody_else_wrote_counts_from_when_it_was_seen():
    propagation = Propagation(never)
    assert [propagation.over(OLD, at) for at in (0.0, TYPICAL - 1, TYPICAL)] == [False, False, True]
    assert [propagation.over(NEW, at) for at in (100.0, 100 + TYPICAL)] == [False, True]


@pytest.mark.parametrize(("ask", "after_a_while"), [(never, False), (refused, True)])
def test_a_change_is_waited_for_unless_it_cannot_be_asked_after(ask, after_a_while):
    propagation = Propagation(ask)
    propagation.wrote(OLD, "C1", 0.0)
    assert [propagation.over(OLD, at) for at in (1.0, TYPICAL)] == [False, after_a_while]


def test_a_change_that_was_overtaken_says_nothing_of_what_stands_there():
    propagation = Propagation(lambda change: True)
    propagation.wrote(OLD, "C1", 0.0)
    assert propagation.over(OLD, 1.0)
    assert not propagation.over(NEW, 2.0)
