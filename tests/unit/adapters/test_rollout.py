"""The modules for upgrades and rebalancing, on a cluster in memory."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import ScalingGroup, Service
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError, Unavailable
from ansible_collections.swarm.aws.plugins.module_utils.adapters.autoscaling import AutoScalingGroups
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.plugins.modules import node_rollout, service_rebalance

from tests.unit.core.memory_cluster import POLICY, instance, node, observed, record

MANAGERS = ScalingGroup("example-manager", "manager", 3, 3, 5, 3, "2", "manager")
WORKERS = ScalingGroup("example-worker", "worker", 1, 2, 4, 2, "2", "worker", original_size=1)


class FakeKeeper:
    """A manager's view of a cluster, in which something happens with each sleep."""

    def __init__(self):
        hosts = [instance(number, template="2") for number in (1, 2, 3)]
        nodes = [node(number) for number in (1, 2, 3)]
        found = observed([*hosts, instance(4, "worker", template="1")], [*nodes, node(4, "worker")], record(1, 2, 3))
        self.seen, self.groups_of, self.time = found, (MANAGERS, WORKERS), 1000.0
        self.to_come, self.restarted, self.state = [], [], ("", "")
        self.fleet = SimpleNamespace(groups=lambda: self.groups_of)
        self.swarm = self

    def here(self):
        return "n002"

    def services(self):
        return self.seen.services

    def restart(self, service):
        self.restarted.append(service)

    def update_state(self, service):
        return self.state

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.time += seconds
        if self.to_come:
            self.to_come.pop(0)()

    def add(self, *, host=None, joined=None):
        """Another instance or node, or the same in a new state."""
        if host:
            kept = tuple(instance for instance in self.seen.instances if instance.id != host.id)
            self.seen = replace(self.seen, instances=(*kept, host))
        if joined:
            self.seen = replace(self.seen, nodes=(*(node for node in self.seen.nodes if node.id != joined.id), joined))


@pytest.fixture
def bench(monkeypatch):
    control_plane = FakeKeeper()
    for module in (node_rollout, service_rebalance):
        monkeypatch.setattr(module, "control_plane", lambda params: control_plane)
        monkeypatch.setattr(module, "look", lambda cluster: (POLICY, cluster.seen))
    return control_plane


def rollout(control_plane, **more):
    defaults = {"group": None, "desired": None, "batch": 1, "until": "now", "ignore": [], "timeout": 60}
    return node_rollout.tell({**defaults, **more}, now=control_plane.now, sleep=control_plane.sleep)


def test_outdated_instances_and_the_upgrade_order_are_reported(bench):
    result = rollout(bench)
    assert [(group["name"], group["outdated"], group["original_size"]) for group in result["groups"]] == [
        ("manager", [], None),
        ("worker", ["i-004"], 1),
    ]
    assert result["rounds"] == [{"group": "worker", "instances": 1, "canary": True}]
    assert result["managers"] == ["i-002", "i-001", "i-003"]
    assert (result["changed"], result["going"], result["awaited"]) == (False, [], [])


def test_a_new_instance_is_waited_for_until_it_serves(bench):
    new = instance(5, "worker", template="2", lifecycle="Pending:Wait")
    bench.add(host=new)
    bench.to_come = [
        lambda: bench.add(joined=node(5, "worker")),
        lambda: bench.add(host=replace(new, lifecycle="InService")),
    ]
    joined = rollout(bench, group="worker", until="joined")
    assert (joined["awaited"], bench.time) == (["i-005 to be in service"], 1002.0)
    serving = rollout(bench, group="worker", until="serving")
    assert (serving["awaited"], serving["going"]) == ([], ["i-004"])
    assert serving["groups"][1]["serving"] == ["i-004", "i-005"]


