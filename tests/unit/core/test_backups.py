"""Which backups are kept, when the next is due, and which manager takes it."""

from __future__ import annotations

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import backup_schedule
from ansible_collections.swarm.aws.plugins.module_utils._core.backup_schedule import BackupError, Manifest
from hypothesis import given
from hypothesis import strategies as st

from .memory_cluster import node

COUNTS = {"nodes": 4, "services": 4, "secrets": 2, "configs": 3}
MANIFEST = Manifest(
    "20260102T030405Z-i-01", "demo", "swarm", "i-01", "node", "10.0.0.1", "26.1", 1767323045.0, "ab", 7, COUNTS
)
times = st.integers(min_value=0, max_value=4102444800)


@given(times, st.integers(min_value=0, max_value=2**68))
def test_a_name_contains_its_time_and_sorts_by_it(at: int, number: int) -> None:
    name = backup_schedule.name_of(at, f"i-{number:017x}")
    assert backup_schedule.taken_at(name) == at
    assert backup_schedule.newest_first([name, backup_schedule.name_of(at + 1, "i-0")])[1] == name


@given(st.lists(times, unique=True), st.integers(min_value=1, max_value=20))
def test_the_newest_backups_are_kept(moments: list[int], keep: int) -> None:
    names = [backup_schedule.name_of(at, "i-01") for at in moments]
    gone = backup_schedule.superseded([*names, "notes", ""], keep)
    kept = set(names) - set(gone)
    assert len(kept) == min(keep, len(names))
    assert not gone or min(kept) > max(gone)


@pytest.mark.parametrize(
    ("age", "every", "due"), [(None, 60, True), (59, 60, False), (60, 60, True), (-5, 60, False), (1e9, None, False)]
)
def test_a_backup_is_due_when_the_newest_is_old(age: float | None, every: float | None, due: bool) -> None:
    now = 2_000_000_000
    assert backup_schedule.due([] if age is None else [backup_schedule.name_of(now - age, "i-01")], every, now) is due


def test_no_backup_is_due_if_backups_are_disabled() -> None:
    assert not backup_schedule.due([], 0, 0)


def test_a_follower_makes_the_backup_and_the_leader_if_it_is_alone() -> None:
    nodes = [node(1, leader=True), node(2, reachable=False), node(4), node(3)]
    assert [node.id for node in nodes if backup_schedule.on_duty(nodes, node.id)] == ["n003"]
    assert backup_schedule.on_duty(nodes[:2], "n001")
    assert not backup_schedule.on_duty([], "n001")


def test_a_manifest_is_decoded_as_encoded() -> None:
    assert Manifest.decode(MANIFEST.encode()) == MANIFEST
    assert MANIFEST.summary == "20260102T030405Z-i-01 (4 nodes, 4 services, 2 secrets, 3 configs)"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"format": 2}', b'{"format": 1, "counts": 3}'])
def test_an_invalid_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(BackupError, match="manifest"):
        Manifest.decode(content)


def test_a_backup_is_chosen_by_name_or_as_the_newest() -> None:
    names = ["20260101T000000Z-i-01", "20260103T000000Z-i-01", "20260102T000000Z-i-01"]
    assert backup_schedule.chosen(names, "") == names[1]
    assert backup_schedule.chosen(names, names[0]) == names[0]
    with pytest.raises(BackupError, match=r"no backup 'x'\. The newest are 20260103T000000Z-i-01, 2026"):
        backup_schedule.chosen(names, "x")
    with pytest.raises(BackupError, match="no backup of the swarm"):
        backup_schedule.chosen([], "")


@pytest.mark.fault(37)
def test_fault_37_an_altered_backup_is_refused_and_an_older_is_offered() -> None:
    older = "20260101T000000Z-i-01"
    text = str(backup_schedule.refused(MANIFEST, "it is shorter", ["20260103T000000Z-i-01", MANIFEST.name, older]))
    assert text == (
        f"The backup {MANIFEST.name} is damaged: it is shorter. The backup before it is "
        f"{older}: use it with -e backup={older}."
    )
    assert str(backup_schedule.refused(MANIFEST, "it is shorter", [MANIFEST.name])).endswith(
        "There is no older backup."
    )
