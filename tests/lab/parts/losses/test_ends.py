"""Instances that cannot join, hang or are at risk, and a removal without a replacement."""

from __future__ import annotations

import subprocess

import pytest

from tests.lab.site import CLUSTER, ROOT, Site

WORKERS = f"{CLUSTER}-worker"


@pytest.mark.fault(21)
@pytest.mark.fault(28)
def test_fault_21_28_a_launch_that_cannot_join_is_abandoned(site: Site) -> None:
    """At the same time an instance at risk is replaced. At the end there are two other workers."""
    site.settle()
    at_risk, leader, known = site.pick("worker"), site.pick("leader"), site.ids()
    with site.durations(launch_seconds=75):
        _want_workers(site, 2)
        stray = site.wait("another instance", lambda: site.ids("worker") - known).pop()
        site.control("partition", stray)
        site.control("rebalance", at_risk)
        site.wait("both to be terminated", lambda: not site.ids() & {stray, at_risk})
    nodes = site.settle(workers=2)
    _want_workers(site, 1)
    site.settle()
    assert not {stray, at_risk} & {node.instance for node in nodes}
    said = {
        instance: [line for line in site.actions(leader) if instance in line["message"]]
        for instance in (stray, at_risk)
    }
    answers = [line["after"] for line in said[stray] if line["action"] == "CompleteLifecycle"]
    assert [answer["result"] for answer in answers if answer["hook"].endswith("-launching")] == ["ABANDON"]
    labels = [line["after"].get("swarm.aws.interruption") for line in said[at_risk] if line["action"] == "SetLabels"]
    assert [label for label in labels if label] == ["rebalance recommendation"]
    assert "Drain" in [line["action"] for line in said[at_risk]], "the instance at risk was lost instead of removed"


def test_a_removal_without_replacement_shrinks_the_group(site: Site) -> None:
    _want_workers(site, 2)
    before = {node.instance for node in site.settle(workers=2)}
    worker = site.pick("worker")
    run = site.playbook("remove_node.yml", "-e", f"id={worker}", "-e", "replace=false")
    assert run.code == 0, run.output[-4000:]
    assert _desired(site) == 1
    assert {node.instance for node in site.settle()} == before - {worker}
    last = site.pick("worker")
    run = site.playbook("remove_node.yml", "-e", f"id={last}", "-e", "replace=false")
    assert run.code != 0
    assert "may not have fewer than 1" in run.said
    assert run.changed == 0


@pytest.mark.fault(12)
def test_fault_12_a_command_on_a_partitioned_node_ends(site: Site) -> None:
    """Nothing closes the connection; the client must notice."""
    site.settle()
    worker = site.pick("worker")
    words = ("ansible", worker, "--module-name", "ansible.builtin.raw", "--args", "sleep 600")
    ends = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    waiting = subprocess.Popen(words, cwd=ROOT, env=site.environment, text=True, **ends)
    try:
        site.wait("the command to begin", lambda: site.on(worker, "pgrep", "--full", "^sleep 600").code == 0)
        site.control("partition", worker)
        said, _ = waiting.communicate(timeout=300)
    finally:
        site.control("heal", worker)
        waiting.kill()
    assert waiting.returncode != 0
    assert "UNREACHABLE" in said
    site.settle()


@pytest.mark.fault(22)
def test_fault_22_a_hanging_engines_node_is_replaced_by_down_seconds(site: Site) -> None:
    site.settle()
    worker, leader = site.pick("worker"), site.pick("leader")
    with site.durations(down_seconds=5):
        site.must(worker, "pkill", "-STOP", "dockerd")
        site.wait("the worker to be terminated", lambda: worker not in site.ids())
        assert worker not in {node.instance for node in site.settle()}
    done = [line for line in site.actions(leader) if worker in line["message"]]
    down = [line["action"] == "SetLabels" and "swarm.aws.down-since" in line["after"] for line in done]
    ended = [line["action"] == "Terminate" for line in done]
    assert down.index(True) < ended.index(True)


def _want_workers(site: Site, count: int) -> None:
    site.aws("autoscaling").set_desired_capacity(AutoScalingGroupName=WORKERS, DesiredCapacity=count)


def _desired(site: Site) -> int:
    found = site.aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[WORKERS])
    return int(found["AutoScalingGroups"][0]["DesiredCapacity"])
