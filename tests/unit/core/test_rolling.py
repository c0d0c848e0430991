"""In which order instances are replaced, who goes when a group shrinks, and what new ones are waited for."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from ansible_collections.swarm.aws.plugins.module_utils._core import rolling_update
from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import ScalingGroup, Service
from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError
from ansible_collections.swarm.aws.plugins.module_utils._core.quorum import Quorum
from ansible_collections.swarm.aws.plugins.module_utils._core.rolling_update import Fleet, Member, Round
from ansible_collections.swarm.aws.plugins.module_utils._core.upgrade_marker import TAG, UpgradeMarker
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.memory_cluster import POLICY, instance, node, observed, record

WORKERS = ScalingGroup("example-worker", "worker", 1, 3, 4, 3, "2", "worker")
MANAGERS = ScalingGroup("example-manager", "manager", 3, 3, 5, 3, "2", "manager")


def member(number, role="worker", **more):
    defaults = {"group": role, "role": role, "zone": "abc"[number % 3], "outdated": True, "node": f"n{number}"}
    return Member(f"i-{number}", **{**defaults, "reachable": role == "manager", **more})


def fleet(*members, groups=(MANAGERS, WORKERS), short=None):
    return Fleet(tuple(groups), tuple(members), short or {})


ALL = [*(member(number, "manager", leader=number == 2) for number in (1, 2, 3)), *(member(n) for n in (4, 5, 6))]


# Rounds


def test_workers_come_first_after_a_canary_and_managers_one_by_one():
    assert fleet(*ALL).rounds(batch=2) == [
        Round("worker", 1, canary=True),
        Round("worker", 2),
        Round("manager", 1, canary=True),
        Round("manager", 1),
        Round("manager", 1),
    ]


def test_the_group_of_the_leader_is_the_last_round():
    other = replace(MANAGERS, group="zzz", name="example-zzz", desired=1)
    several = [member(1, "manager", leader=True), member(7, "manager", group="zzz")]
    assert [round.group for round in fleet(*several, groups=(MANAGERS, other)).rounds(1)] == ["zzz", "manager"]


def test_a_serving_instance_with_the_new_template_replaces_the_canary():
    new = member(4, outdated=False)
    assert fleet(new, member(5), member(6)).rounds(batch=5) == [Round("worker", 2)]
    not_yet = replace(new, awaited=("it to join",))
    assert fleet(not_yet, member(5), member(6)).rounds(batch=5) == [Round("worker", 1, canary=True), Round("worker", 1)]


def test_without_outdated_instances_there_is_no_round():
    assert fleet(*(replace(member, outdated=False) for member in ALL)).rounds(3) == []


def test_the_instances_that_a_stopped_upgrade_added_are_used_first():
    under_way = replace(WORKERS, desired=5, largest=5, original_size=3)
    new = [member(7, outdated=False), member(8, outdated=False)]
    found = fleet(*new, member(4), member(5), member(6), groups=[under_way])
    assert found.rounds(batch=1) == [Round("worker", 2), Round("worker", 1)]
    assert found.to_remove("worker", under_way.surplus) == ["i-4", "i-5"]


def test_a_stopped_upgrade_that_only_has_to_settle_gets_a_round():
    found = fleet(*(member(number, outdated=False) for number in (4, 5, 6)), groups=[replace(WORKERS, original_size=3)])
    assert found.rounds(1) == [Round("worker", 0)]
    one_more = fleet(
        *(member(number, outdated=False) for number in (4, 5, 6, 7)),
        groups=[replace(WORKERS, desired=4, original_size=3)],
    )
    assert one_more.rounds(1) == [Round("worker", 1)]


# Who goes


def test_the_leader_is_removed_last_although_its_zone_has_most_nodes():
    several = [
        member(1, "manager", zone="a"),
        member(2, "manager", zone="b", leader=True),
        member(3, "manager", zone="c"),
        member(4, "manager", zone="b", outdated=False),
    ]
    assert fleet(*several).to_remove("manager", 3) == ["i-1", "i-3", "i-2"]


def test_zones_stay_even_and_unhealthy_instances_are_removed_first():
    several = [member(1, zone="a"), member(2, zone="b"), member(3, zone="b"), member(4, zone="c")]
    assert fleet(*several).to_remove("worker", 1) == ["i-2"]
    sick = [*several[:3], replace(several[3], awaited=("the node of i-4 to be ready",))]
    assert fleet(*sick).to_remove("worker", 1) == ["i-4"]


def test_a_begun_removal_continues_and_terminating_nodes_do_not_count():
    several = [member(4), member(5, removing=True), member(6, removing=True, terminating=True)]
    found = fleet(*several)
    assert found.to_remove("worker", 1) == ["i-5"]
    assert found.ending("worker") == ["i-6"]
    assert [member.id for member in found.of_group("worker")] == ["i-4", "i-5"]


def test_an_upgrade_runs_on_a_staying_manager_preferably_the_current():
    found = fleet(*ALL[:2], replace(ALL[2], reachable=False))
    assert found.managers([], "n2") == ["i-2", "i-1"]
    assert found.managers(["i-2"], "n2") == ["i-1"]


# Waiting


def seen(*extra, nodes=(), groups=None, **more):
    """Three managers and a worker that are as they should be, and what a test adds."""
    hosts = [instance(number, "manager", template="2") for number in (1, 2, 3)]
    members = [node(number, "manager") for number in (1, 2, 3)]
    both = observed(
        [*hosts, instance(4, "worker", template="1"), *extra],
        [*members, node(4, "worker"), *nodes],
        more.pop("record", record(1, 2, 3)),
    )
    groups = groups or (MANAGERS, replace(WORKERS, desired=1))
    return Fleet.of(replace(both, **more), POLICY, groups, now=1_000.0)


def test_a_converged_cluster_awaits_nothing():
    found = seen()
    assert found.awaited("manager", set()) == []
    assert found.awaited("worker", set()) == []
    assert [member.id for member in found.members if member.outdated] == ["i-004"]


@pytest.mark.parametrize(
    ("host", "nodes", "expected"),
    [
        (None, (), "1 more instance of the group worker"),
        ({"lifecycle": "Pending:Wait"}, (), "i-005 to join the swarm"),
        ({"lifecycle": "Pending:Wait"}, (node(5, "worker"),), "i-005 to be in service"),
        ({}, (node(5, "worker", state="unknown"),), "the node of i-005 to be ready"),
        ({}, (node(5, "worker", availability="pause"),), "the node of i-005 to take tasks"),
    ],
)
def test_a_new_worker_is_awaited_step_by_step(host, nodes, expected):
    extra = () if host is None else (instance(5, "worker", template="2", **host),)
    found = seen(*extra, nodes=nodes, groups=(MANAGERS, replace(WORKERS, desired=2)))
    assert found.awaited("worker", set()) == [expected]
    assert found.awaited("manager", set()) == []


def test_a_new_manager_serves_once_it_is_reachable_and_published():
    four = (replace(MANAGERS, desired=4), replace(WORKERS, desired=1))
    host = instance(5, "manager", template="2")
    unconfirmed = seen(host, nodes=[node(5, "manager", reachable=False)], groups=four)
    assert unconfirmed.awaited("manager", set())[0] == "the node of i-005 to be ready"
    unpublished = seen(host, nodes=[node(5, "manager")], groups=four)
    assert unpublished.awaited("manager", set()) == ["www.example.com to point to i-005"]
    published = seen(host, nodes=[node(5, "manager")], groups=four, record=record(1, 2, 3, 5))
    assert published.awaited("manager", set()) == []
    foreign = seen(host, nodes=[node(5, "manager")], groups=four, record=record(9, owner="other"))
    assert foreign.awaited("manager", set()) == []


def test_services_are_awaited_unless_they_lacked_tasks_before():
    web = Service("web", "web", replicas=3, healthy={"n001": 2})
    proxy = Service("proxy", "proxy", mode="global", healthy={"n001": 1, "n002": 1, "n003": 1}, starting={"n004": 1})
    found = seen(services=(web, proxy))
    assert found.short == {"web": "3 tasks of web to run (2 running)"}
    assert found.awaited("worker", set()) == ["proxy to run on i-004", "3 tasks of web to run (2 running)"]
    assert found.awaited("manager", {"web"}) == []
    once = replace(web, over=frozenset("1"), done=1)
    assert seen(services=(once, replace(once, healthy={}, done=3))).short == {}
    assert seen(services=(replace(once, healthy={}),)).short == {"web": "2 tasks of web to run (0 running)"}
    surging = replace(web, replicas=5, labels={"swarm.aws.surge": "3+2"}, healthy={"n001": 3})
    assert seen(services=(surging,)).short == {}


def test_managers_await_removals_in_other_groups_too():
    other = replace(MANAGERS, group="other", name="example-other", desired=1)
    several = [member(1, "manager", outdated=False), member(9, "manager", group="other", removing=True)]
    found = fleet(*several, groups=[replace(MANAGERS, desired=1), other])
    assert found.awaited("manager", set()) == ["the removal of i-9 to end"]


# Another size


def test_scaling_out_adds_a_number_and_scaling_in_names_instances():
    found = fleet(*ALL)
    assert found.resize("worker", 4) == rolling_update.Resize(add=1)
    assert found.resize("worker", 3) == rolling_update.Resize()
    assert found.resize("worker", 1) == rolling_update.Resize(remove=("i-4", "i-5"))


@pytest.mark.parametrize(
    ("name", "desired", "said"),
    [
        ("wroker", 2, "There is no node group 'wroker': the groups are manager, worker"),
        ("worker", 5, "may have 1 to 4 instances, not 5: change its max in node_groups"),
        ("worker", 0, "may have 1 to 4 instances, not 0: change its min in node_groups"),
    ],
)
def test_a_size_outside_of_min_and_max_is_refused(name, desired, said):
    with pytest.raises(SwarmError, match=said):
        fleet(*ALL).resize(name, desired)


def test_the_managers_of_all_groups_are_counted_together():
    free = replace(MANAGERS, smallest=0, largest=9)
    found = fleet(*ALL, groups=(free, WORKERS))
    with pytest.raises(SwarmError, match="without a manager"):
        found.resize("manager", 0)
    with pytest.raises(SwarmError, match="9 managers, but more than 7"):
        found.resize("manager", 9)
    assert found.resize("manager", 1).remove == ("i-1", "i-3"), "the leader stays"
    assert "4 managers survive the loss of 1, like 3 managers" in found.resize("manager", 4).warnings[0]
    assert "single manager has no redundancy" in found.resize("manager", 1).warnings[0]
    assert found.resize("manager", 5).warnings == ()
    other = replace(MANAGERS, group="other", desired=1)
    assert fleet(*ALL, groups=(free, other)).resize("manager", 0).remove == ("i-1", "i-3", "i-2")


def test_a_group_that_is_being_upgraded_is_not_scaled():
    with pytest.raises(
        SwarmError, match=r"upgrade of the group worker is under way: finish it with playbooks/upgrade.yml"
    ):
        fleet(*ALL, groups=(MANAGERS, replace(WORKERS, original_size=3))).resize("worker", 2)


def test_an_original_size_is_read_as_written():
    assert UpgradeMarker.read({TAG: UpgradeMarker(3).write()}) == UpgradeMarker(3)
    several = UpgradeMarker(3, 5, "AZRebalance")
    assert several.write() == "3 max=5 paused=AZRebalance"
    assert UpgradeMarker.read({TAG: several.write()}) == several
    for unreadable in ({}, {TAG: ""}, {TAG: "x"}, {TAG: "3 max=x"}):
        assert UpgradeMarker.read(unreadable) is None


# A whole upgrade, killed anywhere


class Cloud:
    """Groups that do what the playbook asks for, in steps between which anybody may be killed."""

    def __init__(self, sizes, draw, broken=False):
        self.draw, self.broken, self.number = draw, broken, 0
        self.groups, self.members = {}, {}
        for name, role, size in sizes:
            self.groups[name] = ScalingGroup(f"example-{name}", name, 0, size, size, size, "2", role)
            for _ in range(size):
                self.launch(name, outdated=True)
        managers = [member.id for member in self.members.values() if member.role == "manager"]
        self.lead(draw.choice(managers))

    def launch(self, name, *, outdated):
        self.number += 1
        role = self.groups[name].role
        sick = ("it to join",) if self.broken and not outdated else ()
        new = member(
            self.number, role, group=name, outdated=outdated, awaited=sick, reachable=role == "manager" and not sick
        )
        self.members[new.id] = replace(new, zone=self.draw.choice("abc"))

    def lead(self, identifier):
        for key, member in self.members.items():
            self.members[key] = replace(member, leader=key == identifier)

    @property
    def fleet(self):
        return Fleet(tuple(self.groups.values()), tuple(self.members.values()), {})

    def steps(self, batch):
        """The playbook's steps, each of which has taken effect when it is yielded."""
        rounds = self.fleet.rounds(batch)
        for number, round_ in enumerate(rounds):
            group = self.groups[round_.group]
            original_size = group.desired if group.original_size is None else group.original_size
            self.groups[round_.group] = replace(group, original_size=original_size)
            yield "noted"
            wanted = max(group.desired, original_size + round_.instances)
            self.groups[round_.group] = replace(
                self.groups[round_.group], desired=wanted, largest=max(wanted, group.largest)
            )
            while len(self.fleet.of_group(round_.group)) < wanted:
                self.launch(round_.group, outdated=False)
            yield "surged"
            if self.fleet.awaited(round_.group, set()):
                yield "stopped"
                return
            removed = self.fleet.to_remove(round_.group, self.groups[round_.group].surplus)
            for part in [[identifier] for identifier in removed] if group.role == "manager" else [removed]:
                yield from self.remove(part)
            if all(other.group != round_.group for other in rounds[number + 1 :]):
                now = self.groups[round_.group]
                assert now.desired == original_size
                self.groups[round_.group] = replace(now, original_size=None)
                yield "settled"

    def remove(self, identifiers):
        for identifier in identifiers:
            self.members[identifier] = replace(self.members[identifier], removing=True)
            yield "asked"
        for identifier in identifiers:
            removed = self.members.pop(identifier)
            group = self.groups[removed.group]
            self.groups[removed.group] = replace(group, desired=group.desired - 1)
            if removed.leader:
                self.lead(self.draw.choice([other.id for other in self.members.values() if other.reachable]))
            yield f"removed {identifier}"


