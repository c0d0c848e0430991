"""What is planned in the cases that operators meet."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import actions as act
from ansible_collections.swarm.aws.plugins.module_utils._core import node_labels
from ansible_collections.swarm.aws.plugins.module_utils._core.apply import Refused
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import Needs, Record, Service
from ansible_collections.swarm.aws.plugins.module_utils._core.dns import BOTH, published
from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import Published
from ansible_collections.swarm.aws.plugins.module_utils._core.node_matching import join
from ansible_collections.swarm.aws.plugins.module_utils._core.plan import decide, plan
from ansible_collections.swarm.aws.plugins.module_utils._core.quorum import Interlock, Quorum

from .memory_cluster import DUAL, POLICY, ModelWorld, dead, dual_record, gone, instance, joined, node, observed, record

NOW = 1_000_000.0
THREE = [instance(1), instance(2), instance(3)]
NODES = [node(1, leader=True), node(2), node(3)]


def kinds(cluster, now=NOW):
    """The plan in short."""
    return [(type(action).__name__, getattr(action, "instance", None)) for action in plan(cluster, POLICY, now)]


def run(world, passes=1, policy=POLICY):
    """Passes of an agent that nothing happens to; returns the kinds of what it did, in their order."""
    done = []
    for _ in range(passes):
        for action in plan(world.observe(), policy, world.time):
            if world.do(action) and not isinstance(action, act.Heartbeat):
                done.append((type(action).__name__, getattr(action, "instance", None)))
        world.tick()
    return done


def test_a_converged_cluster_needs_no_action():
    decision = decide(observed(THREE, NODES, record(1, 2, 3)), POLICY, NOW)
    assert (decision.actions, decision.awaited, decision.refused, decision.notes) == ([], [], [], [])


def test_a_new_node_is_labelled_launched_and_published():
    world = ModelWorld(observed([instance(1, lifecycle="Pending:Wait")], [joined(1)]))
    assert run(world) == [("SetLabels", "i-001")]
    assert world.members["n001"].labels == node(1).labels
    assert run(world) == [("CompleteLifecycle", "i-001")]
    assert run(world) == [("SyncRecord", None)]
    assert world.record == record(1)
    assert run(world) == []


def test_a_node_is_labelled_with_volumes_that_it_and_its_group_have():
    told = {**NODES[0].engine_labels, node_labels.VOLUMES: "data,mine"}
    group = replace(POLICY.groups["manager"], volumes=frozenset({"data", "new"}))
    policy = replace(POLICY, groups={**POLICY.groups, "manager": group})
    world = ModelWorld(observed(THREE[:1], [replace(NODES[0], engine_labels=told)], record(1)))
    run(world, policy=policy)
    kept = {key: value for key, value in world.members["n001"].labels.items() if key.startswith("volume.")}
    assert kept == {"volume.data": "true"}
    run(world)
    assert "volume.data" not in world.members["n001"].labels


def test_labels_that_left_the_configuration_are_removed():
    labels = {**node(1).labels, "swarm.aws.labels": "disk,edge", "disk": "ssd", "mine": "1", "swarm.aws.stray": "x"}
    world = ModelWorld(observed(THREE[:1], [replace(NODES[0], labels=labels)], record(1)))
    run(world)
    assert world.members["n001"].labels == {**node(1).labels, "mine": "1"}


@pytest.mark.parametrize(
    ("claimed", "reason"),
    [("i-001", "another's ID, from an address of its own"), ("i-777", "the ID of an instance that EC2 does not know")],
)
def test_a_worker_cannot_claim_to_be_another_instance(claimed, reason):
    liar = joined(4, "worker")
    liar = replace(liar, engine_labels={"swarm.aws.instance": claimed})
    cluster = observed([*THREE, instance(4, "worker", lifecycle="Pending:Wait")], [*NODES, liar], record(1, 2, 3))
    assert [stranger.id for stranger in join(cluster).strangers] == [liar.id], reason
    assert kinds(cluster) == []


@pytest.mark.fault(16)
def test_fault_16_an_outdated_action_is_checked_again():
    world = ModelWorld(observed([*THREE[:2], gone(3)], [*NODES[:2], dead(3)], record(1, 2)))
    demote = plan(world.observe(), POLICY, NOW)[0]
    assert world.do(demote)
    assert world.do(demote) is None
    back = ModelWorld(observed(THREE, [*NODES[:2], dead(3)], record(1, 2)))
    with pytest.raises(Refused, match="EC2 does not confirm that i-003 is terminated"):
        back.do(demote)


@pytest.mark.fault(16)
def test_fault_16_a_second_demotion_is_refused_without_a_quorum():
    world = ModelWorld(observed(THREE, NODES, record(1, 2, 3)))
    world.do(act.Demote("n002", "i-002", act.REMOVING))
    with pytest.raises(Refused, match="1 of 3 managers reachable"):
        world.do(act.Demote("n003", "i-003", act.REMOVING))


@pytest.mark.fault(19)
def test_fault_19_a_foreign_record_that_appeared_meanwhile_is_refused():
    world = ModelWorld(observed(THREE, NODES))
    sync = plan(world.observe(), POLICY, NOW)[0]
    world.record = record(9, owner=None)
    with pytest.raises(Refused, match="exists already"):
        world.do(sync)
    assert world.record == record(9, owner=None)


@pytest.mark.fault(20)
def test_fault_20_an_instance_without_an_address_is_omitted():
    bare = replace(THREE[2], public_address=None)
    assert kinds(observed([*THREE[:2], bare], NODES, record(1, 2))) == []
    every = [replace(instance, public_address=None) for instance in THREE]
    decision = decide(observed(every, NODES, record(1, 2)), POLICY, NOW)
    assert decision.actions == []
    assert decision.notes == [
        "No node can serve www.example.com, so it is left as it is rather than emptied.",
        *(f"i-00{number} has no public address, so www.example.com omits it." for number in (1, 2, 3)),
    ]


EDGE = Service("proxy", "proxy", mode="global", needs=Needs(("node.labels.edge == true",), host_ports=(80,)))


@pytest.mark.parametrize("lifecycle", ["Pending:Wait", "InService"])
def test_a_new_node_is_published_once_its_proxy_runs(lifecycle):
    everywhere = {"n001": 1, "n002": 1, "n003": 1}
    cluster = observed([*THREE, instance(4, lifecycle=lifecycle)], [*NODES, node(4)], record(1, 2, 3))
    # The engine has not made its task yet, or it is not healthy yet.
    for starting in ({}, {"n004": 1}):
        service = replace(EDGE, healthy=everywhere, starting=starting)
        assert kinds(replace(cluster, services=(service,))) == []
    # It is not waited for where its constraint does not let it run or cannot be read, nor where it has ended for good.
    next_step = [("SyncRecord", None)] if lifecycle == "InService" else [("CompleteLifecycle", "i-004")]
    for service in (
        replace(EDGE, healthy={**everywhere, "n004": 1}),
        replace(EDGE, healthy=everywhere, needs=Needs(("node.labels.edge == no",), host_ports=(80,))),
        replace(EDGE, healthy=everywhere, needs=Needs(("node.ip == 10.0.0.4",), host_ports=(80,))),
        replace(EDGE, healthy=everywhere, over=frozenset({"n004"})),
    ):
        assert kinds(replace(cluster, services=(service,))) == next_step


def test_a_published_node_stays_while_its_proxy_is_replaced():
    cluster = observed(THREE, NODES, record(1, 2, 3))
    assert kinds(replace(cluster, services=(replace(EDGE, healthy={"n001": 1}, starting={"n002": 1}),))) == []
    assert kinds(replace(cluster, services=(EDGE,), record=Record())) == [("SyncRecord", None)]


def test_a_node_whose_proxy_fails_is_withdrawn_while_others_serve():
    cluster = observed(THREE, NODES, record(1, 2, 3))
    proxy = replace(EDGE, starting={"n002": 1}, failing=frozenset({"n002"}))
    decision = decide(replace(cluster, services=(replace(proxy, healthy={"n001": 1, "n003": 1}),)), POLICY, NOW)
    (sync,) = decision.actions
    assert sync.addresses == record(1, 3).addresses
    assert decision.notes == [
        "proxy fails on i-002 repeatedly, so www.example.com omits it while others serve: docker service ps shows why."
    ]
    # It comes back once the proxy is healthy, and not before.
    gone = replace(cluster, record=record(1, 3))
    assert kinds(replace(gone, services=(replace(proxy, healthy={"n001": 1, "n003": 1}),))) == []
    healthy = replace(EDGE, healthy={"n001": 1, "n002": 1, "n003": 1})
    assert kinds(replace(gone, services=(healthy,))) == [("SyncRecord", None)]
    # Where all fail, nobody is better than the others.
    everywhere = replace(EDGE, failing=frozenset({"n001", "n002", "n003"}))
    assert kinds(replace(cluster, services=(everywhere,))) == []


def test_a_launch_does_not_wait_forever_for_a_service():
    late = instance(4, lifecycle="Pending:Wait", launched=NOW - POLICY.launch_seconds)
    cluster = observed([*THREE, late], [*NODES, node(4)], record(1, 2, 3))
    starting = replace(EDGE, healthy={"n001": 1, "n002": 1, "n003": 1})
    assert kinds(replace(cluster, services=(starting,))) == [("CompleteLifecycle", "i-004")]


@pytest.mark.fault(20)
@pytest.mark.parametrize(
    ("desired", "said"), [({"manager": 3}, True), ({"manager": 3, "worker": 0}, False), ({}, False)]
)
def test_fault_20_a_deleted_group_differs_from_a_group_of_size_0(desired, said):
    notes = decide(replace(observed(THREE, NODES, record(1, 2, 3)), desired=desired), POLICY, NOW).notes
    assert ("The node group worker has no Auto Scaling group: run site.yml to create it again." in notes) is said


def dual(instances, nodes, found, policy=DUAL):
    """What is decided with an AAAA record wanted: the values, or None if the record is right, and the decision."""
    decision = decide(observed(instances, nodes, found), policy, NOW)
    sync = next((action for action in decision.actions if isinstance(action, act.SyncRecord)), None)
    return sync and sync.after, decision


def test_the_aaaa_record_is_planned_with_the_a_record():
    after, decision = dual(THREE, NODES, record(1, 2, 3))
    assert after == dual_record(1, 2, 3)
    assert dual(THREE, NODES, Record())[0] == after
    assert dual(THREE, NODES, after)[1].actions == []
    assert decision.notes == []


def test_an_unwanted_aaaa_record_is_only_deleted_if_it_is_owned():
    after, _ = dual(THREE, NODES, dual_record(1, 2, 3), POLICY)
    assert after == record(1, 2, 3)
    assert dual(THREE, NODES, record(1, 2, 3, ipv6_unowned=True), POLICY)[0] is None


def test_a_changed_ttl_is_corrected_and_the_longer_ttl_counts():
    found = dual_record(1, 2, 3, ipv6_ttl=5)
    assert dual(THREE, NODES, found)[0] == dual_record(1, 2, 3)
    assert (found.known_for, dual_record(1, ipv6_ttl=300).known_for, Record().known_for) == (10, 300, None)


@pytest.mark.fault(19)
@pytest.mark.parametrize("policy", [POLICY, DUAL])
def test_fault_19_a_foreign_aaaa_record_is_refused(policy):
    """If the cluster owns no record of the name, all are foreign; otherwise the A record is maintained."""
    theirs = Record(("2001:db8:ffff::1",), ipv6_ttl=60)
    after, decision = dual(THREE, NODES, theirs, policy)
    assert after is None
    assert "www.example.com exists already" in decision.refused[0]
    after, decision = dual(THREE, NODES, record(1, 2, ipv6_unowned=True), policy)
    assert after == record(1, 2, 3, ipv6_unowned=True)
    refused = ["www.example.com has an AAAA record that is not this cluster's"] if policy is DUAL else []
    assert [sentence.split(",")[0] for sentence in decision.refused] == refused


@pytest.mark.fault(20)
def test_fault_20_the_aaaa_record_omits_an_instance_without_ipv6():
    old = replace(THREE[2], ipv6_address=None)
    after, decision = dual([*THREE[:2], old], NODES, record(1, 2, 3))
    assert after == replace(dual_record(1, 2), addresses=(*record(1, 2, 3).addresses, "2001:db8::1", "2001:db8::2"))
    assert decision.notes == [
        "i-003 has no IPv6 address, so the AAAA record of www.example.com omits it: its replacement will have an "
        "address."
    ]
    none = [replace(instance, ipv6_address=None) for instance in THREE]
    assert dual(none, NODES, dual_record(1, 2, 3))[0] == record(1, 2, 3, owner=POLICY.owner + BOTH)


def test_a_removed_node_is_not_kept_for_its_ipv6_address_alone():
    """Clients use the A record, so the AAAA record may be deleted."""
    old = [replace(instance, ipv6_address=None) for instance in THREE[:2]]
    removing = replace(THREE[2], lifecycle="Terminating:Wait")
    assert dual([*old, removing], NODES, dual_record(1, 2, 3))[0] == record(1, 2, owner=POLICY.owner + BOTH)


def test_the_a_record_is_kept_if_no_instance_has_an_address():
    bare = [replace(instance, public_address=None) for instance in THREE]
    after, decision = dual(bare[:1], NODES[:1], dual_record(1, 2))
    assert after == dual_record(1, 2, addresses=(*record(1, 2).addresses, "2001:db8::1"))
    assert "No node can serve www.example.com" in decision.notes[0]


@pytest.mark.parametrize(("policy", "most"), [(POLICY, 400), (DUAL, 249)])
def test_the_record_has_at_most_the_addresses_that_route_53_allows(policy, most):
    hosts = [instance(0), *(_of_many(number) for number in range(1, 450))]
    nodes = [node(number, leader=number == 0) for number in range(450)]
    after, decision = dual(hosts, nodes, Record(), policy)
    assert len(after.ipv4) == most
    assert len(after.ipv6) == (most if policy is DUAL else 0)
    assert f"www.example.com omits {450 - most} of the serving nodes, since Route 53 allows {most}" in decision.notes[0]
    # Those that are published stay so, however many come.
    later = [instance(0, public_address="1.0.0.1", ipv6_address="2000::1"), *hosts[1:]]
    found = dual(later, nodes, replace(after, ttl=1), policy)[0]
    assert set(found.addresses) <= {*after.addresses, "1.0.0.1", "2000::1"}


def _of_many(number):
    return instance(
        number, public_address=f"198.51.{number // 256}.{number % 256}", ipv6_address=f"2001:db8::{number:x}"
    )


def test_a_node_in_the_aaaa_record_still_counts_as_published():
    asked = replace(NODES[2], labels={**NODES[2].labels, node_labels.REQUESTED: node_labels.noted(NOW)})
    leading = dual_record(1, 2, addresses=(*record(1, 2).addresses, "2001:db8::3"))
    assert published(leading, THREE[2], asked, DUAL.dns, DUAL.owner)
    assert not published(dual_record(1, 2), THREE[2], asked, DUAL.dns, DUAL.owner)


@pytest.mark.fault(21)
@pytest.mark.parametrize(
    ("host", "result"),
    [
        (instance(4, "worker", lifecycle="Terminating:Wait"), "CONTINUE"),
        (replace(gone(4, "worker"), lifecycle="Pending:Wait", scaling_group="example-worker"), "ABANDON"),
    ],
)
def test_fault_21_an_instance_that_never_joined_is_released_at_once(host, result):
    (action,) = plan(observed([*THREE, host], NODES, record(1, 2, 3)), POLICY, NOW)
    assert (action.instance, action.result) == ("i-004", result)


def test_an_instance_that_joined_in_another_role_is_not_launched():
    wrong = joined(4, "worker")
    cluster = observed([*THREE, instance(4, lifecycle="Pending:Wait")], [*NODES, wrong], record(1, 2, 3))
    decision = decide(cluster, POLICY, NOW)
    assert kinds(cluster) == [("SetLabels", "i-004")]
    assert decision.refused == ["The launch of i-004 is not completed: it joined as worker, but should be manager."]


@pytest.mark.fault(23)
def test_fault_23_a_manager_is_removed_step_by_step():
    removing = instance(3, lifecycle="Terminating:Wait")
    world = ModelWorld(observed([*THREE[:2], removing], [*NODES[:2], node(3, tasks=2)], record(1, 2, 3)))
    assert run(world) == [("SyncRecord", None), ("NoteFact", "i-003")]
    assert world.record == record(1, 2)
    assert run(world) == [("NoteFact", "i-003"), ("Cordon", "i-003")]
    withdrawn = world.time - 5
    # A new leader is elected while resolvers still forget this manager.
    assert run(world) == [("Demote", "i-003")]
    done = []
    while not done:
        done = run(world)
    assert done == [("Drain", "i-003")]
    assert world.time - 5 - withdrawn >= POLICY.dns.ttl
    done = []
    while not done:
        done = run(world)
    assert done == [("Delete", "i-003")]
    assert run(world) == [("CompleteLifecycle", "i-003")]
    assert world.fleet["i-003"].gone
    assert kinds(world.observe(), world.time) == []


@pytest.mark.fault(24)
def test_fault_24_a_replacement_is_not_awaited_until_the_vote_is_lost():
    two = [instance(number, lifecycle="Terminating:Wait") for number in (2, 3)]
    world = ModelWorld(observed([instance(1), *two], NODES, record(1)))
    world.wanted = {"manager": 3}
    run(world, 20)
    assert world.quorum == Quorum(2, 2)
    world.time += POLICY.hold_seconds
    run(world, 3)
    assert world.quorum == Quorum(1, 1)


@pytest.mark.fault(24)
@pytest.mark.parametrize(
    ("words", "wanted", "voters"), [(" no-replacement", 2, 1), ("", 2, 2), (" no-replacement", 3, 2)]
)
def test_fault_24_the_second_manager_is_removed_unless_another_may_join(words, wanted, voters):
    """If three managers are wanted, another may still join, so the vote is kept until then."""
    asked = replace(node(2), labels={**node(2).labels, "swarm.aws.remove-requested": f"1000000 {words}"})
    world = ModelWorld(observed([instance(1), instance(2)], [node(1, leader=True), asked], record(1, 2)))
    world.wanted = {"manager": wanted}
    run(world, 20)
    assert world.quorum == Quorum(voters, voters)
    assert world.ended == ([("i-002", False)] if voters == 1 else [])


@pytest.mark.fault(24)
@pytest.mark.parametrize(
    ("nodes", "granted"),
    [
        ([node(1), node(2)], True),
        ([node(1)], False),
        ([node(1), node(2), dead(3)], False),
        ([dead(1), node(2)], False),
        ([node(1), node(2, role="worker")], False),
    ],
)
def test_fault_24_a_lost_manager_is_demoted_if_the_others_keep_a_quorum(nodes, granted):
    assert (Interlock(nodes).refusal(nodes[0], lost_anyway=True) == "") is granted
    assert Interlock(nodes).refusal(nodes[0]), "who is not lost is not let go"


@pytest.mark.fault(24)
def test_fault_24_the_last_manager_is_held_until_the_deadline():
    world = ModelWorld(observed([instance(1, lifecycle="Terminating:Wait")], [NODES[0]], record(1)))
    run(world, 5)
    assert world.members["n001"].availability == "active"
    decision = decide(world.observe(), POLICY, world.time)
    assert "0 of 1 manager reachable" in decision.refused[0]
    beaten = len(world.beats)
    world.time += POLICY.hold_seconds
    world.beats.clear()
    run(world, 3)
    assert (beaten, world.beats) == (1, {})


@pytest.mark.fault(26)
def test_fault_26_a_drain_that_never_ends_is_cut_off_at_its_deadline():
    removing = instance(4, "worker", lifecycle="Terminating:Wait")
    world = ModelWorld(observed([*THREE, removing], [*NODES, node(4, "worker", tasks=10_000)], record(1, 2, 3)))
    done = run(world, 30)
    assert done[-3:] == [("Drain", "i-004"), ("Delete", "i-004"), ("CompleteLifecycle", "i-004")]


def test_heartbeats_are_sent_at_their_interval():
    removing = instance(4, "worker", lifecycle="Terminating:Wait")
    worker = node(4, "worker", tasks=10_000)
    world = ModelWorld(observed([*THREE, removing], [*NODES, worker], record(1, 2, 3)))
    beats = []
    for _ in range(12):
        run(world)
        beats.append(world.beats["i-004"])
    assert sorted(set(beats)) == [1_000_000.0, 1_000_030.0]


def test_the_former_node_of_a_rejoined_instance_is_deleted():
    old = replace(dead(3), id="old")
    world = ModelWorld(observed(THREE, [*NODES, old], record(1, 2, 3)))
    assert run(world, 3) == [("Demote", "i-003"), ("Delete", "i-003")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"remembered": None, "published": None}, "is not known yet"),
        ({"remembered": None, "published": Published(None, None)}, "swarm, which was never published"),
        ({"swarm_id": None}, "does not say"),
        ({"instances": ()}, "EC2 lists no instance of this cluster"),
    ],
)
def test_in_doubt_no_action_is_planned(change, reason):
    cluster = replace(observed([*THREE[:2], gone(3)], [*NODES[:2], dead(3)], record(1)), **change)
    decision = decide(cluster, POLICY, NOW)
    assert decision.actions == []
    assert reason in decision.refused[0]


@pytest.mark.parametrize("part", ["nodes", "instances", "record"])
def test_an_unknown_part_is_never_taken_for_an_empty_part(part):
    cluster = observed([*THREE[:2], gone(3)], [*NODES[:2], dead(3)], record(1))
    expected = [("Demote", "i-003")] if part == "record" else []
    assert kinds(replace(cluster, **{part: None})) == expected


@pytest.mark.parametrize(
    ("lifecycle", "state"),
    [("Pending", "running"), ("Pending:Wait", "running"), ("Stopped", "stopped"), ("Terminating:Proceed", "stopped")],
)
def test_a_warm_instance_is_not_awaited(lifecycle, state):
    hosts = [*THREE, instance(4, "worker", lifecycle=f"Warmed:{lifecycle}", state=state, launched=NOW - 10_000)]
    decision = decide(observed(hosts, NODES, record(1, 2, 3)), POLICY, NOW)
    assert (decision.actions, decision.awaited, decision.refused, decision.notes) == ([], [], [], [])


def test_a_warm_instance_is_released_on_termination_and_joins_on_start():
    ending = instance(4, "worker", lifecycle="Warmed:Terminating:Wait", state="stopped")
    assert kinds(observed([*THREE, ending], NODES, record(1, 2, 3))) == [("CompleteLifecycle", "i-004")]
    taken = instance(4, "worker", lifecycle="Pending:Wait", launched=NOW)
    decision = decide(observed([*THREE, taken], NODES, record(1, 2, 3)), POLICY, NOW)
    assert (decision.actions, decision.awaited) == ([], ["i-004 to join the swarm"])
