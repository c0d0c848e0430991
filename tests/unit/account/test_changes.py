"""How changes are made, noted and shown."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.aws.changes import Changes


def never() -> Any:
    raise AssertionError("check mode has no effects")


def fail() -> Any:
    raise RuntimeError("refused")


def test_check_mode_reports_the_same_changes_as_a_run_and_writes_nothing() -> None:
    real, check = Changes(check_mode=False), Changes(check_mode=True)
    made: list[int] = []
    assert real.apply("VPC x", None, {"cidr": "10.20.0.0/16"}, lambda: made.append(1) or "vpc-1") == "vpc-1"
    assert check.apply("VPC x", None, {"cidr": "10.20.0.0/16"}, never) is None
    assert made == [1]
    assert real.result() == check.result()
    assert real.result()["changed"]


@pytest.mark.parametrize(
    ("before", "after", "verb"), [(None, "new", "create"), ("old", "new", "update"), ("old", None, "delete")]
)
def test_a_change_has_a_sentence_and_a_diff(before: str | None, after: str | None, verb: str) -> None:
    changes = Changes(check_mode=True)
    changes.apply("queue x", before, after, never)
    result = changes.result()
    assert result["changes"] == [f"{verb} the queue x"]
    assert result["diff"] == [
        {"before_header": "queue x", "after_header": "queue x", "before": before or "", "after": after or ""}
    ]


def test_a_failed_change_is_not_reported_but_earlier_changes_are() -> None:
    changes = Changes(check_mode=False)
    changes.apply("VPC x", None, "there", lambda: None)
    with pytest.raises(RuntimeError):
        changes.apply("subnet x", None, "there", fail)
    assert changes.result()["changes"] == ["create the VPC x"]


def test_without_changes_the_result_is_empty() -> None:
    assert Changes(check_mode=False).result() == {"changed": False, "changes": [], "diff": []}
