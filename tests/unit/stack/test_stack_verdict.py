from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.stack import required_nodes
from ansible_collections.swarm.aws.plugins.module_utils.stack.service_spec import digests, whole
from ansible_collections.swarm.aws.plugins.module_utils.stack.verdict import Case, Verdict

UP = {"n1": "one", "n2": "two"}
TEMPLATE = {"ContainerSpec": {"Image": "app:2"}, "Placement": {"Constraints": ["node.labels.edge == true"]}}
OLD = {"ContainerSpec": {"Image": "app:1"}}
NOW = 1_767_225_700.0
LONG_AGO, JUST_NOW = "2026-01-01T00:00:00.123456789Z", "2026-01-01T00:01:38.5Z"


def service(mode: dict[str, Any] | None = None, update: str = "", **template: Any) -> dict[str, Any]:
    spec = {"Mode": mode or {"Replicated": {"Replicas": 2}}, "TaskTemplate": TEMPLATE | template}
    return {"Spec": spec, "UpdateStatus": {"State": update, "Message": "said"} if update else None}


def task(state: str = "running", node: str = "n1", desired: str = "running", **more: Any) -> dict[str, Any]:
    status = {"State": state, "Timestamp": more.pop("since", LONG_AGO)}
    status |= {key: more.pop(key) for key in ("Err", "ContainerStatus") if key in more}
    made = {"ID": "t", "NodeID": node, "CreatedAt": "1", "DesiredState": desired, "Status": status, "Spec": TEMPLATE}
    return made | more


def judged(
    of: dict[str, Any], *tasks: dict[str, Any], waited: float = 0.0, before: str = "", after: str = ""
) -> Verdict:
    restarts = of["Spec"]["TaskTemplate"].get("RestartPolicy")
    own = [
        task if "RestartPolicy" in task["Spec"] or not restarts else task | {"Spec": of["Spec"]["TaskTemplate"]}
        for task in tasks
    ]
    return Case(of, own, UP, NOW, NOW - waited).verdict(before, after)


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
    ("tasks", "running", "why"),
    [
        ([], 0, "0 of 2 tasks running"),
        ([task(), task("starting")], 1, "1 of 2 tasks running; 1 starting"),
        ([task("shutdown", desired="shutdown"), task("orphaned")], 0, "0 of 2 tasks running; 1 orphaned, 1 shutdown"),
        ([task(), task(node="gone")], 1, "1 of 2 tasks running"),
        ([task(), task(), task(Spec=OLD)], 2, "2 of 2 tasks running"),
        (
            [task(), task("pending", Err="no suitable node\n(1 node)")],
            1,
            "no node for 1 task: no suitable node (1 node)",
        ),
        (
            [task(), task("failed", desired="shutdown", Err="boom", ContainerStatus={"ExitCode": 3})],
            1,
            "a task on one failed: boom (exit code 3)",
        ),
    ],
)
def test_on_its_way(tasks: list[dict[str, Any]], running: int, why: str) -> None:
    verdict = judged(service(), *tasks)
    assert (verdict.state, verdict.running, verdict.why) == ("progressing", running, why)


def test_the_latest_failure_is_the_reason() -> None:
    failures = [task("failed", desired="shutdown", Err=text, CreatedAt=text, ID=text) for text in ("2", "9", "5")]
    verdict = judged(service(), *failures)
    assert verdict.task == "9"
    assert verdict.why.endswith("failed: 9, 3 of them so far")


def test_a_task_that_runs_since_a_moment_may_yet_end() -> None:
    young = task(since=JUST_NOW)
    verdict = judged(service(), task(), young)
    assert (verdict.state, verdict.running, verdict.why) == ("progressing", 2, "1 task started just now")
    settled = task(since="2026-01-01T00:01:34.9Z")
    assert judged(service(), settled, settled).state == "converged"
    for seconds, state in ((1, "converged"), (6, "progressing")):
        patient = service()
        patient["Spec"]["UpdateConfig"] = {"Monitor": seconds * 1_000_000_000}
        assert judged(patient, settled, settled).state == state
    checked = {"ContainerSpec": {"Image": "app:2", "Healthcheck": {"Test": ["CMD", "true"]}}}
    healthy = task(since=JUST_NOW, Spec=checked)
    assert judged(service(**checked), healthy, healthy).state == "converged"


