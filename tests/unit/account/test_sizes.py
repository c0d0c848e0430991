"""More instances for good or for a while, on a group that launches while one sleeps."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.upgrade_marker import TAG
from ansible_collections.swarm.aws.plugins.module_utils.account import capacity
from ansible_collections.swarm.aws.plugins.module_utils.aws.provision_error import ProvisionError
from ansible_collections.swarm.aws.plugins.modules import node_group_size

from lab.aws import account as lab_account
from lab.aws import instances
from lab.aws.autoscaling.group import Activity
from lab.aws.grafts import Grafts
from tests.unit.account.account import Account, account
from tests.unit.account.cases.groups import CASE, WORKER, group, launch, launchable, prepare

Make = Callable[..., "Scaling"]
SURGE = "3 max=3 paused=AZRebalance"


class Scaling:
    """A group of workers whose instances are all behind its launch template."""

    def __init__(self, world: Account, desired: int = 3, maximum: int = 3, **more: Any) -> None:
        self.world = world
        workers = group("worker", min=1, desired=desired, max=maximum, **more)
        CASE.run(world, launchable(world, {**prepare(world), "groups": [workers]}))
        world.scaling.step()
        launch(world.aws, WORKER, 3)
        self.old = self.ids

    @property
    def group(self) -> dict[str, Any]:
        found: dict[str, Any] = self.world.aws.client("autoscaling").describe_auto_scaling_groups()[
            "AutoScalingGroups"
        ][0]
        return found

    @property
    def ids(self) -> list[str]:
        there = self.group["Instances"]
        return [instance["InstanceId"] for instance in there if not instance["LifecycleState"].startswith("Terminat")]

    @property
    def settings(self) -> Any:
        """All that is to be as usual in the end."""
        found = self.group
        tags = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
        paused = [process["ProcessName"] for process in found["SuspendedProcesses"]]
        return found["DesiredCapacity"], found["MaxSize"], tags.get(TAG), paused

    def run(self, *, check: bool = False, **asked: Any) -> dict[str, Any]:
        """Run the module on the group."""
        params = {"cluster_name": "example", "group": "worker", "timeout": 60, **asked}
        with self.world.passing_time(capacity):
            return self.world.run(node_group_size.ARGUMENTS, node_group_size.work, params, check=check)

    def leave(self, identifier: str) -> None:
        """What a removal without replacement does."""
        self.world.aws.client("autoscaling").terminate_instance_in_auto_scaling_group(
            InstanceId=identifier, ShouldDecrementDesiredCapacity=True
        )

    def pause(self, process: str) -> None:
        self.world.aws.client("autoscaling").suspend_processes(AutoScalingGroupName=WORKER, ScalingProcesses=[process])


@pytest.fixture
def make() -> Iterator[Make]:
    grafts = Grafts()
    instances.install(grafts)
    try:
        with account() as world:
            yield functools.partial(Scaling, world)
    finally:
        grafts.remove()


def test_scaling_out_launches_instances_and_waits_for_them(make: Make) -> None:
    scaling = make(1, 4)
    assert scaling.run(desired=3)["changes"] == [f"update the Auto Scaling group {WORKER}"]
    assert (scaling.settings, scaling.ids[:1], len(scaling.ids)) == ((3, 4, None, []), scaling.old, 3)
    assert not scaling.run(desired=3)["changed"]


def test_outdated_warm_instances_are_terminated_and_waited_for(make: Make) -> None:
    scaling = make(warm_pool={"min": 2, "max": 3})
    aws, world = scaling.world.aws, scaling.world
    waiting = sorted(member.instance.id for member in world.scaling.members() if member.warmed)
    aws.client("autoscaling").put_warm_pool(AutoScalingGroupName=WORKER, MinSize=3)
    world.scaling.step()
    with world.recording() as writes:
        planned = scaling.run(renew_warm=True, check=True)
    assert (planned["ended"], writes) == (waiting, [])
    made = scaling.run(renew_warm=True)
    assert (made["ended"], made["changes"]) == (waiting, planned["changes"])
    assert sorted(made["changes"]) == [
        f"delete the instance {instance} of the warm pool of {WORKER}" for instance in waiting
    ]
    assert sorted(member.instance.id for member in world.scaling.members() if member.terminating) == waiting
    assert scaling.run(renew_warm=True)["ended"] == [], "they are on their way"
    assert (scaling.ids, scaling.settings) == (scaling.old, (3, 3, None, []))


def test_a_group_without_a_warm_pool_has_no_warm_instances_to_replace(make: Make) -> None:
    assert make().run(renew_warm=True)["ended"] == []


def test_a_warm_pool_that_keeps_terminated_instances_is_reported(make: Make) -> None:
    scaling = make(warm_pool={"min": 1, "max": 3})
    scaling.pause("ReplaceUnhealthy")
    with pytest.raises(ProvisionError, match=r"After 60 s Auto Scaling still has i-\w+ in the warm pool of the group"):
        scaling.run(renew_warm=True)


@pytest.mark.parametrize(
    ("desired", "said"),
    [(5, "may have 1 to 4 instances, not 5"), (1, "has 2 instances, and Auto Scaling would choose")],
)
def test_an_invalid_size_is_refused_before_a_write(make: Make, desired: int, said: str) -> None:
    scaling = make(2, 4)
    with scaling.world.recording() as writes:
        with pytest.raises(ProvisionError, match=said):
            scaling.run(desired=desired)
        with pytest.raises(ProvisionError, match="There is no node group 'wroker'; did you mean 'worker'"):
            scaling.run(group="wroker", desired=3)
    assert writes == []


def test_a_surge_raises_max_if_needed_and_restores_it_afterwards(make: Make) -> None:
    scaling = make()
    scaling.run(surge=1)
    assert scaling.settings == (4, 4, SURGE, ["AZRebalance"])
    scaling.run(surge=0)
    assert scaling.settings[0] == 4, "it still has one more than usual"
    *left, new = scaling.ids
    assert left == scaling.old
    scaling.leave(left[0])
    scaling.run(surge=0)
    assert (scaling.settings, scaling.ids) == ((3, 3, None, []), [*left[1:], new])


def test_a_surge_keeps_a_suspended_process_and_a_sufficient_max(make: Make) -> None:
    scaling = make(3, 5)
    scaling.pause("AZRebalance")
    scaling.run(surge=2)
    assert scaling.settings == (5, 5, "3", ["AZRebalance"])
    for instance in scaling.old[:2]:
        scaling.leave(instance)
    scaling.run(surge=0)
    assert scaling.settings == (3, 5, None, ["AZRebalance"])


def test_a_group_that_is_being_upgraded_is_not_resized(make: Make) -> None:
    scaling = make(3, 5)
    scaling.run(surge=1)
    with pytest.raises(ProvisionError, match="An upgrade of the group worker is under way"):
        scaling.run(desired=5)


def test_a_surge_killed_after_any_write_is_completed_by_the_next_run(make: Make) -> None:
    scaling = make()
    for surge, writes, settings in ((1, 4, (4, 4, SURGE, ["AZRebalance"])), (0, 3, (3, 3, None, []))):
        killed = 0
        while scaling.world.kills(lambda surge=surge: scaling.run(surge=surge)):  # type: ignore[misc]
            killed += 1
        assert (killed, scaling.settings) == (writes, settings)
        scaling.leave(scaling.old[0])


def test_a_second_surge_keeps_the_original_size_of_the_first(make: Make) -> None:
    scaling = make()
    scaling.run(surge=1)
    scaling.leave(scaling.old[0])
    scaling.run(surge=2)
    assert scaling.settings == (5, 5, SURGE, ["AZRebalance"])


@pytest.mark.fault(35)
def test_fault_35_cancelling_terminates_new_instances_that_do_not_serve(make: Make) -> None:
    scaling = make()
    scaling.run(surge=2)
    new = scaling.ids[3:]
    assert scaling.run(call_off=True, keep=scaling.old)["ended"] == new
    assert (scaling.settings, scaling.ids) == ((3, 3, None, []), scaling.old)
    assert scaling.run(call_off=True)["ended"] == []


@pytest.mark.fault(35)
def test_fault_35_cancelling_keeps_a_new_instance_that_serves(make: Make) -> None:
    scaling = make()
    scaling.run(surge=2)
    fails, serves = scaling.ids[3:]
    assert scaling.run(call_off=True, keep=[*scaling.old, serves])["ended"] == [fails]
    assert scaling.settings == (4, 5, SURGE, ["AZRebalance"])
    assert scaling.ids == [*scaling.old, serves]


@pytest.mark.fault(35)
def test_fault_35_a_failed_launch_is_reported_with_auto_scalings_words(make: Make) -> None:
    scaling = make()
    long_ago = Activity(WORKER, "Launching", "")
    long_ago.end("Failed", "long ago")
    scaling.world.scaling.activities.insert(0, long_ago)
    launch(scaling.world.aws, WORKER, 1)
    with pytest.raises(ProvisionError, match=r"cannot launch instances of the group worker: The image id '\[ami-0"):
        scaling.run(surge=1)
    assert scaling.run(call_off=True, keep=scaling.old)["ended"] == []
    assert (scaling.settings, scaling.ids) == ((3, 3, None, []), scaling.old)


def test_launches_that_fail_in_every_zone_are_told_within_a_minute(make: Make) -> None:
    scaling = make()
    nowhere = dict.fromkeys(("eu-west-1a", "eu-west-1b", "eu-west-1c"), frozenset({"t3.small"}))
    with (
        patch.object(lab_account, "current", replace(lab_account.KIND, exhausted_types=nowhere)),
        pytest.raises(ProvisionError, match="group worker: We currently do not have sufficient"),
    ):
        scaling.run(surge=1, timeout=600)


def test_a_launch_that_succeeds_in_another_zone_is_waited_for(make: Make) -> None:
    scaling = make()
    elsewhere = {"eu-west-1b": frozenset({"t3.small"}), "eu-west-1c": frozenset({"t3.small"})}
    with patch.object(lab_account, "current", replace(lab_account.KIND, absent_types=elsewhere)):
        scaling.run(surge=3)
    assert len(scaling.ids) == 6


def test_an_instance_that_is_never_launched_has_a_deadline(make: Make) -> None:
    scaling = make()
    scaling.pause("Launch")
    with pytest.raises(ProvisionError, match="After 60 s Auto Scaling has not launched 1 more instance"):
        scaling.run(surge=1)


def test_check_mode_writes_nothing_and_names_every_change(make: Make) -> None:
    scaling = make()
    with scaling.world.recording() as writes:
        assert scaling.run(surge=1, check=True)["changes"] == [
            f"create the tag {TAG} of {WORKER}",
            f"update the process AZRebalance of {WORKER}",
            f"update the Auto Scaling group {WORKER}",
            f"update the Auto Scaling group {WORKER}",
        ]
    assert writes == []


def test_the_module_reports_sizes_and_refuses_unclear_arguments() -> None:
    with account() as world:
        CASE.run(world, prepare(world))
        asked = {"cluster_name": "example"}
        told = world.run(node_group_size.ARGUMENTS, node_group_size.work, asked)
        assert [
            (group["name"], group["role"], group["desired"], group["original_size"]) for group in told["groups"]
        ] == [
            ("manager", "manager", 3, None),
            ("worker", "worker", 1, None),
        ]
        for wrong in ({"group": "worker"}, {"desired": 2}, {"group": "worker", "desired": 2, "surge": 1}):
            with pytest.raises(ProvisionError, match="Set group and exactly one of"):
                world.run(node_group_size.ARGUMENTS, node_group_size.work, {**asked, **wrong})
        planned = world.run(
            node_group_size.ARGUMENTS, node_group_size.work, {**asked, "group": "worker", "desired": 4}, check=True
        )
        assert planned["changes"] == [f"update the Auto Scaling group {WORKER}"]
