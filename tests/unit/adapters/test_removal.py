"""The modules that remove nodes, on a cluster in memory whose agent works while they sleep."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import node_labels
from ansible_collections.swarm.aws.plugins.module_utils._core.apply import Refused
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Needs, Service
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError
from ansible_collections.swarm.aws.plugins.module_utils._core.plan import plan
from ansible_collections.swarm.aws.plugins.module_utils.verbs import removal_request
from ansible_collections.swarm.aws.plugins.modules import node_drain, node_remove

from tests.unit.core.memory_cluster import POLICY, ModelWorld, dead, gone, instance, node, observed, record

IDS = {number: f"i-{number:017x}" for number in range(1, 6)}
WEB = Service("web", "web", replicas=3, start_first=True, healthy={"n001": 1, "n002": 1, "n004": 1})


def named(number, role="manager", **more):
    """An instance and its node, with IDs as long as EC2's."""
    host = replace(instance(number, role, **more), id=IDS[number])
    member = node(number, role)
    member = replace(
        member,
        labels={**member.labels, "swarm.aws.instance": host.id},
        engine_labels={"swarm.aws.instance": host.id},
    )
    return host, member


class FakeKeeper:
    """A manager's view of the model. Sleeping lets the leader's agent do a pass."""

    def __init__(self, world):
        self.world, self.swarm, self.fleet = world, world, self
        self.sent, self.agent_works = [], True
        self.sizes_of = (1, 1)
        self.owner_of = None

    def observe(self, policy):
        return self.world.observe()

    def apply(self, action, policy):
        return self.world.do(action)

    def queue(self, name):
        assert name == "example-events"
        return SimpleNamespace(send=lambda body: self.sent.append(json.loads(body)))

    def terminate(self, instance, *, replace):
        return self.world.terminate(instance, replace=replace)

    def gone_or_going(self, instance):
        return self.world.fleet[instance].gone

    def sizes(self, group):
        return self.sizes_of

    def owner(self, instance):
        return self.owner_of

    def now(self):
        return self.world.time

    def sleep(self, seconds):
        if self.agent_works:
            for action in plan(self.world.observe(), POLICY, self.world.time):
                try:
                    self.world.do(action)
                except Refused:
                    continue
        self._schedule()
        self.world.tick()

    def _schedule(self):
        """Put a service's tasks where the scheduler would."""
        active = [node.id for node in self.world.nodes() if node.availability == "active" and node.state == "ready"]
        kept = {node.id for node in self.world.nodes() if node.availability != "drain"}
        for key, service in self.world.all_services.items():
            healthy = {where: count for where, count in service.healthy.items() if where in kept}
            while service.mode == "replicated" and active and sum(healthy.values()) < service.replicas:
                least = min(active, key=lambda where: healthy.get(where, 0))
                healthy[least] = healthy.get(least, 0) + 1
            self.world.all_services[key] = replace(service, healthy=healthy)


@pytest.fixture
def bench(monkeypatch):
    hosts, nodes = zip(*(named(1), named(2), named(3), named(4, "worker")), strict=True)
    nodes = (replace(nodes[0], leader=True), *nodes[1:])
    found = replace(observed(hosts, nodes, record(1, 2, 3)), services=(WEB,))
    control_plane = FakeKeeper(ModelWorld(found))
    for module in (node_drain, node_remove):
        monkeypatch.setattr(module, "look", lambda cluster: (POLICY, cluster.world.observe()))
    return control_plane


def drain(control_plane, number=4, check=False, **more):
    defaults = {
        "instance": IDS[number],
        "state": "removed",
        "replace": True,
        "force": False,
        "together": [],
        "until": "removed",
        "seen": {},
        "timeout": 600,
    }
    return node_drain.drain(
        control_plane, {**defaults, **more}, check=check, now=control_plane.now, sleep=control_plane.sleep
    )


@pytest.mark.fault(23)
@pytest.mark.parametrize("number", [1, 3, 4])
def test_fault_23_a_node_is_removed_and_its_services_are_watched(bench, number):
    result = drain(bench, number)
    assert (result["changed"], result["over"]) == (True, False)
    assert bench.world.ended == [(IDS[number], True)]
    assert f"n{number:03}" not in bench.world.members
    assert result["services"]["web"] == {"declared": 3, "lowest": 3}
    assert result["seconds"]["all"] > 0
    assert [message["detail"]["EC2InstanceId"] for message in bench.sent] == [IDS[number]]


