from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.stack import nodes
from ansible_collections.swarm.aws.plugins.module_utils.stack.verdict import Verdict, judge

UP = {"n1": "one", "n2": "two"}
TEMPLATE = {"ContainerSpec": {"Image": "app:2"}, "Placement": {"Constraints": ["node.labels.edge == true"]}}
OLD = {"ContainerSpec": {"Image": "app:1"}}


def service(mode: dict[str, Any] | None = None, update: str = "") -> dict[str, Any]:
    spec = {"Mode": mode or {"Replicated": {"Replicas": 2}}, "TaskTemplate": TEMPLATE}
    return {"Spec": spec, "UpdateStatus": {"State": update, "Message": "said"} if update else None}


def task(state: str = "running", node: str = "n1", desired: str = "running", **more: Any) -> dict[str, Any]:
    status = {"State": state, **{key: more.pop(key) for key in ("Err", "ContainerStatus") if key in more}}
    made = {"ID": "t", "NodeID": node, "CreatedAt": "1", "DesiredState": desired, "Status": status, "Spec": TEMPLATE}
    return made | more


def judged(of: dict[str, Any], *tasks: dict[str, Any], waited: float = 0.0) -> Verdict:
    return judge(of, tasks, UP, waited)


def test_all_tasks_of_the_present_definition_run() -> None:
    assert judged(service(), task(), task(node="n2")) == Verdict("converged", 2, 2)


def test_where_tasks_may_run_is_no_difference_to_those_that_run() -> None:
    elsewhere = {**TEMPLATE, "Placement": {}}
    assert judged(service(), task(Spec=elsewhere), task(node="n2")).state == "converged"


def test_what_the_engine_fills_in_for_services_is_no_difference() -> None:
    filled = service()
    container = {**TEMPLATE["ContainerSpec"], "DNSConfig": {}, "Privileges": {"NoNewPrivileges": False}}
    filled["Spec"]["TaskTemplate"] = {"ContainerSpec": container, "ForceUpdate": 0, "Runtime": "container"}
    assert judged(filled, task(), task(node="n2")).state == "converged"


def test_a_forced_update_is_a_difference() -> None:
    assert judged(service(), task(), task(Spec={**TEMPLATE, "ForceUpdate": 1})).state == "progressing"


@pytest.mark.parametrize(
    ("tasks", "running", "reason"),
    [
        ([], 0, "0 of 2 tasks run"),
        ([task(), task("starting")], 1, "1 of 2 tasks run"),
        ([task(), task(node="gone")], 1, "1 of 2 tasks run"),
        ([task(), task(), task(Spec=OLD)], 2, "2 of 2 tasks run"),
        ([task(), task("pending", Err="no suitable node")], 1, "1 tasks find no node: no suitable node"),
        (
            [task(), task("failed", desired="shutdown", Err="boom", ContainerStatus={"ExitCode": 3})],
            1,
            "a task on one failed: boom (exit code 3)",
        ),
    ],
)
def test_on_its_way(tasks: list[dict[str, Any]], running: int, reason: str) -> None:
    verdict = judged(service(), *tasks)
    assert (verdict.state, verdict.running, verdict.reason) == ("progressing", running, reason)


def test_the_latest_failure_is_the_reason() -> None:
    failures = [task("failed", desired="shutdown", Err=text, CreatedAt=text, ID=text) for text in ("2", "9", "5")]
    verdict = judged(service(), *failures)
    assert verdict.task == "9"
    assert verdict.reason.endswith("failed: 9")


@pytest.mark.parametrize("update", ["updating", "rollback_started"])
def test_an_update_under_way_is_waited_for(update: str) -> None:
    assert judged(service(update=update), task(), task()).state == "progressing"


@pytest.mark.parametrize("update", ["paused", "rollback_paused", "rollback_completed"])
def test_an_update_that_went_wrong_has_failed_even_if_tasks_run(update: str) -> None:
    verdict = judged(service(update=update), task(), task())
    assert verdict.state == "failed"
    assert verdict.reason.endswith(": said")


def test_a_completed_update_is_judged_by_its_tasks() -> None:
    assert judged(service(update="completed"), task(), task()).state == "converged"


def test_tasks_that_cannot_be_prepared_fail_early() -> None:
    rejected = [task("rejected", desired="shutdown", Err="No such image: app:2") for _ in range(3)]
    assert judged(service(), *rejected[:2]).state == "progressing"
    verdict = judged(service(), *rejected)
    assert (verdict.state, verdict.reason) == ("failed", "a task on one rejected: No such image: app:2")


def test_a_global_service_runs_once_on_each_node_that_it_may_use() -> None:
    assert judged(service({"Global": {}}), task(), task(node="n2")) == Verdict("converged", 2, 2)


def test_a_global_service_that_no_node_may_run_fails_with_its_constraints() -> None:
    assert judged(service({"Global": {}}), waited=1).state == "progressing"
    verdict = judged(service({"Global": {}}), waited=11)
    assert verdict.state == "failed"
    assert verdict.reason == "no node meets its constraints (node.labels.edge == true)"


def test_a_service_without_replicas_is_as_it_should_be() -> None:
    assert judged(service({"Replicated": {"Replicas": 0}})) == Verdict("converged", 0, 0)


def test_a_job_is_done_when_its_tasks_are() -> None:
    job = service({"ReplicatedJob": {"TotalCompletions": 1}})
    assert judged(job, task(desired="complete")).state == "progressing"
    assert judged(job, task("complete", desired="complete")).state == "converged"


GROUPS = [
    {"name": "manager", "role": "manager", "desired": 2, "labels": {"edge": True}},
    {"name": "worker", "role": "worker", "desired": 1},
]


def node(group: str, state: str = "ready", reachable: str = "reachable", **labels: str) -> dict[str, Any]:
    role = "manager" if group == "manager" else "worker"
    spec = {"Role": role, "Labels": {"swarm.aws.group": group, **labels}}
    status = {"Reachability": reachable} if role == "manager" else None
    return {"Spec": spec, "Status": {"State": state}, "ManagerStatus": status}


def test_a_swarm_with_all_of_its_nodes_lacks_nothing() -> None:
    found = [node("manager", edge="true"), node("manager", edge="true"), node("worker"), node("other", "down")]
    assert nodes.missing(found, GROUPS) == []


def test_what_is_missing_is_said_by_group() -> None:
    assert nodes.missing([], GROUPS) == [
        "2 of 2 nodes of group 'manager' (manager)",
        "1 of 1 nodes of group 'worker' (worker)",
    ]


@pytest.mark.parametrize(
    ("late", "why"),
    [
        (node("manager", "down", edge="true"), "joined but not ready"),
        (node("manager", reachable="unreachable", edge="true"), "joined but not ready"),
        (node("manager"), "without the group's labels"),
    ],
)
def test_a_node_that_is_there_but_not_yet_of_use_is_explained(late: dict[str, Any], why: str) -> None:
    found = [node("manager", edge="true"), late, node("worker")]
    assert nodes.missing(found, GROUPS) == [f"1 of 2 nodes of group 'manager' (manager), 1 of them {why}"]
