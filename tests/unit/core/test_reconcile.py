"""One pass when services fail, and what is read from outside."""

from __future__ import annotations

import json
import re

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import dns, events
from ansible_collections.swarm.aws.plugins.module_utils._core.backoff import LONGEST_PAUSE, Backoff
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Interruption
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster_ports import ClusterPorts
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import Unavailable, Unreadable
from ansible_collections.swarm.aws.plugins.module_utils._core.observation import Observer
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Policy, PolicyError
from ansible_collections.swarm.aws.plugins.module_utils._core.reconcile import STALE, reconcile

from .memory_cluster import POLICY, ModelWorld, dead, gone, instance, node, observed, record

DOCUMENT = {
    "cluster": "example",
    "groups": {"manager": {"role": "manager", "labels": {"edge": True, "size": 2}, "dns": True}},
    "queue": "example-events",
    "dns": {"zone_id": "Z1", "record": "WWW.Example.com.", "ttl": 10, "addresses": "private"},
}


def failing():
    raise Unavailable("throttled")


@pytest.mark.fault(18)
def test_fault_18_a_failing_service_pauses_and_stops_no_other_service():
    world = ModelWorld(observed([instance(1), instance(2), gone(3)], [node(1), node(2), dead(3)], record(1, 2, 3)))
    backoff, asked = Backoff(), []

    def do(action):
        asked.append(action.service)
        return failing() if action.service == "route53" else world.do(action)

    first = reconcile(world.observe, do, POLICY, lambda: world.time, backoff)
    assert [type(action).__name__ for action, change in first.done] == ["Demote"]
    assert [(failure.service, failure.message) for failure in first.failures] == [("route53", "throttled")]
    world.time += 1
    asked.clear()
    second = reconcile(world.observe, do, POLICY, lambda: world.time, backoff)
    assert "route53" not in asked
    assert "route53 failed a moment ago" in second.postponed[0]
    world.time += 2
    third = reconcile(world.observe, world.do, POLICY, lambda: world.time, backoff)
    assert world.record == record(1, 2)
    assert third.failures == []


def three_down():
    """A cluster in which something is to be done for each of three workers' nodes."""
    numbers = (11, 12, 13)
    nodes = [node(1, leader=True), *(dead(number, "worker") for number in numbers)]
    return ModelWorld(observed([instance(1), *(gone(number, "worker") for number in numbers)], nodes, record(1)))


def removed(result):
    return [action.node for action, _change in result.done if type(action).__name__ == "Delete"]


@pytest.mark.fault(47)
def test_fault_47_an_unexpected_failure_of_an_action_stops_no_other():
    world, backoff = three_down(), Backoff()

    def do(action):
        if getattr(action, "node", "") == "n011":
            raise KeyError("a secret")
        return world.do(action)

    first = reconcile(world.observe, do, POLICY, lambda: world.time, backoff)
    assert removed(first) == ["n012", "n013"]
    (failure,) = first.failures
    assert (failure.service, failure.message.split(":")[0]) == ("swarm", "delete the node of i-011")
    assert "an unexpected KeyError in test_reconcile.py, line " in failure.message
    assert "secret" not in failure.message
    second = reconcile(world.observe, world.do, POLICY, lambda: world.time, backoff)
    assert second.postponed == [f"{second.decision.actions[0].change.sentence}: it failed a moment ago"]
    world.time += 5
    assert removed(reconcile(world.observe, world.do, POLICY, lambda: world.time, backoff)) == ["n011"]


@pytest.mark.fault(47)
def test_fault_47_an_action_that_is_always_refused_blocks_no_other():
    world, backoff, done = three_down(), Backoff(), []

    def do(action):
        return failing() if getattr(action, "node", "") == "n011" else world.do(action)

    for _ in range(3):
        done += removed(reconcile(world.observe, do, POLICY, lambda: world.time, backoff))
        world.time += 5
    assert done == ["n012", "n013"]


@pytest.mark.fault(47)
@pytest.mark.parametrize("error", [KeyError("a secret"), Unreadable("The answer cannot be read.")])
def test_fault_47_an_unreadable_answer_leaves_the_other_observations(error, monkeypatch):
    model = ModelWorld(observed([instance(1)], [node(1)], record(1)))
    records = type("Records", (), {"read": lambda self, wanted: record(1)})()
    observer = Observer(ClusterPorts(model, model, model, records, model), lambda: model.time)

    def fails():
        raise error

    monkeypatch.setattr(model, "services", fails)
    cluster = observer.observe(POLICY)
    assert cluster.services is None
    assert (cluster.swarm_id, cluster.nodes, cluster.record) == ("swarm", (node(1),), record(1))
    (failure,) = observer.failures
    assert failure.service == "swarm"
    assert "secret" not in failure.message


