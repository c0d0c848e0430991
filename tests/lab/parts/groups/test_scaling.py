"""A group that scales out and in with the swarm's tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.configured import node_groups
from tests.lab.site import CLUSTER, Site

SCALING_GROUP, SERVICE = f"{CLUSTER}-worker", "heavy"
PARTS = ("--tags", "discovery,iam,node_groups")


@pytest.fixture
def scaling(site: Site) -> Iterator[tuple[Site, tuple[str, ...]]]:
    """The cluster with scaling workers for this file, and the arguments of site.yml for that."""
    site.settle()
    words = ("site.yml", *node_groups(worker={"scaling": {}}), *PARTS)
    built = site.playbook(*words)
    try:
        assert built.code == 0, built.output[-4000:]
        yield site, words
    finally:
        site.on(site.managers()[0], "docker", "service", "rm", SERVICE)
        again = site.playbook("site.yml", *PARTS)
        assert again.code == 0, again.output[-4000:]
        site.aws("autoscaling").set_desired_capacity(AutoScalingGroupName=SCALING_GROUP, DesiredCapacity=1)
        site.settle()


def described(site: Site) -> dict[str, Any]:
    found = site.aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[SCALING_GROUP])
    return found["AutoScalingGroups"][0]  # type: ignore[no-any-return]


def test_a_pending_task_adds_a_node_that_is_removed_with_it(scaling: tuple[Site, tuple[str, ...]]) -> None:
    site, words = scaling
    before, cores = site.ids("worker"), int(site.must(site.managers()[0], "nproc"))
    create = ["docker", "service", "create", "--detach", "--quiet", f"--name={SERVICE}", "--replicas=2"]
    # More than half of a node, so that no node fits two.
    create += [f"--reserve-cpu={cores * 0.6:.1f}", "--constraint=node.role==worker", "--stop-grace-period=1s"]
    site.must(site.managers()[0], *create, "python:3.13-slim", "python", "-c", "import time; time.sleep(1e6)")

    def running() -> int:
        shown = ["docker", "service", "ps", "--filter=desired-state=running", "--format={{.CurrentState}}", SERVICE]
        lines = site.on(site.managers()[0], *shown).output.splitlines()
        return sum(line.startswith("Running") for line in lines)

    site.wait("another node to take the second task", lambda: running() == 2)
    group = described(site)
    assert (group["DesiredCapacity"], len(group["Instances"])) == (2, 2), "a task must add a single node"

    # site.yml does not scale it in.
    site.forget_calls()
    again = site.playbook(*words)
    assert again.code == 0, again.output[-4000:]
    assert site.written() == []
    assert described(site)["DesiredCapacity"] == 2

    site.must(site.managers()[0], "docker", "service", "scale", "--detach", f"{SERVICE}=0")
    site.wait("the group to get smaller", lambda: described(site)["DesiredCapacity"] == 1)
    both = before | site.ids("worker")
    site.settle()
    (removed,) = both - site.ids("worker")
    done = [action for manager in site.managers() for action in site.actions(manager) if removed in str(action)]
    assert [line["action"] for line in done if line["action"] in ("Drain", "Delete")] == ["Drain", "Delete"]
    # Auto Scaling terminated it, after the agents had drained it and completed the hook.
    asked = {call["action"] for call in site.calls() if call["caller"] != "lab"}
    assert "CompleteLifecycleAction" in asked
    assert "TerminateInstanceInAutoScalingGroup" not in asked
