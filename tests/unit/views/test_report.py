"""The data of the views: rows, groups, services, and the record with its wanted addresses."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import actions, report
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import ScalingGroup, Service
from ansible_collections.swarm.aws.plugins.module_utils._core.decision import Decision
from ansible_collections.swarm.aws.plugins.module_utils._core.plan import decide

from tests.unit.core.memory_cluster import POLICY, dead, gone, instance, node, observed, record

THREE = [instance(number) for number in (1, 2, 3)]
NODES = [node(1, leader=True), node(2), node(3)]


def standing(seen):
    return report.standing(seen, POLICY, decide(seen, POLICY, 0))


def test_a_row_has_the_state_from_ec2_auto_scaling_raft_and_dns():
    hosts = [replace(THREE[0], kind="t3.small", image="ami-1", template="4", launched=0.0), instance(4, "worker")]
    rows = report.members(observed(hosts, [replace(NODES[0], engine="26.1.5")], record(1)), "public")
    first, second = rows
    assert (first["kind"], first["image"], first["template"]) == ("t3.small", "ami-1", "4")
    assert (first["raft"], first["engine"], first["published"]) == ("leader", "26.1.5", True)
    assert first["launched"] == "1970-01-01T00:00:00+00:00"
    assert (second["node"], second["raft"], second["engine"], second["published"]) == (None, None, None, False)


def test_a_terminated_instance_differs_from_an_unknown_instance():
    (row,) = report.members(observed([gone(1)], [dead(1)]), "public")
    assert (row["instance"], row["state"], row["raft"]) == ("i-001", "gone", "unreachable")
    (row,) = report.members(replace(observed([], [dead(1)]), instances=None), "public")
    assert (row["instance"], row["state"]) == ("i-001", "unknown")


def test_a_correct_record_is_reported():
    found = standing(observed(THREE, NODES, record(1, 2, 3)))
    assert found["wanted"] == found["ipv4_values"] == ["198.51.100.1", "198.51.100.2", "198.51.100.3"]
    assert found["leads_to"]["198.51.100.2"] == "i-002"


def test_an_outdated_record_with_an_unknown_address_is_reported():
    found = standing(observed(THREE, NODES, record(1, 9)))
    assert found["wanted"] == ["198.51.100.1", "198.51.100.2", "198.51.100.3"]
    assert found["leads_to"] == {"198.51.100.1": "i-001", "198.51.100.9": None}


def test_wanted_addresses_are_unknown_without_nodes_or_ownership():
    seen = observed(THREE, NODES, record(1, owner="somebody"))
    assert (standing(seen)["wanted"], standing(seen)["ipv4_values"]) == (None, ["198.51.100.1"])
    alone = replace(observed(THREE, [], record(1)), nodes=None)
    assert report.standing(alone, POLICY, Decision())["wanted"] is None
    blind = replace(observed(THREE, NODES), record=None)
    assert (standing(blind)["addresses"], standing(blind)["leads_to"]) == (None, {})
    assert report.standing(seen, replace(POLICY, dns=None), Decision()) is None


def test_services_are_counted_against_their_declared_tasks():
    replicated = Service("1", "web", replicas=8, labels={"swarm.aws.surge": "6+2"}, healthy={"n1": 5}, pending=1)
    everywhere = Service("2", "proxy", mode="global", healthy={"n1": 1}, starting={"n2": 1})
    seen = replace(observed(THREE, NODES), services=(replicated, everywhere))
    web, proxy = report.services(seen)
    assert (web["running"], web["wanted"], web["pending"]) == (5, 6, 1)
    assert (proxy["running"], proxy["wanted"]) == (1, 2)
    (once,) = report.services(replace(seen, services=(replace(replicated, healthy={}, done=6),)))
    assert (once["running"], once["wanted"]) == (0, 0)
    assert report.services(replace(seen, services=None)) is None


def test_outdated_instances_are_named():
    group = ScalingGroup("example-manager", "manager", 3, 3, 5, 3, "2")
    old, new, unknown = replace(THREE[0], template="1"), replace(THREE[1], template="2"), THREE[2]
    assert report.outdated(observed([old, new, unknown], []), [group]) == ["i-001"]
    assert report.groups([group])[0]["desired"] == 3
    rows = report.members(observed([old, replace(new, state="pending")], []), "public")
    assert report.launched(rows, [group]) == "1 of 3 instances of manager running"


def test_an_aaaa_record_is_part_of_the_report():
    both = replace(POLICY, dns=replace(POLICY.dns, ipv6=True))
    hosts = [replace(THREE[0], ipv6_address="2001:db8::1")]
    seen = observed(hosts, [NODES[0]], record(1))
    found = report.standing(seen, both, decide(seen, both, 0))
    assert (found["ipv4_values"], found["wanted"]) == (["198.51.100.1"], ["198.51.100.1", "2001:db8::1"])
    there = replace(seen.record, addresses=("198.51.100.1", "2001:db8::1"), ipv6_ttl=10)
    found = report.standing(replace(seen, record=there), both, Decision())
    assert (found["ipv6_values"], found["leads_to"]["2001:db8::1"]) == (["2001:db8::1"], "i-001")


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        (actions.Resume("n", "i-1", "drain"), "resume the node of i-1"),
        (actions.Cordon("n", "i-1", "active", 0.0), "cordon the node of i-1"),
        (actions.Promote("n", "i-1"), "promote the node of i-1"),
        (actions.Demote("n", "i-1", actions.GONE), "demote the node of i-1: its instance is terminated"),
        (actions.Delete("n", "i-1", actions.GONE), "delete the node of i-1: its instance is terminated"),
        (actions.SetReplicas("s", "web", 6, 7, {}, {}), "scale the service web from 6 to 7"),
        (actions.SetReplicas("s", "web", 6, 6, {"a": "1"}, {}), "update the labels of the service web"),
        (
            actions.CompleteLifecycle("i-1", "g", "h", "CONTINUE", "Warmed:Pending:Wait"),
            "complete the launch of i-1",
        ),
        (actions.CompleteLifecycle("i-1", "g", "h", "ABANDON", "Pending:Wait"), "abandon the launch of i-1"),
        (actions.CompleteLifecycle("i-1", "g", "h", "CONTINUE", "Terminating:Wait"), "let i-1 terminate"),
        (actions.Terminate("i-1", "g", "n", True), "terminate i-1 and replace it"),
        (actions.Terminate("i-1", "g", "n", False), "terminate i-1 without a replacement"),
        (
            actions.SyncRecord("z", "www", "o", record(1, 2), ("198.51.100.2", "198.51.100.3"), 10),
            "update the DNS record www: add 198.51.100.3, withdraw 198.51.100.1",
        ),
        (
            actions.SyncTargets("arn:targetgroup/web/1", ("i-1",), ("i-2",)),
            "update the target group web: register i-1, deregister i-2",
        ),
        (actions.SetLock(True), "turn the lock of the managers' state on"),
    ],
)
def test_every_action_has_a_sentence(action, sentence):
    assert action.change.sentence == sentence