@pytest.mark.fault(30)
def test_fault_30_a_killed_watch_is_continued_by_the_next_run(bench):
    first = drain(bench, until="begun")
    assert first["awaited"] or bench.world.members["n004"].availability == "pause"
    second = drain(bench, until="ready", seen=first["seen"])
    third = drain(bench, until="removed", seen=second["seen"])
    assert [first["changed"], second["changed"], third["changed"]] == [True, False, False]
    assert bench.world.ended == [(IDS[4], True)]
    again = drain(bench)
    assert (again["changed"], again["over"]) == (False, True)


def test_check_mode_changes_nothing(bench):
    before = dict(bench.world.members)
    result = drain(bench, check=True)
    assert (result["changed"], bench.world.members, bench.sent) == (True, before, [])
    assert result["diff"][0]["before"] == "\n"


@pytest.mark.fault(24)
def test_fault_24_removals_of_several_managers_are_checked_together(bench):
    with pytest.raises(SwarmError, match="after 1 other: it would leave 1 of 3 managers reachable"):
        drain(bench, 2, together=[IDS[1]])
    assert not any(node_labels.REQUESTED in member.labels for member in bench.world.members.values())


def test_removals_are_requested_in_one_call(bench):
    bench.agent_works = False
    checked = drain(bench, together=[IDS[1]], until="requested", check=True)
    assert [diff["after_header"] for diff in checked["diff"]] == [f"request to remove {IDS[n]}" for n in (1, 4)]
    assert not any(node_labels.REQUESTED in member.labels for member in bench.world.members.values())
    assert drain(bench, together=[IDS[1]], until="requested")["changed"]
    assert all(node_labels.REQUESTED in bench.world.members[name].labels for name in ("n001", "n004"))
    assert not drain(bench, together=[IDS[1]], until="requested")["changed"]
    assert drain(bench, together=[IDS[1]], state="kept")["changed"]
    assert not any(node_labels.REQUESTED in member.labels for member in bench.world.members.values())


@pytest.mark.fault(25)
def test_fault_25_a_removal_without_room_for_the_tasks_is_refused(bench):
    bench.world.all_services["web"] = replace(WEB, needs=Needs(most_per_node=1), healthy={"n001": 1, "n004": 1})
    for number in (2, 3):
        bench.world.members[f"n{number:03}"] = replace(bench.world.members[f"n{number:03}"], availability="pause")
    with pytest.raises(SwarmError, match="the 1 other node may have 1 of them each"):
        drain(bench)
    assert drain(bench, force=True)["changed"]


@pytest.mark.fault(25)
def test_fault_25_temporarily_missing_room_is_waited_for(bench, monkeypatch):
    bench.world.all_services["web"] = replace(WEB, needs=Needs(most_per_node=1), healthy={"n001": 1, "n004": 1})
    drain(bench, until="begun", force=False)
    away = {f"n{number:03}": bench.world.members[f"n{number:03}"] for number in (2, 3)}
    back_at = bench.world.time + 12
    slept = bench.sleep

    def sleep(seconds):
        there = {} if bench.world.time < back_at else away
        bench.world.members.update(there or {key: replace(member, state="down") for key, member in away.items()})
        slept(seconds)

    monkeypatch.setattr(bench, "sleep", sleep)
    assert drain(bench)["over"] is False
    assert bench.world.ended == [(IDS[4], True)]


@pytest.mark.fault(46)
def test_fault_46_an_impossible_withdrawal_stops_the_removal_first(bench):
    bench.world.record = replace(record(1, 2, 3), owner=None)
    with pytest.raises(SwarmError, match=f"{IDS[2]} is not removed, since it cannot be withdrawn: .* create that TXT"):
        drain(bench, 2)
    assert bench.sent == []
    assert drain(bench, 4)["changed"], "no record leads to a worker"


def test_a_removal_can_be_cancelled_until_it_is_too_late(bench):
    drain(bench, until="begun")
    result = drain(bench, state="kept")
    assert result["changed"]
    for _ in range(3):
        bench.sleep(1)
    assert bench.world.members["n004"].availability == "active"
    assert not drain(bench, state="kept")["changed"]
    drain(bench)
    with pytest.raises(SwarmError, match="cannot be undone"):
        drain(bench, state="kept")