@pytest.mark.parametrize("check", [{"Test": ["NONE"]}, {"Interval": 1_000_000_000}])
def test_a_health_check_without_a_test_vouches_for_no_task(check: dict[str, Any]) -> None:
    unchecked = {"ContainerSpec": {"Image": "app:2", "Healthcheck": check}}
    young = task(since=JUST_NOW, Spec=unchecked)
    assert judged(service(**unchecked), young, young).state == "progressing"


def test_a_task_counts_after_seconds_that_are_whole() -> None:
    """A task that began at 95.9 s has run for 4.1 s at 100.0 s."""
    assert judged(service(), task(), task(since="2026-01-01T00:01:35.9Z")).state == "progressing"


def test_a_task_counts_later_where_others_have_failed() -> None:
    running = task(since="2026-01-01T00:01:30Z", Slot=1)
    failed = [task("complete", desired="shutdown", Slot=1), task("failed", desired="shutdown", Slot=1)]
    assert judged(service(), running, task(Slot=2), failed[0]).state == "converged"
    verdict = judged(service(), running, task(Slot=2), *failed)
    assert (verdict.state, verdict.running) == ("progressing", 2)
    assert verdict.why.startswith("a task on one")
    assert judged(service(), task(Slot=1), task(Slot=2), *failed).state == "converged"


@pytest.mark.parametrize("update", ["updating", "rollback_started"])
def test_an_update_under_way_is_waited_for(update: str) -> None:
    assert judged(service(update=update), task(), task(), after="new").state == "progressing"


def test_failures_of_an_earlier_deployment_do_not_count() -> None:
    failed = task("failed", desired="shutdown", Err="boom", Spec=OLD)
    found = judged(service(update="updating"), task(), task(), failed)
    assert (found.why, found.task) == ("the update is under way", None)
    assert judged(service(), task(), failed).why == "1 of 2 tasks running"
    assert "boom" in judged(service(update="rollback_started"), task(), task(), failed).why


def test_a_rollback_is_noticed_even_if_the_engine_forgot_it() -> None:
    found = service()
    runs = whole(digests(found))
    assert judged(found, task(), task(), before="older", after=runs).state == "converged"
    assert judged(found, task(), task(), before=runs, after=runs).state == "converged"
    verdict = judged(found, task(), task(), before=runs, after="new")
    assert (verdict.state, verdict.why) == ("rolled back", "it runs its previous specification: the reason is unknown")
    # Somebody has changed it by hand since.
    assert judged(found, task(), task(), before="old", after="new").state == "converged"


def test_a_rolled_back_service_has_converged_if_that_was_deployed() -> None:
    """Docker keeps the state `rollback_completed` until the next update."""
    back = service(update="rollback_completed")
    runs = whole(digests(back))
    bad = task("failed", desired="shutdown", Spec=TEMPLATE | {"ForceUpdate": 1})
    assert judged(back, task(), task(), bad, after=runs) == Verdict("converged", 2, 2)
    assert judged(back, task(), task(), bad, before=runs, after="new").state == "rolled back"
    assert judged(back, task(), task(), bad).state == "rolled back"


def test_a_completed_update_is_judged_by_its_tasks() -> None:
    assert judged(service(update="completed"), task(), task()).state == "converged"


def test_tasks_that_cannot_be_prepared_fail_early() -> None:
    rejected = [task("rejected", desired="shutdown", Err="No such image: app:2") for _ in range(3)]
    assert judged(service(), *rejected[:2]).state == "progressing"
    verdict = judged(service(), *rejected)
    assert (verdict.state, verdict.why) == ("failed", "a task on one rejected: No such image: app:2, 3 of them so far")


def rejected(slot: int, count: int, why: str = "No such image: app:2", **more: Any) -> list[dict[str, Any]]:
    made = {"desired": "shutdown", "Err": why, "Slot": slot, **more}
    return [task("rejected", **made, CreatedAt=str(number)) for number in range(count)]


def test_rejections_are_counted_by_slot() -> None:
    spread = [task for slot in (1, 2, 3) for task in rejected(slot, 2)]
    three = service({"Replicated": {"Replicas": 3}})
    assert judged(three, *spread, waited=60).state == "progressing"
    assert judged(three, *spread, *rejected(4, 3)).state == "failed"
    everywhere = service({"Global": {}})
    assert judged(everywhere, *rejected(0, 2), *rejected(0, 2, node="n2"), task("ready")).state == "progressing"


