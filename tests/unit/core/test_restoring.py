"""Where a swarm is brought back, and from what."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.backup_schedule import BackupError
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import ClusterRecord
from ansible_collections.swarm.aws.plugins.module_utils._core.restore_choice import (
    BACKUP,
    SURVIVOR,
    CannotRestore,
    Choice,
    Manager,
    choose,
)
from ansible_collections.swarm.aws.plugins.modules import restore_info

CLUSTER_RECORD = ClusterRecord("formed", "i-1", "", 3, "swarm")
CLAIM = ClusterRecord("claimed", "i-1", "", 1)
NAMES = ["20260102T000000Z-i-01", "20260101T000000Z-i-01"]
EMPTY, OTHER = Manager("i-2", "inactive"), Manager("i-3", "inactive")
LEFT = Manager("i-1", "active", "swarm", log="0000-0001.wal")
WORKS = Manager("i-1", "active", "swarm", works=True, voters=3, reachable=3)


def chosen(
    *managers: Manager, cluster_record: ClusterRecord | None = CLUSTER_RECORD, names: list[str] = NAMES, **more: Any
) -> Choice:
    return choose(managers, cluster_record, names, cluster="demo", **more)


@pytest.mark.fault(36)
def test_fault_36_a_survivor_is_preferred_to_every_backup() -> None:
    choice = chosen(EMPTY, LEFT, OTHER)
    assert (choice.instance, choice.source, choice.backup) == ("i-1", SURVIVOR, "")
    assert "nothing is lost" in choice.reason


@pytest.mark.fault(36)
def test_fault_36_a_manager_without_a_swarm_restores_the_newest_backup() -> None:
    stuck = Manager("i-0", "pending")
    choice = chosen(stuck, OTHER, EMPTY)
    assert (choice.instance, choice.source, choice.backup) == ("i-2", BACKUP, NAMES[0])
    assert chosen(LEFT, EMPTY, OTHER, wanted=NAMES[1]).backup == NAMES[1]


def test_the_survivor_with_the_longest_log_is_chosen() -> None:
    behind, ahead = Manager("i-8", "active", "swarm", log="0-1.wal"), Manager("i-4", "active", "swarm", log="0-2.wal")
    assert chosen(behind, ahead).instance == "i-4"


def test_a_locked_state_is_no_survivor_and_a_backup_is_used() -> None:
    assert chosen(Manager("i-1", "active", "swarm", locked=True), EMPTY).source == BACKUP


def test_a_working_swarm_is_only_replaced_with_force() -> None:
    with pytest.raises(CannotRestore, match=r"3 of 3 managers reachable, .* Nothing was done, .*force=demo"):
        chosen(WORKS, EMPTY)
    with pytest.raises(CannotRestore, match="force is 'yes', but the cluster is 'demo'"):
        chosen(WORKS, force="yes")
    assert chosen(WORKS, EMPTY, force="demo").source == BACKUP


def test_a_node_of_another_swarm_is_no_survivor() -> None:
    assert chosen(Manager("i-1", "active", "foreign", works=True), EMPTY).source == BACKUP


@pytest.mark.parametrize("begun", [LEFT, EMPTY])
def test_a_stopped_restore_continues_on_its_instance(begun: Manager) -> None:
    again = Manager("i-9", begun.state, begun.cluster_id, begun=True)
    cluster_record = CLUSTER_RECORD.restoring("i-9", "")
    assert chosen(OTHER, LEFT if begun is LEFT else EMPTY, again, cluster_record=cluster_record).instance == "i-9"


def test_a_restore_whose_instance_is_lost_starts_on_another() -> None:
    assert chosen(WORKS, EMPTY, cluster_record=CLUSTER_RECORD.restoring("i-9", ""), wanted=NAMES[0]).instance == "i-2"


def test_a_missing_instance_or_backup_is_reported() -> None:
    with pytest.raises(CannotRestore, match="No manager's instance can be reached"):
        chosen()
    with pytest.raises(CannotRestore, match=r"^The bucket has no backup of the swarm, .* from\.$"):
        chosen(EMPTY, names=[])
    with pytest.raises(BackupError, match="There is no backup 'x'"):
        chosen(EMPTY, wanted="x")


def test_a_bucket_with_only_backups_restores_the_newest() -> None:
    assert chosen(EMPTY, cluster_record=None).backup == NAMES[0]


# The module, with the answers of all managers


def answer(manager: Manager, cluster_record: ClusterRecord | None = CLUSTER_RECORD) -> dict[str, Any]:
    published = json.loads(json.dumps(asdict(cluster_record))) if cluster_record else None
    return {"cluster": "demo", "manager": asdict(manager), "published": published, "backups": NAMES}


def test_the_newest_record_of_the_answers_counts() -> None:
    older = replace(CLUSTER_RECORD, cluster_id="other", generation=1)
    found = restore_info.choice([answer(EMPTY, older), answer(LEFT), {"msg": "unreachable"}], None, None)
    assert (found["instance"], found["source"]) == ("i-1", SURVIVOR)
    assert restore_info.choice([answer(EMPTY, None), answer(LEFT)], NAMES[1], "")["backup"] == NAMES[1]


def test_without_an_answer_the_reasons_are_told() -> None:
    with pytest.raises(CannotRestore, match=r"^No manager's instance returns its state: The engine rests\.$"):
        restore_info.choice([{"msg": "The engine rests."}], None, None)
    with pytest.raises(CannotRestore, match="No manager's instance can be reached"):
        restore_info.choice([], None, None)


# Without a backup, or without the cluster's record

NO_BACKUP = "The bucket has no backup of the swarm, so there is nothing to restore it from."
WORKING = (
    "The swarm works: 3 of 3 managers reachable, quorum 2. Its state (swarm) is on i-1. Nothing was done, since no "
    "restore is needed."
)
NO_RECORD = (
    "The cluster's record in the bucket names no swarm: if this is the cluster's, its leader's agent writes the record "
    "again within half a minute, and playbooks/status.yml shows whether it has. If not, put an older "
    "version of cluster.json back."
)
FORCED = "To restore a backup nevertheless, which loses everything after it, add -e force=demo."
UNBACKED = "There is no backup: playbooks/backup.yml makes a backup."
CONTINUE = "and run playbooks/restore.yml again, which uses that state and needs no backup."


def refusal(*managers: Manager, **more: Any) -> str:
    with pytest.raises(CannotRestore) as refused:
        chosen(*managers, **more)
    return str(refused.value)


@pytest.mark.parametrize(
    ("cluster_record", "why"), [(CLUSTER_RECORD, ""), (None, f" {NO_RECORD}"), (CLAIM, f" {NO_RECORD}")]
)
@pytest.mark.parametrize(("names", "then"), [(NAMES, FORCED), ([], UNBACKED)])
def test_a_working_swarm_is_reported_with_its_quorum(
    cluster_record: ClusterRecord | None, why: str, names: list[str], then: str
) -> None:
    assert refusal(EMPTY, WORKS, cluster_record=cluster_record, names=names) == f"{WORKING}{why} {then}"


def test_all_managers_with_the_swarms_state_are_named() -> None:
    others = [replace(WORKS, instance=name) for name in ("i-3", "i-2")]
    assert "Its state (swarm) is on i-1, i-2, i-3. " in refusal(WORKS, *others, names=[])


def test_force_without_a_backup_reports_that_the_swarm_works() -> None:
    assert refusal(WORKS, EMPTY, names=[], force="demo") == (
        f"{NO_BACKUP} The swarm swarm works on i-1: 3 of 3 managers reachable, quorum 2. It needs no restore."
    )


@pytest.mark.parametrize("names", [[], NAMES])
def test_a_survivor_is_enough_without_a_record(names: list[str]) -> None:
    choice = chosen(EMPTY, LEFT, replace(LEFT, instance="i-2", log="0000-0002.wal"), cluster_record=None, names=names)
    assert (choice.instance, choice.source, choice.backup) == ("i-2", SURVIVOR, "")
    assert choice.reason == "i-2 still has the state of the swarm swarm, so nothing is lost."


def test_a_survivor_is_enough_without_a_backup() -> None:
    assert chosen(EMPTY, LEFT, names=[]).source == SURVIVOR


def test_a_stopped_restore_continues_without_a_record() -> None:
    cluster_record = ClusterRecord("restoring", "i-1", "", 1)
    choice = chosen(replace(LEFT, begun=True), replace(LEFT, instance="i-2"), cluster_record=cluster_record, names=[])
    assert (choice.instance, choice.source) == ("i-1", SURVIVOR)


@pytest.mark.parametrize("asked", [{"wanted": NAMES[0]}, {"force": "demo"}])
def test_a_request_for_a_missing_backup_names_the_survivors(asked: dict[str, str]) -> None:
    assert refusal(LEFT, EMPTY, names=[], **asked) == (
        f"{NO_BACKUP} The state of the swarm swarm is on i-1, without a leader. Remove -e backup and -e force, "
        f"{CONTINUE}"
    )


def test_unused_survivors_are_named_with_the_reason() -> None:
    locked, foreign = replace(LEFT, locked=True), replace(LEFT, instance="i-2", cluster_id="other")
    mine, others = (
        f"The state of the swarm {swarm} is on {name}, without a leader."
        for swarm, name in (("swarm", "i-1"), ("other", "i-2"))
    )
    delete = (
        "The cluster's record in the bucket names swarm: if other is the cluster's swarm, delete cluster.json from "
    )
    assert refusal(locked, EMPTY, names=[]) == (
        f"{NO_BACKUP} {mine} It is locked (autolock), and Docker cannot create a new swarm from a locked state: start "
        "enough of its managers again for a quorum."
    )
    assert refusal(foreign, EMPTY, names=[]) == f"{NO_BACKUP} {others} {delete}the bucket, {CONTINUE}"
    assert refusal(replace(foreign, works=True, voters=1, reachable=1), names=[]) == (
        f"{NO_BACKUP} The swarm other works on i-2: 1 of 1 manager reachable, quorum 1. It needs no restore. "
        f"{delete}the bucket, and its leader's agent writes it again."
    )
    assert refusal(LEFT, foreign, cluster_record=None, names=[]) == (
        f"{NO_BACKUP} {mine} {others} The bucket does not say which of them is the cluster's: put an older version of "
        f"cluster.json back, or terminate the instances of the others, {CONTINUE}"
    )
