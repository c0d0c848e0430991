"""The playbooks that remove, scale and upgrade, with modules that answer what a test says and note each question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit import playbooks

pytestmark = pytest.mark.real("ansible-playbook: conditions and loops of playbooks are evaluated by Ansible alone")

MODULES = ("node_rollout", "node_group_size", "node_drain", "service_rebalance")
CONFIG = {
    "region": "eu-west-1",
    "cluster_name": "example",
    "node_groups": [
        {"name": "manager", "desired": 3, "scaling": None},
        {"name": "worker", "desired": 3, "scaling": None},
        {"name": "burst", "desired": 1, "min": 1, "max": 5, "scaling": {"target": 100}},
    ],
}
REMOVED = {"awaited": [], "seen": {}, "seconds": {"all": 1.0}, "services": {}, "notes": []}


class Bench(playbooks.Bench):
    """A cluster of two managers."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, MODULES, {"manager": ["i-m1", "i-m2"]})
        self.answers.update(preflight=[{"config": CONFIG}], node_drain=[REMOVED])

    def short(self, playbook: str, *words: str) -> tuple[int, str, list[str]]:
        """Run a playbook; returns its exit code, its output in one line, and what it asked for in a few words."""
        code, said, asked = self.run(playbook, *words)
        return code, said, [_short(name, told) for name, told in asked]


def _short(name: str, told: dict[str, Any]) -> str:
    """A call in a few words."""
    if name == "node_drain":
        instances = ",".join([*told.get("together", []), told["instance"]])
        return f"{told['until']} {instances}{'' if told.get('replace', True) else ' without replacement'}"
    keys = ("group", "desired", "surge", "call_off", "renew_warm", "keep", "until", "ignore")
    return " ".join([name, *(f"{key}={told[key]}" for key in keys if _given(told.get(key)))])


def _given(value: Any) -> bool:
    return value is not None and value is not False and value != []


def group(name: str, **more: Any) -> dict[str, Any]:
    defaults = {"role": name, "min": 1, "desired": 3, "max": 5, "original_size": None, "template_version": "2"}
    return {"name": name, **defaults, "serving": ["i-1", "i-2", "i-3"], "outdated": [], "warm_outdated": [], **more}


def seen(**more: Any) -> dict[str, Any]:
    groups = more.pop("groups", [group("manager"), group("worker")])
    defaults = {"rounds": [], "add": 0, "going": [], "managers": ["i-m1", "i-m2"], "short": {}, "awaited": []}
    return {**defaults, "groups": groups, **more}


def one_round(name: str, instances: int) -> dict[str, Any]:
    return {"group": name, "instances": instances, "canary": False}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_an_upgrade_removes_old_instances_after_new_ones_serve(bench: Bench) -> None:
    rounds = [one_round("worker", 1), one_round("worker", 2), one_round("manager", 1)]
    bench.answers["node_rollout"] = [
        seen(rounds=rounds),
        *(seen(awaited=["i-9 to be in service"]), seen(going=["i-1"])),
        *(seen(), seen(going=["i-2", "i-3"])),
        *(seen(), seen(going=["i-m1"], managers=["i-m2"])),
        seen(),
    ]
    code, said, asked = bench.short("upgrade.yml", "-e", "batch=2")
    assert code == 0, said[-3000:]

    def removal(*instances: str) -> list[str]:
        check = f"requested {','.join(instances)} without replacement"
        several = len(instances) > 1
        stages = ["removed"] if several else ["begun", "ready", "drained", "removed"]
        return [
            *([check] if several else []),
            check,
            *(f"{stage} {instance} without replacement" for instance in instances for stage in stages),
        ]

    def wait(name: str) -> list[str]:
        return [f"node_rollout group={name} until=joined", f"node_rollout group={name} until=serving"]

    assert asked == [
        "node_rollout",
        "node_group_size group=worker surge=1",
        *wait("worker"),
        *removal("i-1"),
        "node_group_size group=worker surge=2",
        *wait("worker"),
        *removal("i-2", "i-3"),
        "node_group_size group=worker surge=0",
        "node_group_size group=manager surge=1",
        *wait("manager"),
        *removal("i-m1"),
        "node_group_size group=manager surge=0",
        "node_rollout",
    ]
    assert "Launch the new instances of round 2 of 3" in said
    assert "Wait for i-9 to be in service" in said
    assert said.rpartition("No instance to replace")[1]


