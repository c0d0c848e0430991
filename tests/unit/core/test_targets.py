"""Which instances load balancers send requests to, and when an instance that is removed is drained."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import node_labels, report, rolling_update, target_groups
from ansible_collections.swarm.aws.plugins.module_utils._core.apply import Refused
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Needs, ScalingGroup, Service
from ansible_collections.swarm.aws.plugins.module_utils._core.plan import decide
from ansible_collections.swarm.aws.plugins.module_utils._core.policy import Policy

from .memory_cluster import POLICY, ModelWorld, dead, gone, instance, node, observed, record
from .test_plan import NODES, NOW, THREE, run

WEB = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef"
GROUPS = {**POLICY.groups, "manager": replace(POLICY.groups["manager"], target_groups=(WEB,))}
# Without a record, so that nothing but the target group is waited for.
ALONE = replace(POLICY, groups=GROUPS, dns=None)
HEALTHY = dict.fromkeys(("i-001", "i-002", "i-003"), "healthy")


def world(health=HEALTHY, nodes=NODES, instances=THREE):
    seen = observed(instances, nodes, record(1, 2, 3))
    return ModelWorld(replace(seen, targets={WEB: health}), ALONE)


def asked(number):
    """The node of an instance whose removal somebody asked for."""
    return replace(node(number), labels={**node(number).labels, node_labels.REQUESTED: "1"})


def removing(health=HEALTHY):
    """Of four managers, the fourth is to end and waits at its hook."""
    return world(health, [*NODES, node(4)], [*THREE, instance(4, lifecycle="Terminating:Wait")])


def syncs(seen):
    return [action for action in decide(seen, ALONE, NOW).actions if hasattr(action, "register")]


def test_serving_nodes_become_targets_and_then_nothing_is_planned():
    there = world({})
    assert run(there, policy=ALONE) == [("SyncTargets", None)]
    assert there.targets[WEB] == HEALTHY
    assert run(there, policy=ALONE) == []


def test_a_node_becomes_a_target_once_its_host_port_is_served():
    proxy = Service("s1", "proxy", "global", needs=Needs(host_ports=(80,)), healthy={"n001": 1, "n002": 1})
    there = world({"i-001": "healthy", "i-002": "healthy"})
    there.all_services = {"s1": proxy}
    assert run(there, policy=ALONE) == []
    there.all_services = {"s1": replace(proxy, healthy={**proxy.healthy, "n003": 1})}
    run(there, policy=ALONE)
    assert there.targets[WEB] == HEALTHY


def test_the_plan_names_what_a_removal_awaits():
    labelled = replace(node(4), labels={**node(4).labels, node_labels.REMOVING: node_labels.noted(NOW)})
    for state, sentence in (
        ("healthy", "the target group web to stop sending requests to i-004"),
        ("draining", "the target group web to finish the requests to i-004"),
    ):
        there = removing({**HEALTHY, "i-004": state})
        there.members["n004"] = labelled
        assert sentence in decide(there.observe(), ALONE, NOW).awaited
    unknown = replace(there.observe(), targets={WEB: None})
    awaited = decide(unknown, ALONE, NOW).awaited
    assert "an answer from the target group web, to deregister i-004" in awaited


def test_no_target_is_deregistered_before_another_is_healthy():
    there = removing({"i-001": "initial", "i-002": "unhealthy", "i-004": "healthy"})
    (action,) = syncs(there.observe())
    assert (action.register, action.deregister) == (("i-003",), ())
    there = removing({"i-001": "initial", "i-002": "healthy", "i-003": "unhealthy", "i-004": "healthy"})
    (action,) = syncs(there.observe())
    assert (action.register, action.deregister) == ((), ("i-004",))
    there.targets[WEB]["i-002"] = "unhealthy"
    del there.targets[WEB]["i-003"]
    with pytest.raises(Refused, match="No other target of web gets requests any more"):
        there.do(action)
    assert there.targets[WEB]["i-004"] == "healthy"


def test_of_several_removals_the_begun_target_is_deregistered_first():
    """Otherwise each would wait for the others forever: none is replaced while it has requests."""
    first = replace(
        asked(1), labels={**asked(1).labels, node_labels.REMOVING: node_labels.noted(NOW)}, availability="pause"
    )
    there = world(nodes=[first, asked(2), asked(3)])
    (action,) = syncs(there.observe())
    assert (action.register, action.deregister) == ((), ("i-001",))
    alone = world({"i-001": "healthy", "i-002": "unhealthy"}, nodes=[first, asked(2), asked(3)])
    assert syncs(alone.observe()) == []


def test_the_last_target_stays_until_another_is_healthy():
    began = {1: NOW - 2, 2: NOW - 1, 3: NOW - 1}
    facts = {number: {node_labels.REMOVING: node_labels.noted(at)} for number, at in began.items()}
    nodes = [
        replace(asked(number), labels={**asked(number).labels, **facts[number]}, availability="pause")
        for number in began
    ]
    (action,) = syncs(world(nodes=nodes).observe())
    assert action.deregister == ("i-001", "i-002")
    failing = world({"i-001": "healthy", "i-002": "healthy", "i-003": "unhealthy"}, nodes=nodes)
    (action,) = syncs(failing.observe())
    assert action.deregister == ("i-001", "i-003")


def test_a_down_node_is_deregistered_and_an_unconfirmed_node_stays():
    down = world(nodes=[*NODES[:2], dead(3)])
    (action,) = syncs(down.observe())
    assert action.deregister == ("i-003",)
    ended = world(nodes=[*NODES[:2], dead(3)], instances=[*THREE[:2], gone(3)])
    assert syncs(ended.observe())[0].deregister == ("i-003",)
    unconfirmed = world(nodes=[*NODES[:2], replace(node(3), state="unknown")])
    assert syncs(unconfirmed.observe()) == []


@pytest.mark.parametrize(
    "since", [{"availability": "drain"}, {"labels": {node_labels.REMOVING: node_labels.noted(NOW)}}]
)
def test_a_node_that_is_removed_meanwhile_is_not_registered(since):
    there = world({"i-001": "healthy", "i-002": "healthy"})
    (action,) = syncs(there.observe())
    assert action.register == ("i-003",)
    there.members["n003"] = replace(node(3), **{**since, "labels": {**node(3).labels, **since.get("labels", {})}})
    with pytest.raises(Refused, match="The node of i-003 is being removed, so it is not registered in web"):
        there.do(action)
    assert "i-003" not in there.targets[WEB]


def test_an_unused_or_unchecked_target_counts_as_healthy():
    assert target_groups.fit({"i-1": "unused"}, "i-1")
    assert target_groups.fit({"i-1": "unavailable"}, "i-1")
    assert not target_groups.fit({"i-1": "initial"}, "i-1")
    assert not target_groups.fit({}, "i-1")


def test_without_a_quorum_no_target_is_deregistered():
    lost = world(nodes=[node(1, leader=True), dead(2), dead(3)])
    assert syncs(lost.observe()) == []


def test_an_upgrade_awaits_requests_to_the_new_target():
    there = world({**HEALTHY, "i-003": "initial"})
    group = ScalingGroup("example-manager", "manager", 3, 3, 5, 3, role="manager")
    seen = rolling_update.Fleet.of(there.observe(), ALONE, [group], NOW)
    assert "the target group web to send requests to i-003" in seen.awaited("manager", set())


def test_the_report_has_the_states_of_the_targets():
    (row,) = report.balancing(world({**HEALTHY, "i-003": "initial"}).observe())
    assert (row["name"], row["states"]) == ("web", {"healthy": 2, "initial": 1})
    (row,) = report.balancing(replace(world().observe(), targets={WEB: None}))
    assert (row["states"], row["targets"]) == (None, None)


def test_the_policy_names_target_groups_by_their_arns():
    document = {"cluster": "example", "groups": {"manager": {"role": "manager", "target_groups": [WEB]}}}
    assert Policy.parse(document).target_groups == (WEB,)
