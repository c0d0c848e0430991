"""The playbook that brings nodes back, with modules that answer what a test says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.playbooks import Bench

pytestmark = [
    pytest.mark.real("ansible-playbook: conditions and loops of playbooks are evaluated by Ansible alone"),
    pytest.mark.fault(43),
]

MANAGER, WORKER, WARM = "i-0000000000000000a", "i-0000000000000000b", "i-0000000000000000c"
SECOND = "i-0000000000000000d"
JOIN = "Join the swarm s1."


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A manager, a worker, and an instance of a warm pool."""
    bench = Bench(tmp_path, ["cluster_join", "cluster_info"], {"manager": [MANAGER], "worker": [WORKER, WARM]})
    bench.answers["cluster_info"] = [
        {"members": [node(MANAGER, "m1"), node(WORKER, "w1"), node(WARM, None, "Warmed:Stopped")]}
    ]
    return bench


def node(instance: str, identifier: str | None, lifecycle: str = "InService", state: str = "ready") -> dict[str, Any]:
    return {
        "instance": instance,
        "lifecycle": lifecycle,
        "node": identifier,
        "node_state": state if identifier else None,
    }


def member(identifier: str) -> dict[str, Any]:
    return {"node_id": identifier, "cluster_id": "s1", "next": "Nothing: this node is a member of the swarm s1."}


def out() -> dict[str, Any]:
    return {"changed": True, "node_id": None, "cluster_id": None, "next": JOIN}


def joins(asked: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """What was asked of cluster_join other than to look."""
    return [told for name, told in asked if name == "cluster_join" and told.get("timeout")]


def test_members_and_warm_instances_are_not_changed(bench: Bench) -> None:
    bench.answers["cluster_join"] = [member("m1"), member("w1"), out(), member("m1"), member("w1")]
    code, said, asked = bench.run("join.yml")
    assert code == 0, said[-3000:]
    assert f"Nothing to do: {MANAGER}, {WORKER} in the swarm already." in said
    assert [told.get("deleted_node") for told in joins(asked)] == [None, None]
    assert "changed=1" not in said


def test_nodes_that_left_or_were_deleted_return_and_are_waited_for(bench: Bench) -> None:
    """The worker's engine has the ID of a node that the managers do not have."""
    back = {**member("m2"), "changed": True}, {**member("w2"), "changed": True}
    bench.answers["cluster_join"] = [out(), member("w1"), out(), *back]
    left = [node(MANAGER, "m1", state="down"), node(WORKER, None), node(WARM, None, "Warmed:Running")]
    bench.answers["cluster_info"] = [
        {"members": left},
        {"members": [node(MANAGER, "m2"), node(WORKER, "w2"), node(WARM, None, "Warmed:Running")]},
    ]
    code, said, asked = bench.run("join.yml", "-e", "timeout=5")
    assert code == 0, said[-3000:]
    assert [told.get("deleted_node") for told in joins(asked)] == [None, "w1"]
    assert [told["check"] for name, told in asked if name == "cluster_join"] == [True] * 3 + [False] * 2
    assert f"{MANAGER} is in the swarm again, as the node m2." in said
    assert f"{WORKER} is in the swarm again, as the node w2." in said


def test_check_mode_reports_the_next_step_of_an_instance(bench: Bench) -> None:
    bench.answers["cluster_join"] = [out()]
    code, said, asked = bench.run("join.yml", "--check", "-e", f"id={WORKER}")
    assert code == 0, said[-3000:]
    assert f"{WORKER} would join again. First: {JOIN}" in said
    assert [told["check"] for _, told in asked] == [True] * 3


def test_a_node_that_is_not_ready_on_the_managers_is_named(bench: Bench) -> None:
    bench.answers["cluster_join"] = [member("w1")]
    bench.answers["cluster_info"] = [{"members": [node(WORKER, "w1", state="down")]}]
    code, said, _ = bench.run("join.yml", "-e", f"id={WORKER}", "-e", "timeout=5")
    assert code != 0
    assert f"The engine of {WORKER} is in the swarm, but its node is not ready on the managers" in said


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("i-xyz", "id is 'i-xyz', which is not an instance ID: expected i- and 17 hexadecimal digits."),
        ("i-0123456789abcdef0", "no instance of the cluster 'example' with that ID is running"),
        (WARM, f"{WARM} is Warmed:Stopped in its Auto Scaling group, so it does not join the swarm"),
    ],
)
def test_an_invalid_instance_is_refused_in_a_sentence(bench: Bench, given: str, sentence: str) -> None:
    bench.answers["cluster_join"] = [out()]
    code, said, asked = bench.run("join.yml", "-e", f"id={given}")
    assert code != 0
    assert sentence in said
    assert joins(asked) == []