def test_outdated_warm_instances_are_terminated_before_a_round(bench: Bench) -> None:
    warm = [group("manager"), group("worker", warm_outdated=["i-7"])]
    bench.answers["node_rollout"] = [seen(groups=warm, rounds=[one_round("worker", 1)]), seen()]
    code, said, asked = bench.short("upgrade.yml")
    assert code == 0, said[-3000:]
    assert "Outdated in warm pools, terminated first: i-7" in said
    assert asked[1:3] == ["node_group_size group=worker renew_warm=True", "node_group_size group=worker surge=1"]
    bench.answers["node_rollout"] = [seen(groups=warm), seen()]
    code, said, asked = bench.short("upgrade.yml")
    assert code == 0, said[-3000:]
    assert asked == ["node_rollout", "node_group_size group=worker renew_warm=True", "node_rollout"]
    bench.answers["node_rollout"] = [seen(groups=warm)]
    code, said, asked = bench.short("upgrade.yml", "-e", "cancel=true")
    assert (code, asked) == (0, ["node_rollout"] * 2), said[-3000:]


@pytest.mark.fault(35)
@pytest.mark.parametrize("stage", ["launch", "serve"])
def test_fault_35_an_upgrade_stops_at_the_first_failing_instance(bench: Bench, stage: str) -> None:
    failed = {"failed": True, "msg": "After 60 s the group worker still waits for i-9 to join the swarm."}
    rounds = [one_round("worker", 1), one_round("manager", 1)]
    before = {"launch": [], "serve": [seen(), failed]}[stage]
    bench.answers["node_rollout"] = [seen(rounds=rounds), *before, seen()]
    bench.answers["node_group_size"] = [failed] if stage == "launch" else [{}]
    bench.answers["node_group_size"].append({"ended": ["i-9"]})
    code, said, asked = bench.short("upgrade.yml")
    assert code != 0
    assert "The upgrade stopped in the group worker: After 60 s the group worker still waits for i-9" in said
    assert "i-9 terminated, and no others will be launched. No old instance was removed in this round." in said
    assert asked[-1] == "node_group_size group=worker call_off=True keep=['i-1', 'i-2', 'i-3']"
    assert not any("without replacement" in call for call in asked)


def test_an_unhealthy_cluster_is_not_upgraded_without_force(
    bench: Bench,
) -> None:
    short = {"example_web": "6 tasks of example_web to run (5 running)"}
    sick = seen(rounds=[one_round("worker", 1)], short=short)
    bench.answers["node_rollout"] = [sick, seen()]
    code, said, asked = bench.short("upgrade.yml")
    assert code != 0
    assert "since the cluster waits for 6 tasks of example_web to run (5 running)" in said
    assert asked == ["node_rollout"]
    code, said, asked = bench.short("upgrade.yml", "-e", "force=true")
    assert code == 0, said[-3000:]
    assert "node_rollout group=worker until=serving ignore=['example_web']" in asked
    bench.answers["node_rollout"] = [{**sick, "groups": [group("worker", original_size=3)]}, seen()]
    code, said, asked = bench.short("upgrade.yml")
    assert code == 0, said[-3000:]
    assert "node_rollout group=worker until=serving" in asked


