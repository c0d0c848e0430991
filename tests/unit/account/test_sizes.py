"""More instances for good or for a while, on a group that launches while one sleeps."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.usual import TAG
from ansible_collections.swarm.aws.plugins.module_utils.account.capacity import Sizes
from ansible_collections.swarm.aws.plugins.module_utils.aws.changes import Changes
from ansible_collections.swarm.aws.plugins.module_utils.aws.errors import ProvisionError
from ansible_collections.swarm.aws.plugins.module_utils.aws.session import Aws
from ansible_collections.swarm.aws.plugins.modules import node_group_size

from tests.unit.account.account import Killed, account
from tests.unit.account.cases.groups import CASE, WORKER, prepare

NAME = "example-worker"


class Scaling:
    """Auto Scaling with one group."""

    def __init__(self, desired: int = 3, maximum: int = 3, **more: Any) -> None:
        self.number, self.time, self.writes = 0, 0.0, 0
        self.killed_after: int | None = None
        self.refuses_to_launch = ""
        self.activities: list[dict[str, Any]] = []
        self.group: dict[str, Any] = {
            "AutoScalingGroupName": NAME,
            "MinSize": 1,
            "DesiredCapacity": desired,
            "MaxSize": maximum,
            "LaunchTemplate": {"LaunchTemplateName": NAME, "Version": "1"},
            "Instances": [],
            "SuspendedProcesses": [],
            "Tags": [{"Key": "swarm.aws/group", "Value": "worker"}, {"Key": "swarm.aws/role", "Value": "worker"}],
            **more,
        }
        self.launch()
        for one in self.group["Instances"]:
            one["LifecycleState"] = "InService"
        self.group["LaunchTemplate"]["Version"] = "2"

    def launch(self) -> None:
        while len(self.living) < self.group["DesiredCapacity"]:
            if self.refuses_to_launch:
                failed = {"StatusCode": "Failed", "Description": "Launching a new EC2 instance"}
                self.activities.insert(
                    0, {**failed, "ActivityId": str(len(self.activities)), "StatusMessage": self.refuses_to_launch}
                )
                return
            self.number += 1
            self.group["Instances"].append(
                {
                    "InstanceId": f"i-{self.number}",
                    "LifecycleState": "Pending:Wait",
                    "LaunchTemplate": dict(self.group["LaunchTemplate"]),
                }
            )
        assert len(self.living) == self.group["DesiredCapacity"], "Auto Scaling would choose which ones to end"

    @property
    def living(self) -> list[dict[str, Any]]:
        return [one for one in self.group["Instances"] if not one["LifecycleState"].startswith("Terminat")]

    @property
    def ids(self) -> list[str]:
        return [one["InstanceId"] for one in self.living]

    @property
    def settings(self) -> Any:
        """All that is to be as usual in the end."""
        tags = {one["Key"]: one["Value"] for one in self.group["Tags"]}
        paused = [one["ProcessName"] for one in self.group["SuspendedProcesses"]]
        return self.group["DesiredCapacity"], self.group["MaxSize"], tags.get(TAG), paused

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.launch()

    # The API

    def get_paginator(self, name: str) -> Any:
        assert name == "describe_auto_scaling_groups"
        return self

    def paginate(self, **_: Any) -> Any:
        return [{"AutoScalingGroups": [copy.deepcopy(self.group)]}]

    def describe_scaling_activities(self, **_: Any) -> Any:
        return {"Activities": list(self.activities)}

    def _wrote(self) -> None:
        self.writes += 1
        if self.killed_after is not None and self.writes >= self.killed_after:
            raise Killed

    def set_desired_capacity(self, **given: Any) -> None:
        assert self.group["MinSize"] <= given["DesiredCapacity"] <= self.group["MaxSize"]
        self.group["DesiredCapacity"] = given["DesiredCapacity"]
        self._wrote()

    def update_auto_scaling_group(self, **given: Any) -> None:
        self.group["MaxSize"] = given["MaxSize"]
        assert self.group["MaxSize"] >= self.group["DesiredCapacity"], "Auto Scaling would lower that too"
        self._wrote()

    def create_or_update_tags(self, **given: Any) -> None:
        (tag,) = given["Tags"]
        assert not tag["PropagateAtLaunch"]
        self.group["Tags"] = [one for one in self.group["Tags"] if one["Key"] != tag["Key"]] + [tag]
        self._wrote()

    def delete_tags(self, **given: Any) -> None:
        (tag,) = given["Tags"]
        self.group["Tags"] = [one for one in self.group["Tags"] if one["Key"] != tag["Key"]]
        self._wrote()

    def suspend_processes(self, **given: Any) -> None:
        self.group["SuspendedProcesses"] += [{"ProcessName": one} for one in given["ScalingProcesses"]]
        self._wrote()

    def resume_processes(self, **given: Any) -> None:
        left = [one for one in self.group["SuspendedProcesses"] if one["ProcessName"] not in given["ScalingProcesses"]]
        self.group["SuspendedProcesses"] = left
        self._wrote()

    def terminate_instance_in_auto_scaling_group(self, **given: Any) -> None:
        one = next(one for one in self.living if one["InstanceId"] == given["InstanceId"])
        one["LifecycleState"] = "Terminating:Wait"
        assert given["ShouldDecrementDesiredCapacity"]
        self.group["DesiredCapacity"] -= 1
        self._wrote()


class Account:
    def __init__(self, scaling: Scaling) -> None:
        self.autoscaling = self.ec2 = scaling


class WarmScaling(Scaling):
    """The same with a warm pool whose instances are behind by the version that they say; time ends what is ended."""

    def __init__(self, *versions: str) -> None:
        super().__init__(WarmPoolConfiguration={"MinSize": 1})
        self.ended: list[str] = []
        self.notices = True
        self.pool = [
            {"InstanceId": f"i-9{number}", "LifecycleState": "Warmed:Stopped", "LaunchTemplate": {"Version": version}}
            for number, version in enumerate(versions)
        ]

    def get_paginator(self, name: str) -> Any:
        pages = [{"Instances": copy.deepcopy(self.pool)}]
        return (
            SimpleNamespace(paginate=lambda **_: pages) if name == "describe_warm_pool" else super().get_paginator(name)
        )

    def terminate_instances(self, **given: Any) -> None:
        self.ended += given["InstanceIds"]
        self._wrote()

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        for one in self.pool:
            if one["InstanceId"] in self.ended and self.notices:
                one["LifecycleState"] = "Warmed:Terminating:Wait"


def sizes(scaling: Scaling, check: bool = False) -> tuple[Sizes, Changes]:
    changes = Changes(check)
    return Sizes(Account(scaling), "example", changes, now=scaling.now, sleep=scaling.sleep), changes  # type: ignore[arg-type]


def leave(scaling: Scaling, identifier: str) -> None:
    """What a removal without replacement does."""
    scaling.killed_after = None
    scaling.terminate_instance_in_auto_scaling_group(InstanceId=identifier, ShouldDecrementDesiredCapacity=True)


def test_more_are_launched_for_good_and_waited_for() -> None:
    scaling = Scaling(1, 4)
    work, changes = sizes(scaling)
    work.resize("worker", 3, 60)
    assert (scaling.settings, scaling.ids) == ((3, 4, None, []), ["i-1", "i-2", "i-3"])
    assert changes.result()["changes"] == [f"update the Auto Scaling group {NAME}"]
    again, changes = sizes(scaling)
    again.resize("worker", 3, 60)
    assert not changes.result()["changed"]


def test_what_waits_in_the_warm_pool_and_is_behind_is_ended_and_seen_to_go() -> None:
    scaling = WarmScaling("1", "2", "1")
    planned, changes = sizes(scaling, check=True)
    assert planned.renew("worker", 60) == ["i-90", "i-92"]
    assert scaling.writes == 0
    work, made = sizes(scaling)
    assert work.renew("worker", 60) == scaling.ended == ["i-90", "i-92"]
    assert changes.result()["changes"] == made.result()["changes"]
    assert made.result()["changes"][0] == f"delete the instance i-90 of the warm pool of {NAME}"
    assert sizes(scaling)[0].renew("worker", 60) == [], "they are on their way"
    assert (scaling.ids, scaling.settings) == (["i-1", "i-2", "i-3"], (3, 3, None, []))
    assert sizes(Scaling())[0].renew("worker", 60) == [], "it has no warm pool"


def test_a_warm_pool_that_keeps_what_was_ended_is_said_to() -> None:
    scaling = WarmScaling("1")
    scaling.notices = False
    with pytest.raises(
        ProvisionError, match="After 60 s Auto Scaling still has i-90 in the warm pool of the group worker"
    ):
        sizes(scaling)[0].renew("worker", 60)


@pytest.mark.parametrize(
    ("desired", "said"),
    [(5, "may have 1 to 4 instances, and 5 are asked for"), (1, "has 2 instances, and Auto Scaling would choose")],
)
def test_what_may_not_be_is_refused_before_a_write(desired: int, said: str) -> None:
    scaling = Scaling(2, 4)
    with pytest.raises(ProvisionError, match=said):
        sizes(scaling)[0].resize("worker", desired, 60)
    with pytest.raises(ProvisionError, match="There is no node group 'wroker'; did you mean 'worker'"):
        sizes(scaling)[0].resize("wroker", 3, 60)
    assert scaling.writes == 0


def test_a_surge_raises_max_where_it_must_and_all_is_as_usual_afterwards() -> None:
    scaling = Scaling(3, 3)
    work, _ = sizes(scaling)
    work.surge("worker", 1, 60)
    assert scaling.settings == (4, 4, "3 max=3 paused=AZRebalance", ["AZRebalance"])
    work.settle("worker")
    assert scaling.settings[0] == 4, "it still has one more than usual"
    leave(scaling, "i-1")
    work.settle("worker")
    assert scaling.settings == (3, 3, None, [])
    assert scaling.ids == ["i-2", "i-3", "i-4"]


def test_what_the_operator_paused_stays_so_and_a_max_that_is_enough_is_not_touched() -> None:
    scaling = Scaling(3, 5, SuspendedProcesses=[{"ProcessName": "AZRebalance"}])
    work, _ = sizes(scaling)
    work.surge("worker", 2, 60)
    assert scaling.settings == (5, 5, "3", ["AZRebalance"])
    leave(scaling, "i-1")
    leave(scaling, "i-2")
    work.settle("worker")
    assert scaling.settings == (3, 5, None, ["AZRebalance"])


def test_a_group_that_is_being_upgraded_is_not_resized() -> None:
    scaling = Scaling(3, 5)
    sizes(scaling)[0].surge("worker", 1, 60)
    with pytest.raises(ProvisionError, match="An upgrade of the group worker is under way"):
        sizes(scaling)[0].resize("worker", 5, 60)


@pytest.mark.parametrize("killed_after", range(1, 5))
def test_a_surge_that_is_killed_after_any_write_is_finished_by_the_next_and_undone(killed_after: int) -> None:
    scaling = Scaling(3, 3)
    scaling.killed_after = killed_after
    with pytest.raises(Killed):
        sizes(scaling)[0].surge("worker", 1, 60)
    scaling.killed_after = None
    work, _ = sizes(scaling)
    work.surge("worker", 1, 60)
    assert scaling.settings == (4, 4, "3 max=3 paused=AZRebalance", ["AZRebalance"])
    leave(scaling, "i-1")
    for number in range(1, 4):
        scaling.writes, scaling.killed_after = 0, number
        other = copy.deepcopy(scaling)
        with pytest.raises(Killed):
            sizes(other)[0].settle("worker")
        other.killed_after = None
        sizes(other)[0].settle("worker")
        assert other.settings == (3, 3, None, [])


def test_a_second_round_uses_what_the_first_noted() -> None:
    scaling = Scaling(3, 3)
    work, _ = sizes(scaling)
    work.surge("worker", 1, 60)
    leave(scaling, "i-1")
    work.surge("worker", 2, 60)
    assert scaling.settings == (5, 5, "3 max=3 paused=AZRebalance", ["AZRebalance"])


@pytest.mark.fault(35)
def test_fault_35_new_ones_that_never_serve_are_ended_and_old_ones_stay() -> None:
    scaling = Scaling(3, 3)
    work, _ = sizes(scaling)
    work.surge("worker", 2, 60)
    assert work.call_off("worker", keep=["i-1", "i-2", "i-3"]) == ["i-4", "i-5"]
    assert (scaling.settings, scaling.ids) == ((3, 3, None, []), ["i-1", "i-2", "i-3"])
    assert work.call_off("worker", keep=[]) == []


@pytest.mark.fault(35)
def test_fault_35_one_that_serves_already_is_kept_for_the_next_run() -> None:
    scaling = Scaling(3, 3)
    work, _ = sizes(scaling)
    work.surge("worker", 2, 60)
    assert work.call_off("worker", keep=["i-1", "i-2", "i-3", "i-5"]) == ["i-4"]
    assert scaling.settings == (4, 5, "3 max=3 paused=AZRebalance", ["AZRebalance"])
    assert scaling.ids == ["i-1", "i-2", "i-3", "i-5"]


@pytest.mark.fault(35)
def test_fault_35_an_image_that_cannot_be_launched_is_told_with_auto_scalings_own_words() -> None:
    scaling = Scaling(3, 3)
    scaling.activities = [
        {"ActivityId": "old", "StatusCode": "Failed", "Description": "Launching", "StatusMessage": "long ago"}
    ]
    scaling.refuses_to_launch = "The image id '[ami-1]' does not exist."
    work, _ = sizes(scaling)
    with pytest.raises(
        ProvisionError, match=r"cannot launch an instance for the group worker: The image id '\[ami-1\]'"
    ):
        work.surge("worker", 1, 60)
    assert work.call_off("worker", keep=["i-1", "i-2", "i-3"]) == []
    assert (scaling.settings, scaling.ids) == ((3, 3, None, []), ["i-1", "i-2", "i-3"])


def test_what_is_never_launched_has_a_deadline() -> None:
    scaling = Scaling(3, 3)
    scaling.launch = lambda: None  # type: ignore[method-assign]
    with pytest.raises(ProvisionError, match="After 60 s Auto Scaling has not launched 1 more instances"):
        sizes(scaling)[0].surge("worker", 1, 60)


def test_check_mode_writes_nothing_and_names_all() -> None:
    scaling = Scaling(3, 3)
    work, changes = sizes(scaling, check=True)
    work.surge("worker", 1, 60)
    assert scaling.writes == 0
    assert changes.result()["changes"] == [
        f"create the tag {TAG} of {NAME}",
        f"update the process AZRebalance of {NAME}",
        f"update the Auto Scaling group {NAME}",
        f"update the Auto Scaling group {NAME}",
    ]


def test_the_module_tells_the_sizes_and_refuses_what_is_not_clear() -> None:
    with account() as world:
        CASE.run(world, prepare(world))
        asked = {"cluster_name": "example"}
        told = world.run(node_group_size.ARGUMENTS, node_group_size.work, asked)
        assert [(one["name"], one["role"], one["desired"], one["usual"]) for one in told["groups"]] == [
            ("manager", "manager", 3, None),
            ("worker", "worker", 1, None),
        ]
        for wrong in ({"group": "worker"}, {"desired": 2}, {"group": "worker", "desired": 2, "surge": 1}):
            with pytest.raises(ProvisionError, match="Give a group together with one of"):
                world.run(node_group_size.ARGUMENTS, node_group_size.work, {**asked, **wrong})
        planned = world.run(
            node_group_size.ARGUMENTS, node_group_size.work, {**asked, "group": "worker", "desired": 4}, check=True
        )
        assert planned["changes"] == [f"update the Auto Scaling group {WORKER}"]


# site.yml, and what was scaled


def desired(aws: Aws) -> int:
    group = aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[WORKER])["AutoScalingGroups"][0]
    size: int = group["DesiredCapacity"]
    return size


def test_a_group_that_was_scaled_stays_so_until_the_configuration_says_something_new() -> None:
    with account() as world:
        params = prepare(world)
        params["groups"][1]["scaling"] = None
        CASE.run(world, params)
        world.aws.autoscaling.set_desired_capacity(AutoScalingGroupName=WORKER, DesiredCapacity=3)
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


def test_a_group_that_was_scaled_follows_its_bounds() -> None:
    with account() as world:
        params = prepare(world)
        CASE.run(world, params)
        world.aws.autoscaling.set_desired_capacity(AutoScalingGroupName=WORKER, DesiredCapacity=4)
        lower = {**params, "groups": [params["groups"][0], {**params["groups"][1], "max": 2}]}
        CASE.run(world, lower)
        assert desired(world.aws) == 2


def test_a_group_in_the_middle_of_an_upgrade_keeps_what_that_added() -> None:
    with account() as world:
        params = prepare(world)
        CASE.run(world, params)
        name = f"{WORKER.rpartition('-')[0]}-manager"
        tag = {"ResourceId": name, "ResourceType": "auto-scaling-group", "Key": TAG, "Value": "3 max=3"}
        world.aws.autoscaling.create_or_update_tags(Tags=[{**tag, "PropagateAtLaunch": False}])
        world.aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, MaxSize=4, DesiredCapacity=4)
        assert CASE.run(world, params)["changes"] == []