def test_rejections_within_a_moment_may_pass() -> None:
    at_once = rejected(1, 3, since=JUST_NOW)
    assert judged(service(), *at_once).state == "progressing"
    assert judged(service(), *at_once, waited=10).state == "failed"


def test_rejections_do_not_count_while_a_task_is_prepared_after_them() -> None:
    """The registry's credentials were corrected meanwhile, and the image is being pulled."""
    before = rejected(1, 3)
    assert judged(service(), *before, task("preparing", Slot=1, CreatedAt="9"), waited=60).state == "progressing"
    following = task("ready", Slot=1, desired="ready", CreatedAt="9")
    assert judged(service(), *before, following, waited=60).state == "failed"


@pytest.mark.parametrize(
    "why",
    [
        "invalid pool request: Pool overlaps with other one on this address space",
        "network shop_default not found",
        "subnet sandbox join failed for 10.0.1.0/24: error creating vxlan interface: file exists",
        "endpoint with name gateway_x already exists in network docker_gwbridge",
    ],
)
def test_rejections_for_networks_that_are_still_going_are_waited_for(why: str) -> None:
    verdict = judged(service(), *rejected(1, 5, why), waited=200)
    assert (verdict.state, verdict.why) == ("progressing", f"a task on one rejected: {why}, 5 of them so far")


def test_a_global_service_runs_once_on_each_node_that_it_may_use() -> None:
    assert judged(service({"Global": {}}), task(), task(node="n2")) == Verdict("converged", 2, 2)


def test_a_global_service_that_no_node_may_run_fails_with_its_constraints() -> None:
    assert judged(service({"Global": {}}), waited=1).state == "progressing"
    verdict = judged(service({"Global": {}}), waited=11)
    assert verdict.state == "failed"
    assert verdict.why == "no node meets its constraints (node.labels.edge == true)"


def test_a_global_service_that_no_node_may_run_any_more_fails_too() -> None:
    before = task("shutdown", desired="shutdown")
    assert judged(service({"Global": {}}), before, waited=1).state == "progressing"
    assert judged(service({"Global": {}}), before, waited=11).state == "failed"


def test_a_service_without_replicas_is_as_it_should_be() -> None:
    assert judged(service({"Replicated": {"Replicas": 0}})) == Verdict("converged", 0, 0)


# Tasks that complete

ONCE = {"RestartPolicy": {"Condition": "none"}}
THRICE = {"RestartPolicy": {"Condition": "any", "MaxAttempts": 2}}


def ended(state: str = "complete", **more: Any) -> dict[str, Any]:
    return task(state, **{"desired": "shutdown", "since": JUST_NOW, **more})


@pytest.mark.parametrize("condition", ["none", "on-failure"])
def test_a_task_that_is_to_run_once_is_done_when_it_has(condition: str) -> None:
    once = service({"Replicated": {"Replicas": 2}}, RestartPolicy={"Condition": condition})
    assert judged(once, task("running", Slot=1, since=JUST_NOW), task("starting", Slot=2)).state == "progressing"
    assert judged(once, ended(Slot=1), task("starting", Slot=2)).state == "progressing"
    assert judged(once, ended(Slot=1), ended(Slot=2)) == Verdict("complete", 2, 2)


def test_that_an_update_is_paused_when_its_task_ends_is_no_failure() -> None:
    once = service({"Replicated": {"Replicas": 1}}, update="paused", **ONCE)
    assert judged(once, ended(Slot=1)).state == "complete"
    assert judged(once, ended("failed", Slot=1)).state == "paused"


def test_a_service_that_lives_on_is_not_done_when_its_task_ends() -> None:
    verdict = judged(service({"Replicated": {"Replicas": 1}}), ended(Slot=1))
    assert (verdict.state, verdict.why) == ("progressing", "a task on one exited (exit code 0)")


def test_a_task_that_is_to_run_once_and_fails_is_not_waited_for() -> None:
    once = service({"Replicated": {"Replicas": 1}}, **ONCE)
    verdict = judged(once, ended("failed", Slot=1, Err="task: non-zero exit (1)"))
    assert (verdict.state, verdict.why) == ("failed", "a task on one failed: task: non-zero exit (1)")
    everywhere = service({"Global": {}}, **ONCE)
    assert judged(everywhere, ended(), ended("failed", node="n2")).state == "failed"
    assert judged(everywhere, ended(), ended(node="n2")) == Verdict("complete", 2, 2)