@pytest.mark.fault(29)
def test_fault_29_an_instance_outside_of_the_cluster_is_refused(bench):
    with pytest.raises(SwarmError, match=r"EC2 knows no instance i-\w+ in eu-west-1 of this account"):
        drain(bench, 5)
    bench.owner_of = {}
    with pytest.raises(SwarmError, match="belongs to no cluster"):
        drain(bench, 5)
    bench.owner_of = {"swarm.aws/cluster": "other"}
    with pytest.raises(SwarmError, match="belongs to the cluster 'other', and this is 'example'"):
        drain(bench, 5)
    with pytest.raises(SwarmError, match="is not an instance ID"):
        drain(bench, instance="i-1")


def test_a_group_does_not_shrink_below_its_min_size(bench):
    with pytest.raises(SwarmError, match="may not have fewer than 1"):
        drain(bench, replace=False)
    bench.sizes_of = (0, 1)
    drain(bench, replace=False)
    assert bench.world.ended == [(IDS[4], False)]


def test_a_warm_instance_is_not_removed(bench):
    warm = replace(instance(5, "worker", lifecycle="Warmed:Stopped", state="stopped"), id=IDS[5])
    bench.world.fleet[IDS[5]] = warm
    with pytest.raises(SwarmError, match=f"{IDS[5]} is in the warm pool of example-worker and in no swarm"):
        drain(bench, 5)
    assert bench.world.ended == []
    bench.world.fleet[IDS[5]] = replace(warm, lifecycle="Warmed:Terminating:Wait")
    assert not drain(bench, 5, timeout=30)["changed"]


def test_a_leader_that_does_not_act_is_waited_for_and_reported(bench):
    bench.agent_works = False
    with pytest.raises(SwarmError, match=r"After 30 s the removal of i-\w+ still waits for the leader's agent"):
        drain(bench, timeout=30)
    assert node_labels.REQUESTED in bench.world.members["n004"].labels, "it goes on by itself"


def test_an_unavailable_queue_only_delays_a_removal(bench, monkeypatch):
    def away(name):
        raise SwarmError("SQS is away.")

    monkeypatch.setattr(bench, "queue", away)
    result = drain(bench)
    assert result["notes"] == [
        "The leader's agent notices the request by itself within seconds, because: SQS is away.",
        "Replaced by tasks that may not have been ready, since no healthcheck is declared: web.",
    ]


def tidy(control_plane, check=False, nodes=()):
    given = {"nodes": list(nodes), "timeout": 30}
    return node_remove.tidy(control_plane, given, check=check, now=control_plane.now, sleep=control_plane.sleep)


@pytest.mark.fault(31)
def test_fault_31_only_nodes_whose_instance_is_gone_are_deleted(bench):
    bench.agent_works = False
    nothing = tidy(bench)
    assert (nothing["changed"], nothing["kept"]) == (False, [])
    bench.world.fleet[IDS[3]] = replace(gone(3), id=IDS[3])
    down = replace(bench.world.members["n003"], state="down", reachable=False)
    away = replace(bench.world.members["n004"], state="down")
    stranger = replace(dead(5, "worker"), labels={}, engine_labels={})
    bench.world.members.update(n003=down, n004=away, n005=stranger)
    assert [removal["node"] for removal in tidy(bench, check=True)["removed"]] == ["n003"]
    assert "n003" in bench.world.members
    result = tidy(bench)
    assert result["removed"] == [{"node": "n003", "instance": IDS[3], "reason": "its instance is terminated"}]
    assert f"{IDS[4]} is down, but EC2 says that it is running: it is left alone." in result["kept"]
    assert sorted(bench.world.members) == ["n001", "n002", "n004", "n005"]
    assert bench.world.quorum.voters == 2
    assert [removal["node"] for removal in tidy(bench, nodes=["n005"])["removed"]] == ["n005"]
    with pytest.raises(SwarmError, match="has an instance"):
        tidy(bench, nodes=["n004"])


def test_the_report_names_services_with_gaps_and_slow_stops():
    watch = removal_request.RemovalProgress("n1", plain=["store", "proxy"], unchecked=["web"], stubborn={"deaf": 30.0})
    assert removal_request.describe(watch) == [
        "Drained without earlier replacements, since they are not start-first: store, proxy.",
        "Replaced by tasks that may not have been ready, since no healthcheck is declared: web.",
        "deaf did not stop when told to and took all or nearly all of its 30 s.",
    ]