@pytest.mark.fault(35)
def test_fault_35_an_instance_that_never_joins_has_a_deadline(bench):
    bench.add(host=instance(5, "worker", template="2", lifecycle="Pending:Wait"))
    with pytest.raises(SwarmError, match="After 30 s the group worker still waits for i-005 to join the swarm"):
        rollout(bench, group="worker", until="serving", timeout=30)


@pytest.mark.fault(35)
def test_fault_35_an_instance_whose_launch_fails_ends_the_wait(bench):
    new = instance(5, "worker", template="2", lifecycle="Pending:Wait")
    bench.add(host=new)
    bench.to_come = [lambda: bench.add(host=replace(new, lifecycle="Terminating:Wait"))]
    with pytest.raises(SwarmError, match="i-005 ended before it served"):
        rollout(bench, group="worker", until="serving")
    assert bench.time == 1002.0


def test_an_instance_that_ends_is_reported_with_auto_scalings_reason(bench):
    new = instance(5, "worker", template="2", lifecycle="Pending:Wait")
    bench.add(host=new)
    failing = replace(WORKERS, launch_failure="Client error on launch", failing_seconds=1.0)

    def end():
        bench.add(host=replace(new, lifecycle="Terminating:Wait"))
        bench.groups_of = (MANAGERS, failing)

    bench.to_come = [end]
    with pytest.raises(
        SwarmError, match=r"terminated it\. Auto Scaling cannot launch .* worker: Client error on launch"
    ):
        rollout(bench, group="worker", until="serving")


def test_launches_that_keep_failing_end_the_wait(bench):
    failing = replace(WORKERS, desired=3, launch_failure="the quota", failing_seconds=44.0)
    bench.groups_of = (MANAGERS, failing)

    def fail():
        bench.groups_of = (MANAGERS, replace(failing, failing_seconds=46.0))

    bench.to_come = [lambda: None, fail]
    with pytest.raises(SwarmError, match="cannot launch instances of the group worker: the quota"):
        rollout(bench, group="worker", until="joined")
    assert bench.time == 1004.0


def test_a_missing_leader_is_waited_for(bench, monkeypatch):
    bench.add(host=instance(5, "worker", template="2"))
    looks = []

    def look(cluster):
        looks.append(bench.time)
        if len(looks) == 2:
            raise Unavailable("There is no leader.")
        return POLICY, bench.seen

    monkeypatch.setattr(node_rollout, "look", look)
    bench.to_come = [lambda: bench.add(joined=node(5, "worker"))]
    assert rollout(bench, group="worker", until="serving")["awaited"] == []
    assert len(looks) == 3


def test_a_new_size_is_reported_with_its_warnings(bench):
    bench.groups_of = (replace(MANAGERS, smallest=1), replace(WORKERS, original_size=None))
    assert rollout(bench, group="worker", desired=4)["add"] == 2
    smaller = rollout(bench, group="manager", desired=2)
    assert smaller["going"] == ["i-001"] and "2 managers survive" in smaller["warnings"][0]
    with pytest.raises(SwarmError, match="There is no node group 'nobody'"):
        rollout(bench, group="nobody", desired=4)
    with pytest.raises(SwarmError, match="batch is 0"):
        rollout(bench, batch=0)


# Rebalancing

WEB = Service("web", "web", replicas=4, start_first=True, health_checked=True, healthy={"n001": 2, "n002": 2})
EVEN = replace(WEB, healthy={f"n00{number}": 1 for number in (1, 2, 3, 4)})


def rebalance(control_plane, check=False, **more):
    defaults = {"services": [], "not_after": None, "timeout": 60}
    return service_rebalance.rebalance(
        {**defaults, **more}, check=check, now=control_plane.now, sleep=control_plane.sleep
    )


