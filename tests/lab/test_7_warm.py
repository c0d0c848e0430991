"""A group of workers with a warm pool: what is in there is no node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from parliament import analyze_policy_string

from .own import Configuration, cluster
from .site import CLUSTER, Site

WORKERS = f"{CLUSTER}-worker"
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A lab of its own, which is destroyed in the end."""
    with cluster("warm", tmp_path_factory.mktemp("warm"), with_pool) as site:
        yield site


def with_pool(usual: Configuration) -> Configuration:
    """The configuration in which the workers and their pool are two together."""
    pool = {"warm_pool": {"min": 0, "max": 2}}
    groups = [{**one, **(pool if one["name"] == "worker" else {})} for one in usual["node_groups"]]
    return {**usual, "node_groups": groups}


def pool(site: Site) -> dict[str, str]:
    """The states of what is in the warm pool, by instance ID."""
    found = site.aws("autoscaling").describe_warm_pool(AutoScalingGroupName=WORKERS)["Instances"]
    return {one["InstanceId"]: one["LifecycleState"] for one in found}


def warmed(site: Site) -> str:
    """The one instance that is stopped in the pool."""
    site.wait("an instance to be stopped in the pool", lambda: list(pool(site).values()) == ["Warmed:Stopped"], 240)
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


def test_an_instance_is_prepared_stopped_and_in_no_swarm(site: Site) -> None:
    warm = warmed(site)
    site.settle()
    assert warm not in nodes(site)
    # It said so itself, once; and it may say it of its group alone.
    calls = [one for one in site.calls() if one["caller"] == WORKERS and one["service"] == "autoscaling"]
    assert {(one["action"], one["allowed"]) for one in calls} == {("CompleteLifecycleAction", True)}
    policy = site.aws("iam").get_role_policy(RoleName=WORKERS, PolicyName="swarm")["PolicyDocument"]
    assert [finding.issue for finding in analyze_policy_string(json.dumps(policy)).findings] == []
    seen = site.playbook("playbooks/status.yml")
    assert seen.code == 0, seen.output[-3000:]
    assert any(warm in line and "Warmed:Stopped" in line for line in seen.output.splitlines()), seen.output
    assert "In flight: nothing" in seen.output and "Note:" not in seen.output, seen.output


def test_a_second_run_changes_nothing_and_the_plan_knows_what_it_costs(site: Site) -> None:
    site.settle()
    run = site.playbook("site.yml")
    assert (run.code, run.changed) == (0, 0), run.output[-6000:]
    plan = site.playbook("playbooks/plan.yml")
    assert plan.code == 0, plan.output[-4000:]
    assert "Nothing is to be changed." in plan.output and "No orphans" in plan.output, plan.output[-4000:]
    assert "t3.small and 1 stopped" in plan.output, plan.output[-4000:]