@pytest.mark.fault(16)
def test_fault_16_a_plan_from_before_a_stall_is_not_applied():
    world = ModelWorld(observed([instance(1), instance(2), gone(3)], [node(1), node(2), dead(3)], record(1, 2, 3)))

    def slow(action):
        world.time += STALE + 1
        return world.do(action)

    late = reconcile(world.observe, slow, POLICY, lambda: world.time)
    assert len(late.done) == 1
    assert late.postponed
    assert all("its observation is 31 s old" in sentence for sentence in late.postponed)
    again = reconcile(world.observe, world.do, POLICY, lambda: world.time)
    assert again.done and not again.postponed


def test_pauses_grow_up_to_a_limit_and_end_with_a_success():
    backoff = Backoff()
    pauses = [backoff.failed("s3", 0) for _ in range(10)]
    assert pauses[:3] == [2, 4, 8]
    assert pauses[-1] == LONGEST_PAUSE
    backoff.worked("s3")
    assert not backoff.rests("s3", 1)


@pytest.mark.parametrize("method", ["instances", "nodes", "read", "stale", "published", "memory"])
def test_an_unavailable_service_leaves_its_part_unknown(method, monkeypatch):
    model = ModelWorld(observed([instance(1)], [node(1)], record(1)))
    records = type("Records", (), {"read": lambda self, wanted: record(1)})()
    observer = Observer(ClusterPorts(model, model, model, records, model), lambda: model.time)
    monkeypatch.setattr(records if method == "read" else model, method, lambda *arguments: failing(), raising=False)
    cluster = observer.observe(POLICY)
    part = {"read": "record", "stale": "stale_tokens", "memory": "swarm_id"}.get(method, method)
    assert getattr(cluster, part) is None
    assert [failure.message for failure in observer.failures] == ["throttled"]


def test_a_policy_is_parsed():
    policy = Policy.parse(DOCUMENT, "eu-west-1")
    assert policy.groups["manager"].labels == {"edge": "true", "size": "2"}
    assert (policy.dns.record, policy.dns.addresses) == ("www.example.com", "private")
    assert policy.owner == "heritage=swarm.aws,cluster=example,region=eu-west-1"
    assert Policy.parse({**DOCUMENT, "dns": None}).dns is None
    assert Policy.parse({**DOCUMENT, "ecr": True}).ecr and not policy.ecr


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"groups": []}, "groups is list, but must be a mapping"),
        ({"groups": {"m": {"role": "boss"}}}, "groups.m.role is 'boss'"),
        ({"cluster": ""}, "cluster is ''"),
        ({"dns": {"zone_id": "Z", "record": "a", "ttl": "10"}}, "dns.ttl is '10'"),
        ({"dns": {"zone_id": "Z", "record": "a", "ttl": 1, "addresses": "both"}}, "dns.addresses is 'both'"),
        ({"dns": {"record": "a", "ttl": 1}}, "dns.zone_id"),
        (
            {"groups": {"w": {"role": "worker", "scaling": {"min": 0, "max": 4}}}},
            "groups.w.scaling.min is 0, but must be an integer, at least 1",
        ),
        (
            {"groups": {"m": {"role": "manager", "target_groups": ["web"]}}},
            "groups.m.target_groups has 'web', but must have ARNs",
        ),
    ],
)
def test_an_invalid_policy_is_refused(change, reason):
    with pytest.raises(PolicyError, match=re.escape(reason)):
        Policy.parse({**DOCUMENT, **change})


@pytest.mark.fault(17)
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"detail-type": "EC2 Instance-launch Lifecycle Action", "detail": {"EC2InstanceId": "i-1"}},
            events.Event("launching", "i-1"),
        ),
        (
            {"detail-type": "EC2 Spot Instance Interruption Warning", "detail": {"instance-id": "i-2"}},
            events.Event("spot interruption", "i-2", (Interruption("i-2", "spot interruption", 120.0),)),
        ),
        ({"Event": "autoscaling:TEST_NOTIFICATION"}, events.Event("test")),
        ({"detail-type": "AWS Health Event", "detail": {"EC2InstanceId": 7}}, events.Event("scheduled maintenance")),
        ({"detail-type": "Something else", "detail": {}}, None),
        ({"detail-type": ["x"], "detail": {}}, None),
        ([], None),
        ("text", None),
    ],
)
def test_fault_17_events_are_read_defensively(body, expected):
    assert events.parse(json.dumps(body)) == expected


@pytest.mark.fault(17)
def test_fault_17_invalid_json_is_no_event():
    assert events.parse("{") is None


def test_the_owner_record_of_a_wildcard_has_a_valid_name():
    assert dns.owner_name("www.example.com") == "_swarm-aws.www.example.com"
    assert dns.owner_name("*.example.com") == "_swarm-aws.wildcard.example.com"