def test_a_service_is_restarted_and_waited_for(bench):
    store = replace(WEB, id="store", name="store", start_first=False)
    bench.seen = replace(bench.seen, services=(store, WEB))
    planned = rebalance(bench, check=True)
    assert (planned["changed"], bench.restarted) == (True, [])

    def moved():
        bench.seen = replace(bench.seen, services=(store, EVEN))
        bench.state = ("completed", "")

    bench.state, bench.to_come = ("updating", ""), [lambda: None, moved]
    result = rebalance(bench)
    assert bench.restarted == ["web"]
    assert [(service["name"], service["spread"], service["after"]) for service in result["services"]] == [
        ("store", False, None),
        ("web", True, {"n001": 1, "n002": 1, "n003": 1, "n004": 1}),
    ]
    again = rebalance(bench)
    assert (again["changed"], bench.restarted) == (False, ["web"])


def test_a_task_that_completes_during_a_rebalance_is_not_waited_for(bench):
    def moved():
        bench.seen = replace(bench.seen, services=(replace(EVEN, healthy={"n003": 3}, over=frozenset("1"), done=1),))

    bench.seen, bench.state, bench.to_come = replace(bench.seen, services=(WEB,)), ("completed", ""), [moved]
    bench.update_state = lambda service: ("updating" if bench.to_come else "completed", "")
    assert rebalance(bench)["services"][0]["after"] == {"n003": 3}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (("paused", "task x failed"), "web was not rebalanced: its update was paused: task x failed"),
        (("rollback_completed", "no"), "its update failed and was rolled back: no"),
        (("updating", ""), "web is still being rebalanced after 60 s: 4 of 4 tasks running"),
    ],
)
def test_an_update_that_fails_or_never_ends_is_reported(bench, state, said):
    bench.seen, bench.state = replace(bench.seen, services=(WEB,)), state
    with pytest.raises(SwarmError, match=said):
        rebalance(bench)


def test_no_service_is_restarted_after_the_deadline(bench):
    bench.seen = replace(bench.seen, services=(WEB,))
    result = rebalance(bench, not_after=bench.time)
    assert (result["changed"], bench.restarted) == (False, [])
    assert result["services"][0]["reason"].startswith("there was no time left for it: n")


def test_an_unknown_service_or_a_cluster_in_motion_is_refused(bench):
    bench.seen = replace(bench.seen, services=(WEB,))
    with pytest.raises(SwarmError, match="There is no service wbe; there are web"):
        rebalance(bench, services=["wbe"])
    bench.add(host=instance(4, "worker", lifecycle="Terminating:Wait"))
    with pytest.raises(SwarmError, match="i-004 is being removed"):
        rebalance(bench)
    assert bench.restarted == []


# Auto Scaling groups


def test_groups_are_read_with_their_template_and_original_size(monkeypatch):
    plain = {
        "AutoScalingGroupName": "example-worker",
        "MinSize": 1,
        "DesiredCapacity": 4,
        "MaxSize": 4,
        "Instances": [],
        "LaunchTemplate": {"LaunchTemplateName": "x", "Version": "7"},
        "Tags": [
            {"Key": "swarm.aws/group", "Value": "worker"},
            {"Key": "swarm.aws/role", "Value": "worker"},
            {"Key": "swarm.aws/usual-size", "Value": "3 max=3"},
        ],
    }
    mixed = {
        **plain,
        "AutoScalingGroupName": "example-spot",
        "LaunchTemplate": None,
        "MixedInstancesPolicy": {"LaunchTemplate": {"LaunchTemplateSpecification": {"Version": "8"}}},
        "Tags": [{"Key": "swarm.aws/group", "Value": "spot"}],
    }
    aws = AwsSession.on_node("eu-west-1")
    pages = SimpleNamespace(paginate=lambda **_: [{"AutoScalingGroups": [plain, mixed]}])
    monkeypatch.setattr(aws, "client", lambda service: SimpleNamespace(get_paginator=lambda name: pages))
    assert AutoScalingGroups(aws, "example", lambda: 0.0).groups() == (
        ScalingGroup("example-spot", "spot", 1, 4, 4, 0, "8"),
        ScalingGroup("example-worker", "worker", 1, 4, 4, 0, "7", original_size=3),
    )