def test_attempts_that_are_used_up_are_not_waited_for() -> None:
    some = service({"Replicated": {"Replicas": 1}}, **THRICE)
    assert judged(some, ended("failed", Slot=1), task("ready", Slot=1, desired="ready")).state == "progressing"
    # The next task may be about to be created.
    assert judged(some, ended("failed", Slot=1)).state == "progressing"
    for state in ("failed", "complete"):
        assert judged(some, ended(state, Slot=1, since=LONG_AGO)).state == "failed"


def test_a_global_service_whose_task_has_just_ended_still_wants_it() -> None:
    verdict = judged(service({"Global": {}}), task(), ended(node="n2"))
    assert (verdict.state, verdict.wanted, verdict.running) == ("progressing", 2, 1)


def job(kind: str = "ReplicatedJob", iteration: int = 1, **mode: Any) -> dict[str, Any]:
    return service({kind: mode}) | {"JobStatus": {"JobIteration": {"Index": iteration}}}


def of(iteration: int, state: str = "complete", **more: Any) -> dict[str, Any]:
    return task(state, **{"desired": "complete", "JobIteration": {"Index": iteration}, "since": JUST_NOW, **more})


def test_a_job_is_done_when_its_tasks_of_this_time_are() -> None:
    twice = job(TotalCompletions=2)
    assert judged(twice, of(0), of(0, Slot=1)).state == "progressing"
    verdict = judged(twice, of(0), of(1), of(1, "running", Slot=1))
    assert (verdict.state, verdict.running, verdict.why) == ("progressing", 1, "1 of 2 tasks complete; 1 running")
    assert judged(twice, of(1), of(1, Slot=1)) == Verdict("complete", 2, 2)
    # Without a number the API means the first run.
    assert judged(job(iteration=0), task("complete", desired="complete", JobIteration={})).state == "complete"


def test_a_job_that_docker_repeats_is_done_when_it_has_completed() -> None:
    assert judged(job(), of(1), of(1), of(1, "running")) == Verdict("complete", 1, 1)


def test_a_job_everywhere_is_done_when_it_is_on_each_node() -> None:
    assert judged(job("GlobalJob"), of(1), of(1, "running", node="n2")).state == "progressing"
    assert judged(job("GlobalJob"), of(1), of(1, node="n2")) == Verdict("complete", 2, 2)


def test_a_job_that_nobody_tries_again_has_failed() -> None:
    lost = of(1, "failed", desired="shutdown", Err="task: non-zero exit (7)", since=LONG_AGO)
    verdict = judged(job(), lost)
    assert (verdict.state, verdict.why) == ("failed", "a task on one failed: task: non-zero exit (7)")
    assert judged(job(), lost, of(1, "running", node="n2")).state == "progressing"
    assert judged(job(), lost, of(1, node="n2", CreatedAt="2")).state == "complete"


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
    assert required_nodes.missing(found, GROUPS) == []
    assert required_nodes.told(found, GROUPS) == "The swarm has 3 of 3 nodes."


def test_what_is_missing_is_said_by_group() -> None:
    assert required_nodes.missing([], GROUPS) == [
        "2 of 2 nodes of group 'manager' (manager)",
        "1 of 1 node of group 'worker' (worker)",
    ]
    assert required_nodes.told([node("manager", edge="true")], GROUPS) == (
        "The swarm has 1 of 3 nodes, and lacks 1 of 2 nodes of group 'manager' (manager); "
        "1 of 1 node of group 'worker' (worker)."
    )


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
    assert required_nodes.missing(found, GROUPS) == [f"1 of 2 nodes of group 'manager' (manager), 1 of them {why}"]


def test_a_group_that_was_scaled_counts_with_its_size() -> None:
    sizes = [{"name": "manager", "desired": 1}, {"name": "unknown", "desired": 9}]
    scaled = required_nodes.scaled(GROUPS, sizes)
    assert [group["desired"] for group in scaled] == [1, *(group["desired"] for group in GROUPS[1:])]
    assert required_nodes.scaled(GROUPS, []) == GROUPS