def test_an_engine_of_another_swarm_is_not_changed_and_others_join(bench: Bench) -> None:
    foreign = {"failed": True, "msg": "This node is a member of the swarm s2"}
    bench.answers["cluster_join"] = [member("m1"), foreign, out(), member("m1")]
    code, said, asked = bench.run("join.yml")
    assert code != 0
    assert "This node is a member of the swarm s2" in said
    assert f"Nothing to do: {MANAGER} in the swarm already." in said
    assert len(joins(asked)) == 1


# A new swarm, where there is none any more

NEW_SWARM = json.dumps({"id": MANAGER, "new_swarm": True})
CLAIM = "There is no swarm yet. Claim the right to initialise it."


def test_a_new_swarm_is_created_on_one_manager_if_none_can_act(bench: Bench) -> None:
    """The engine has the ID of a node that no manager lists, which is no reason to leave its swarm."""
    bench.answers["stack_nodes"] = [{"manager": False, "msg": "The engine is in no swarm."}]
    bench.answers["cluster_join"] = [
        {**member("n0"), "next": CLAIM, "changed": True},
        {**member("m1"), "changed": True},
    ]
    code, said, asked = bench.run("join.yml", "-e", NEW_SWARM)
    assert code == 0, said[-3000:]
    assert [name for name, _ in asked] == ["cluster_join", "cluster_join", "cluster_info"]
    assert [(told["new_swarm"], told.get("deleted_node")) for told in joins(asked)] == [(True, None)]
    assert f"{MANAGER} is in the swarm again, as the node m1." in said


def test_check_mode_reports_the_creation_of_a_new_swarm(bench: Bench) -> None:
    bench.answers["stack_nodes"] = [{"manager": False, "msg": "The engine is in no swarm."}]
    bench.answers["cluster_join"] = [{**out(), "next": CLAIM}]
    code, said, asked = bench.run("join.yml", "--check", "-e", NEW_SWARM)
    assert code == 0, said[-3000:]
    assert f"{MANAGER} would join again. First: {CLAIM}" in said
    assert [told["check"] for _, told in asked] == [True] * 2


def test_an_existing_new_swarm_is_not_changed(bench: Bench) -> None:
    bench.answers["cluster_join"] = [member("m1")]
    code, said, _ = bench.run("join.yml", "-e", NEW_SWARM)
    assert code == 0, said[-3000:]
    assert f"Nothing to do: {MANAGER} in the swarm already." in said


@pytest.mark.parametrize("given", [None, "", WORKER, f"{MANAGER},{SECOND}", "all", "swarm_role_manager"])
def test_a_new_swarm_needs_one_manager(bench: Bench, given: str | None) -> None:
    words = {"new_swarm": "yes"} if given is None else {"new_swarm": "yes", "id": given}
    code, said, asked = bench.run("join.yml", "-e", json.dumps(words))
    assert (code, asked) == (2, [])
    no_manager = (
        f"new_swarm is true, but id is '{given or ''}', which is not a running manager of the cluster: set "
        "the manager on which to create the swarm with -e id=i-…."
    )
    no_instance = f"id is '{given}', which is not an instance ID"
    assert (no_manager if given in (None, "", WORKER) else no_instance) in said


def test_a_new_swarm_is_refused_while_another_lives(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ["cluster_join", "cluster_info"], {"manager": [MANAGER, SECOND]})
    bench.answers["stack_nodes"] = [{"manager": False, "msg": "The engine is in no swarm."}, {"manager": True}]
    code, said, asked = bench.run("join.yml", "-e", NEW_SWARM)
    assert (code, asked) == (2, [])
    assert (
        f"new_swarm is true, but {SECOND} can act, so a swarm exists: remove new_swarm, and {MANAGER} "
        "joins it. Nothing was done."
    ) in said


def test_new_swarm_is_true_or_false(bench: Bench) -> None:
    code, said, asked = bench.run("join.yml", "-e", json.dumps({"id": MANAGER, "new_swarm": "ture"}))
    assert (code, asked) == (2, [])
    assert "new_swarm is 'ture', but must be true or false" in said
