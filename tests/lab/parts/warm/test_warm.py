"""A group of workers with a warm pool: its instances are no nodes, and are used before a launch."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from parliament import analyze_policy_string

from lab.state import Lab
from tests.lab.configured import Configuration, build, unchanged
from tests.lab.site import CLUSTER, Run, Site, say

WORKERS = f"{CLUSTER}-worker"


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The cluster, destroyed by the last test."""
    return build(lab, tmp_path_factory.mktemp("warm"), with_pool)


def with_pool(configuration: Configuration, **more: object) -> Configuration:
    """The configuration with a warm pool: workers and pool are two instances together."""
    pool = {"instance_types": ["t3.small", "t3a.small"], "warm_pool": {"min": 0, "max": 2}, **more}
    return {
        **configuration,
        "node_groups": [
            {**node_group, **(pool if node_group["name"] == "worker" else {})}
            for node_group in configuration["node_groups"]
        ],
    }


def pool(site: Site) -> dict[str, str]:
    """The lifecycle states in the warm pool, by instance ID."""
    found = site.aws("autoscaling").describe_warm_pool(AutoScalingGroupName=WORKERS)["Instances"]
    return {instance["InstanceId"]: instance["LifecycleState"] for instance in found}


def warmed(site: Site) -> str:
    """Wait for a single stopped instance in the pool, and return it."""
    site.wait("an instance to be stopped in the pool", lambda: list(pool(site).values()) == ["Warmed:Stopped"])
    (identifier,) = pool(site)

    def stopped() -> bool:
        return described(site, identifier)["State"]["Name"] == "stopped"

    site.wait("EC2 to have stopped it", stopped)
    return identifier


def described(site: Site, instance: str) -> dict[str, Any]:
    found = site.aws("ec2").describe_instances(InstanceIds=[instance])
    return found["Reservations"][0]["Instances"][0]  # type: ignore[no-any-return]


def nodes(site: Site) -> set[str]:
    return {node.instance for node in site.nodes()}


def test_a_warm_instance_is_stopped_and_in_no_swarm(site: Site) -> None:
    warm = warmed(site)
    site.settle()
    assert warm not in nodes(site)
    # It completed its hook itself, with a permission for its own group only.
    calls = [call for call in site.calls() if call["caller"] == WORKERS and call["service"] == "autoscaling"]
    assert {(call["action"], call["allowed"]) for call in calls} == {("CompleteLifecycleAction", True)}
    policy = site.aws("iam").get_role_policy(RoleName=WORKERS, PolicyName="swarm")["PolicyDocument"]
    assert [finding.issue for finding in analyze_policy_string(json.dumps(policy)).findings] == []
    seen = site.playbook("playbooks/status.yml")
    assert seen.code == 0, seen.output[-3000:]
    assert any(warm in line and "Warmed:Stopped" in line for line in seen.output.splitlines()), seen.output
    assert "In flight: nothing" in seen.output and "Note:" not in seen.output, seen.output


def test_a_second_run_changes_nothing_and_the_plan_has_the_cost(site: Site) -> None:
    plan = unchanged(site)
    assert "t3.small and 1 stopped" in plan, plan[-4000:]


def test_outdated_warm_instances_are_replaced_too(site: Site) -> None:
    before = {warmed(site), *site.ids("worker")}
    configuration = Path(site.environment["ANSIBLE_INVENTORY"]) / "group_vars/all.yml"
    changed = with_pool(yaml.safe_load(configuration.read_text()), user_data="#cloud-config\nruncmd: [[touch, /new]]\n")
    configuration.write_text(yaml.safe_dump(changed))
    run = site.playbook("site.yml")
    assert run.code == 0, run.output[-4000:]
    said = next(line for line in run.output.splitlines() if "Outdated instances of the group" in line)
    assert all(instance in said for instance in before), said
    run = site.playbook("playbooks/upgrade.yml")
    assert run.code == 0, run.output[-4000:]
    assert "Outdated in warm pools, terminated first" in run.output
    # Of the group's own a node, and of the pool's what nobody knew.
    site.settle()
    assert before.isdisjoint({warmed(site), *site.ids("worker")})
    report = site.playbook("site.yml")
    assert (report.code, report.changed) == (0, 0), report.output[-4000:]
    assert "Outdated instances of the group" not in report.output


def test_a_group_that_scales_out_uses_the_warm_instance(site: Site) -> None:
    warm = warmed(site)
    before = site.ids("worker") - {warm}
    launched = described(site, warm)["LaunchTime"]
    run = site.playbook("playbooks/scale.yml", "-e", "group=worker", "-e", "desired=2")
    try:
        _used_the_warm_instance(site, run, before, warm, launched)
    finally:
        back = site.playbook("playbooks/scale.yml", "-e", "group=worker", "-e", "desired=1")
    assert back.code == 0, back.output[-4000:]


def _used_the_warm_instance(site: Site, run: Run, before: set[str], warm: str, launched: datetime) -> None:
    assert run.code == 0, run.output[-4000:]
    site.settle(workers=2)
    assert site.ids("worker") == before | {warm}, "another instance was launched"
    assert warm in nodes(site)
    assert described(site, warm)["LaunchTime"] > launched
    # This time the leader completed the hook, after the node had joined.
    done = [action for manager in site.managers() for action in site.actions(manager) if warm in str(action)]
    assert "CompleteLifecycle" in [line["action"] for line in done]
    group = site.aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[WORKERS])
    say(f"the warm pool then: {group['AutoScalingGroups'][0]['WarmPoolSize']}")
    assert pool(site) == {}


def test_a_destroyed_cluster_leaves_the_account_as_it_was(site: Site) -> None:
    run = site.playbook("playbooks/destroy.yml", "-e", f"confirm={CLUSTER}")
    assert run.code == 0, run.output[-4000:]
    assert "Nothing is left." in run.said
    assert site.inventory() == site.before
