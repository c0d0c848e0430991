"""Instances that end for less usual reasons: they cannot join, they hang, they are at risk, or one less is wanted."""

from __future__ import annotations

import subprocess

import pytest

from tests.lab.site import CLUSTER, ROOT, Site

WORKERS = f"{CLUSTER}-worker"


@pytest.mark.fault(21)
@pytest.mark.fault(28)
def test_fault_21_28_a_launch_that_cannot_join_is_given_up_while_one_at_risk_is_replaced(site: Site) -> None:
    """Two at once, since both are waited for. In the end there are two workers, neither of them one of these."""
    site.settle()
    at_risk, leader, known = site.one("worker"), site.one("leader"), site.ids()
    with site.brisk(launch_seconds=75):
        _want_workers(site, 2)
        stray = site.wait("another instance", lambda: site.ids("worker") - known).pop()
        site.control("partition", stray)
        site.control("rebalance", at_risk)
        site.wait("both to be gone", lambda: not site.ids() & {stray, at_risk})
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
    assert "Drain" in [line["action"] for line in said[at_risk]], "it was taken out, not only lost"


def test_a_removal_without_replacement_leaves_the_group_with_one_less(site: Site) -> None:
    _want_workers(site, 2)
    before = {node.instance for node in site.settle(workers=2)}
    worker = site.one("worker")
    run = site.playbook("remove_node.yml", "-e", f"id={worker}", "-e", "replace=false")
    assert run.code == 0, run.output[-4000:]
    assert _desired(site) == 1
    assert {node.instance for node in site.settle()} == before - {worker}
    last = site.one("worker")
    run = site.playbook("remove_node.yml", "-e", f"id={last}", "-e", "replace=false")
    assert run.code != 0
    assert "may not have fewer than 1" in run.said
    assert run.changed == 0


@pytest.mark.fault(12)
def test_fault_12_a_command_on_a_node_that_falls_silent_comes_back(site: Site) -> None:
    """Nothing ends the connection: it is for those who wait at its other end to notice."""
    site.settle()
    worker = site.one("worker")
    words = ("ansible", worker, "--module-name", "ansible.builtin.raw", "--args", "sleep 600")
    ends = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    waiting = subprocess.Popen(words, cwd=ROOT, env=site.environment, text=True, **ends)
    try:
        site.wait("it to have begun", lambda: site.on(worker, "pgrep", "--full", "^sleep 600").code == 0)
        site.control("partition", worker)
        said, _ = waiting.communicate(timeout=300)
    finally:
        site.control("heal", worker)
        waiting.kill()
    assert waiting.returncode != 0
    assert "UNREACHABLE" in said
    site.settle()


@pytest.mark.fault(22)
def test_fault_22_a_node_whose_engine_hangs_is_replaced_when_the_policy_says_so(site: Site) -> None:
    site.settle()
    worker, leader = site.one("worker"), site.one("leader")
    with site.brisk(down_seconds=5):
        site.must(worker, "pkill", "-STOP", "dockerd")
        site.wait("it to be gone", lambda: worker not in site.ids())
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