sizes = st.tuples(st.sampled_from([1, 3, 5]), st.integers(0, 2), st.integers(0, 5))


@given(sizes, st.integers(1, 3), st.integers(0, 60), st.randoms(use_true_random=False))
def test_an_upgrade_killed_anywhere_is_completed_by_the_next_run(size, batch, killed_after, draw):
    managers, more, workers = size
    cloud = Cloud([("manager", "manager", managers), ("other", "manager", more), ("worker", "worker", workers)], draw)
    old_leader = next(member.id for member in cloud.members.values() if member.leader)
    before = {name: group.desired for name, group in cloud.groups.items()}
    removed = []
    for run in range(2):
        for number, step in enumerate(cloud.steps(batch)):
            here = [member for member in cloud.members.values() if member.role == "manager"]
            voters = Quorum(len(here), sum(manager.reachable for manager in here))
            assert voters.margin >= min(1, (managers + more - 1) // 2), "a manager may fail at any moment"
            assert sum(manager.removing for manager in here) <= 1, "never two managers at once"
            for name, group in cloud.groups.items():
                serving = sum(member.serves for member in cloud.members.values() if member.group == name)
                assert serving >= before[name], "no group ever has fewer than usual that serve"
                assert len(cloud.fleet.of_group(name)) == group.desired
            removed += [step.split()[1]] if step.startswith("removed") else []
            if run == 0 and number == killed_after:
                break
    assert not any(member.outdated or member.removing for member in cloud.members.values())
    assert {name: group.desired for name, group in cloud.groups.items()} == before
    assert all(group.original_size is None for group in cloud.groups.values())
    assert removed[-1] == old_leader, "the leader goes last"
    assert len(removed) == len(set(removed)) == managers + more + workers
    assert cloud.fleet.rounds(batch) == []


@pytest.mark.fault(35)
@given(sizes, st.integers(1, 3), st.randoms(use_true_random=False))
def test_fault_35_an_upgrade_with_failing_instances_removes_nothing(size, batch, draw):
    managers, more, workers = size
    all_groups = [("manager", "manager", managers), ("other", "manager", more), ("worker", "worker", workers)]
    cloud = Cloud(all_groups, draw, broken=True)
    old = set(cloud.members)
    steps = list(cloud.steps(batch))
    assert steps == ["noted", "surged", "stopped"]
    assert old <= set(cloud.members)
    assert len(cloud.members) == len(old) + 1, "the first instance is tried alone"


def test_the_steps_of_an_upgrade_of_three_managers_and_three_workers():
    cloud = Cloud([("manager", "manager", 3), ("worker", "worker", 3)], random.Random(1))
    steps = list(cloud.steps(batch=2))
    assert [step for step in steps if not step.startswith("removed")] == [
        *("noted", "surged", "asked"),
        *("noted", "surged", "asked", "asked", "settled"),
        *("noted", "surged", "asked") * 2,
        *("noted", "surged", "asked", "settled"),
    ]


def test_an_outdated_warm_instance_is_no_member_and_is_replaced_first():
    hosts = [
        instance(1, template="2"),
        instance(4, "worker", template="2"),
        instance(5, "worker", lifecycle="Warmed:Stopped", state="stopped", template="1"),
        instance(6, "worker", lifecycle="Warmed:Stopped", state="stopped", template="2"),
        instance(7, "worker", lifecycle="Warmed:Terminating:Wait", state="stopped", template="1"),
    ]
    groups = (replace(MANAGERS, desired=1), replace(WORKERS, desired=1))
    found = Fleet.of(observed(hosts, [node(1, leader=True), node(4, "worker")], record(1)), POLICY, groups, 0.0)
    assert [member.id for member in found.members] == ["i-001", "i-004"]
    assert found.rounds(1) == []
    assert found.awaited("worker", set(), joined=True) == []
    assert (found.outdated_in_pool("worker"), found.outdated_in_pool("manager")) == (["i-005"], [])
