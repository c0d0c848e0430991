"""What is told of node groups, and how their size, scaling and warm pools are kept."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import metrics
from ansible_collections.swarm.aws.plugins.module_utils._core.upgrade_marker import TAG
from ansible_collections.swarm.aws.plugins.module_utils.aws import waiters
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.plugins.module_utils.aws.provision_error import ProvisionError

from lab.aws.autoscaling.backend import LabAutoScaling
from tests.unit.account.account import account
from tests.unit.account.cases.groups import CASE, GROUPS, LAUNCHING, MANAGER, WARM_CASE, WORKER, launchable, prepare


def test_a_group_that_is_no_longer_declared_is_reported_and_kept() -> None:
    with account() as world:
        told = prepare(world)
        CASE.run(world, told)
        with world.recording() as writes:
            result = CASE.run(world, {**told, "groups": told["groups"][:1]})
        assert result["unknown_groups"] == [WORKER]
        assert writes == []


def test_a_scaling_group_keeps_its_size_when_desired_changes() -> None:
    with account() as world:
        told = prepare(world)
        CASE.run(world, told)
        world.aws.client("autoscaling").set_desired_capacity(AutoScalingGroupName=WORKER, DesiredCapacity=3)
        told["groups"][1]["desired"] = 2
        report = CASE.run(world, told)
        assert (report["groups"][1]["size"], report["groups"][1]["scaled"]) == (3, False)
        assert report["changes"] == [f"update the tag swarm.aws/desired of {WORKER}"]
        told["groups"][1]["max"] = 2
        assert CASE.run(world, told)["groups"][1]["size"] == desired(world.aws) == 2

        told["groups"][1]["scaling"] = None
        planned, report = CASE.run(world, told, check=True), CASE.run(world, told)
        assert planned["changes"] == report["changes"] == [f"delete the scaling policy needed-nodes of {WORKER}"]
        assert CASE.run(world, told)["changes"] == []
        assert world.aws.client("autoscaling").describe_policies(AutoScalingGroupName=WORKER)["ScalingPolicies"] == []


def test_a_scaling_group_tracks_the_metric_that_the_agents_send() -> None:
    with account() as world:
        CASE.run(world, prepare(world))
        (policy,) = world.aws.client("autoscaling").describe_policies()["ScalingPolicies"]
        (sent,) = metrics.data([metrics.sample(metrics.RESERVATION, 50, group="worker")], 60)
    tracking = policy["TargetTrackingConfiguration"]
    assert (policy["AutoScalingGroupName"], tracking["TargetValue"]) == (WORKER, 80)
    followed = tracking["CustomizedMetricSpecification"]
    assert followed["Namespace"] == "swarm.aws/example"
    assert {key: followed[key] for key in ("MetricName", "Dimensions", "Unit")} == {
        key: sent[key] for key in ("MetricName", "Dimensions", "Unit")
    }


def test_a_warm_pool_is_deleted_before_its_group_becomes_spot() -> None:
    with account() as world:
        told = WARM_CASE.prepare(world)
        WARM_CASE.run(world, told)
        told["groups"][1]["warm_pool"] = None
        told["groups"][1]["spot"] = GROUPS[1]["spot"]
        planned = WARM_CASE.run(world, told, check=True)
        # The deletion takes a while.
        with world.passing_time(waiters):
            report = WARM_CASE.run(world, told)
        assert planned["changes"] == report["changes"]
        assert report["changes"] == [f"delete the warm pool of {WORKER}", f"update the Auto Scaling group {WORKER}"]
        assert report["diff"][0]["before"] == {"MinSize": 1, "MaxGroupPreparedCapacity": 4, "PoolState": "Stopped"}
        assert WARM_CASE.run(world, told)["changes"] == []


def test_a_warm_pool_that_is_not_deleted_in_time_is_named() -> None:
    with account() as world:
        told = WARM_CASE.prepare(world)
        WARM_CASE.run(world, told)
        told["groups"][1] |= {"warm_pool": None, "spot": GROUPS[1]["spot"]}
        with (
            patch.object(LabAutoScaling, "step"),
            world.passing_time(waiters),
            pytest.raises(ProvisionError, match=f"Still waiting for the deletion of the warm pool of {WORKER}"),
        ):
            WARM_CASE.run(world, told)


def test_a_warm_pool_that_is_being_deleted_asks_for_another_run() -> None:
    with account() as world:
        told = WARM_CASE.prepare(world)
        WARM_CASE.run(world, told)
        world.aws.client("autoscaling").delete_warm_pool(AutoScalingGroupName=WORKER, ForceDelete=True)
        with pytest.raises(ProvisionError, match=f"The warm pool of {WORKER} is being deleted: run this again"):
            WARM_CASE.run(world, told)
        world.scaling.step()
        assert WARM_CASE.run(world, told)["changes"] == [f"create the warm pool of {WORKER}"]


def test_warm_instances_are_listed_and_outdated_instances_are_named() -> None:
    with account() as world:
        told = launchable(world, WARM_CASE.prepare(world))
        WARM_CASE.run(world, told)
        world.scaling.step()
        there = [member.instance.id for member in world.scaling.members() if member.warmed]
        assert len(there) == 3
        report = WARM_CASE.run(world, told)
        assert (report["changes"], report["groups"][1]["warm"], report["groups"][1]["outdated"]) == (
            [],
            sorted(there),
            [],
        )
        told["template_versions"] = {"manager": 2, "worker": 3}
        assert set(there) <= set(WARM_CASE.run(world, told)["groups"][1]["outdated"])


def test_a_group_that_is_being_deleted_asks_for_another_run() -> None:
    with account() as world:
        told = prepare(world)
        CASE.run(world, told)
        world.aws.client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=WORKER, ForceDelete=True)
        with pytest.raises(ProvisionError, match=f"{WORKER} is being deleted: run this again"):
            CASE.run(world, told)


def desired(aws: AwsSession) -> int:
    group = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[WORKER])["AutoScalingGroups"][
        0
    ]
    size: int = group["DesiredCapacity"]
    return size


def test_a_scaled_group_keeps_its_size_until_desired_changes() -> None:
    with account() as world:
        params = prepare(world)
        params["groups"][1]["scaling"] = None
        CASE.run(world, params)
        world.aws.client("autoscaling").set_desired_capacity(AutoScalingGroupName=WORKER, DesiredCapacity=3)
        result = CASE.run(world, params)
        told = result["groups"][1]
        assert (result["changes"], told["desired"], told["size"], told["scaled"]) == ([], 1, 3, True)
        groups = [params["groups"][0], {**params["groups"][1], "desired": 2}]
        changed = {**params, "groups": groups}
        assert CASE.run(world, changed)["changes"] == [
            f"update the Auto Scaling group {WORKER}",
            f"update the tag swarm.aws/desired of {WORKER}",
        ]
        assert desired(world.aws) == 2
        assert CASE.run(world, changed)["changes"] == []


def test_a_group_keeps_the_size_of_an_upgrade_in_progress() -> None:
    with account() as world:
        params = prepare(world)
        CASE.run(world, params)
        tag = {"ResourceId": MANAGER, "ResourceType": "auto-scaling-group", "Key": TAG, "Value": "3 max=3"}
        world.aws.client("autoscaling").create_or_update_tags(Tags=[{**tag, "PropagateAtLaunch": False}])
        world.aws.client("autoscaling").update_auto_scaling_group(
            AutoScalingGroupName=MANAGER, MaxSize=4, DesiredCapacity=4
        )
        assert CASE.run(world, params)["changes"] == []


def test_a_hook_waits_longer_than_the_agents_of_a_slow_group() -> None:
    with account() as world:
        told = prepare(world)
        told["groups"][1]["launch_seconds"] = 1800
        CASE.run(world, told)
        assert CASE.run(world, told)["changes"] == []
        hooks = {
            name: world.aws.client("autoscaling").describe_lifecycle_hooks(
                AutoScalingGroupName=name, LifecycleHookNames=[LAUNCHING]
            )["LifecycleHooks"][0]["HeartbeatTimeout"]
            for name in (MANAGER, WORKER)
        }
    assert hooks == {MANAGER: 900, WORKER: 2100}