def test_a_plan_and_a_cancelled_upgrade_launch_nothing(bench: Bench) -> None:
    under_way = [group("worker", original_size=3, desired=4, outdated=["i-1"])]
    plan = seen(rounds=[one_round("worker", 1)], groups=under_way)
    bench.answers["node_rollout"] = [plan, seen(groups=under_way), seen(going=["i-1"]), seen()]
    code, said, asked = bench.short("upgrade.yml", "--check")
    assert (code, asked) == (0, ["node_rollout"]), said[-3000:]
    assert "Round 1: 1 of worker" in said
    assert (
        "worker: 1 outdated (the launch template is at version 2): i-1 (an upgrade is under way, original size 3)"
        in said
    )
    code, said, asked = bench.short("upgrade.yml", "-e", "cancel=true")
    assert code == 0, said[-3000:]
    assert asked[2] == "node_group_size group=worker call_off=True keep=['i-1', 'i-2', 'i-3']"
    assert "removed i-1 without replacement" in asked
    assert asked[-2] == "node_group_size group=worker surge=0"
    assert not any("surge=1" in call for call in asked)


def test_new_nodes_are_awaited_and_managers_are_removed_one_by_one(bench: Bench) -> None:
    bench.answers["node_rollout"] = [seen(add=2), seen()]
    code, said, asked = bench.short("scale.yml", "-e", "group=worker", "-e", "desired=5")
    assert code == 0, said[-3000:]
    assert asked[1:4] == [
        "node_group_size group=worker desired=5",
        "node_rollout group=worker until=joined",
        "node_rollout group=worker until=serving",
    ]
    for name, first in (
        ("worker", ["requested i-1,i-2", "requested i-1,i-2"]),
        ("manager", ["requested i-1", "begun i-1"]),
    ):
        bench.answers["node_rollout"] = [seen(going=["i-1", "i-2"])]
        code, said, asked = bench.short("scale.yml", "-e", f"group={name}", "-e", "desired=1")
        assert code == 0, said[-3000:]
        assert asked[1:3] == [f"{request} without replacement" for request in first]
        assert not any(call.startswith("node_group_size") for call in asked)
    assert "in node_groups: set it to" not in said, "it has as many as the configuration says"


@pytest.mark.parametrize(("parallel", "sizes"), [("1", [1, 1, 1]), ("2", [2, 1]), ("0", [3])])
def test_so_many_removals_are_requested_before_the_first_is_followed(
    bench: Bench, parallel: str, sizes: list[int]
) -> None:
    instances = [f"i-{number:017x}" for number in range(1, 4)]
    code, said, asked = bench.short("remove_node.yml", "-e", f"id={','.join(instances)}", "-e", f"parallel={parallel}")
    assert code == 0, said[-3000:]
    expected = [f"requested {','.join(instances)}"]
    for size in sizes:
        batch, instances = instances[:size], instances[size:]
        expected += [f"requested {','.join(batch)}"] if size > 1 else []
        stages = ["removed"] if size > 1 else ["begun", "ready", "drained", "removed"]
        expected += [f"{stage} {instance}" for instance in batch for stage in stages]
    assert asked == expected


def test_a_scaled_group_with_scaling_continues_to_follow_the_tasks(bench: Bench) -> None:
    bench.answers["node_rollout"] = [seen(add=2, groups=[group("burst")]), seen(groups=[group("burst")])]
    code, said, _ = bench.short("scale.yml", "-e", "group=burst", "-e", "desired=3")
    assert code == 0, said[-3000:]
    assert "Auto Scaling continues to follow the swarm's tasks between 1 and 5." in said
    assert "in node_groups: set it to" not in said


def test_missing_arguments_are_refused(bench: Bench) -> None:
    code, said, asked = bench.short("scale.yml")
    assert (code != 0, asked) == (True, [])
    assert "Name it with -e group=worker." in said and "Set -e desired=3." in said


def test_without_services_there_is_nothing_to_rebalance(bench: Bench) -> None:
    bench.answers["service_rebalance"] = [{"services": [], "at": 0.0}]
    code, said, _ = bench.short("rebalance.yml")
    assert code == 0, said[-3000:]
    assert "There are no services, so there is nothing to rebalance." in said
