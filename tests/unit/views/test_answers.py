"""Which hosts can act and why the others cannot, from their variables."""

from __future__ import annotations

import pytest
from ansible_collections.swarm.aws.plugins.filter.answers import answers


def test_hosts_are_grouped_by_their_answers() -> None:
    hostvars = {
        "a": {"state": {"manager": True, "msg": "fine"}},
        "b": {"state": {"manager": False, "msg": "The swarm has no leader."}},
        "c": {"state": {"failures": ["No journal."]}},
        "d": {},
        "other": {"state": {"manager": True}},
    }
    assert answers(hostvars, ["a", "b", "c", "d"], "state") == {
        "acting": ["a"],
        "answering": ["a", "b"],
        "silent": {"b": "The swarm has no leader.", "c": "It did not answer.", "d": "It did not answer."},
        "failures": {"c": ["No journal."]},
    }


def test_the_key_that_marks_an_acting_host_can_be_set() -> None:
    found = answers({"a": {"result": {"gathered": True}}, "b": {"result": {}}}, ["a", "b"], "result", "gathered")
    assert (found["acting"], list(found["silent"])) == (["a"], ["b"])


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Task failed: Timeout (12s)\n  waiting\n", "It did not answer: Timeout (12s) waiting"),
        ("It did not answer: Task failed: no Python", "It did not answer: no Python"),
        ("The engine rests.", "The engine rests."),
    ],
)
def test_a_reason_is_one_line_without_ansibles_own_words(message: str, reason: str) -> None:
    assert answers({"a": {"state": {"msg": message}}}, ["a"], "state")["silent"] == {"a": reason}
