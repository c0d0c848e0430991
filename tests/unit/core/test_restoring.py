"""Where a swarm is brought back, and from what."""

from __future__ import annotations

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.backups import BackupError
from ansible_collections.swarm.aws.plugins.module_utils._core.join.truth import Truth
from ansible_collections.swarm.aws.plugins.module_utils._core.restoring import (
    BACKUP,
    SURVIVOR,
    CannotRestore,
    Choice,
    Manager,
    choose,
)

TRUTH = Truth("formed", "i-1", "", 3, "swarm")
NAMES = ["20260102T000000Z-i-01", "20260101T000000Z-i-01"]
EMPTY, OTHER = Manager("i-2", "inactive"), Manager("i-3", "inactive")
LEFT = Manager("i-1", "active", "swarm", log="0000-0001.wal")
WORKS = Manager("i-1", "active", "swarm", works=True, voters=3, reachable=3)


def chosen(*managers: Manager, truth: Truth | None = TRUTH, names: list[str] = NAMES, **more: str) -> Choice:
    return choose(managers, truth, names, cluster="demo", **more)


@pytest.mark.fault(36)
def test_fault_36_a_survivor_comes_before_every_backup() -> None:
    choice = chosen(EMPTY, LEFT, OTHER)
    assert (choice.instance, choice.source, choice.backup) == ("i-1", SURVIVOR, "")
    assert "nothing of it is lost" in choice.reason


@pytest.mark.fault(36)
def test_fault_36_the_newest_backup_is_restored_on_a_manager_that_is_in_no_swarm() -> None:
    stuck = Manager("i-0", "pending")
    choice = chosen(stuck, OTHER, EMPTY)
    assert (choice.instance, choice.source, choice.backup) == ("i-2", BACKUP, NAMES[0])
    assert chosen(LEFT, EMPTY, OTHER, wanted=NAMES[1]).backup == NAMES[1]


def test_of_several_survivors_the_one_whose_log_goes_farthest_is_taken() -> None:
    behind, ahead = Manager("i-8", "active", "swarm", log="0-1.wal"), Manager("i-4", "active", "swarm", log="0-2.wal")
    assert chosen(behind, ahead).instance == "i-4"


def test_a_locked_state_makes_no_new_swarm_and_its_backups_do() -> None:
    assert chosen(Manager("i-1", "active", "swarm", locked=True), EMPTY).source == BACKUP


def test_a_swarm_that_works_is_left_alone_unless_its_name_is_given() -> None:
    with pytest.raises(CannotRestore, match=r"3 of 3 managers are heard\. Nothing was done\. .*force=demo"):
        chosen(WORKS, EMPTY)
    with pytest.raises(CannotRestore, match="force is 'yes', but this is the cluster 'demo'"):
        chosen(WORKS, force="yes")
    assert chosen(WORKS, EMPTY, force="demo").source == BACKUP


def test_another_swarm_is_no_survivor() -> None:
    assert chosen(Manager("i-1", "active", "foreign", works=True), EMPTY).source == BACKUP


@pytest.mark.parametrize("begun", [LEFT, EMPTY])
def test_a_restore_that_was_stopped_goes_on(begun: Manager) -> None:
    again = Manager("i-9", begun.state, begun.cluster_id, begun=True)
    truth = TRUTH.restoring("i-9", "")
    assert chosen(OTHER, LEFT if begun is LEFT else EMPTY, again, truth=truth).instance == "i-9"


def test_a_restore_whose_host_is_lost_begins_on_another_one() -> None:
    assert chosen(WORKS, EMPTY, truth=TRUTH.restoring("i-9", ""), wanted=NAMES[0]).instance == "i-2"


def test_nothing_to_restore_on_or_from_is_said() -> None:
    with pytest.raises(CannotRestore, match="No manager's instance can be reached"):
        chosen()
    with pytest.raises(BackupError, match="no backup"):
        chosen(EMPTY, names=[])
    with pytest.raises(BackupError, match="There is no backup 'x'"):
        chosen(EMPTY, wanted="x")


def test_an_empty_bucket_but_for_backups_takes_one() -> None:
    assert chosen(EMPTY, truth=None).backup == NAMES[0]
