"""Scaling and upgrades of groups under hundreds of requests a second."""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.lab.configured import node_groups
from tests.lab.load import Load
from tests.lab.site import CLUSTER, RECORD, ROOT, Run, Site, say

# How many requests make an upgrade a test.
ENOUGH = 10_000
ORIGINAL_SIZE, DESIRED = "swarm.aws/usual-size", "swarm.aws/desired"
# It runs before the node joins, and never ends.
NEVER_JOINS = "#!/bin/sh\nsleep 100000\n"
CANCELLED = "#cloud-config\n# the cancelled template\n"
SECOND = "#cloud-config\n# the second template\n"


@pytest.fixture
def site(site: Site) -> Site:
    """The cluster with three workers."""
    scaled = scale(site, 3)
    assert scaled.code == 0, scaled.output[-4000:]
    site.settle(workers=3)
    return site


@pytest.fixture
def completed_tasks(site: Site) -> Iterator[None]:
    """Services whose tasks have ended as intended."""
    made = {"once": ["--restart-condition=none"], "on-failure": ["--restart-condition=on-failure", "--replicas=2"]}
    made |= {"job": ["--mode=replicated-job"], "global-job": ["--mode=global-job"]}
    try:
        for name, options in made.items():
            words = ["docker", "service", "create", "--detach", "--quiet", f"--name=ended-{name}", *options]
            site.must(site.managers()[0], *words, "python:3.13-slim", "true")
        for name in made:
            site.wait(f"the tasks of {name} to end", lambda name=name: are_completed(site, f"ended-{name}"))
        yield
    finally:
        site.on(site.managers()[0], "docker", "service", "rm", *(f"ended-{name}" for name in made))


def test_a_scaled_out_group_keeps_its_size_after_site_yml(site: Site) -> None:
    run = scale(site, 1)
    assert run.code == 0, run.output[-4000:]
    run = scale(site, 3)
    assert run.code == 0, run.output[-4000:]
    assert run.changed == 1
    assert "The group worker has 3 instances, of which 3 serve" in run.said
    assert len(members(site, "worker")) == 3
    again = site.playbook("site.yml", "--tags", "node_groups")
    assert (again.code, again.changed) == (0, 0), again.output[-4000:]
    assert "The group 'worker' has 3 instances, since it was scaled" in again.said
    assert sizes(site)["worker"][:2] == (3, 4)


def test_a_size_outside_of_min_and_max_is_refused(site: Site) -> None:
    for words, sentence in (
        (["-e", "group=worker", "-e", "desired=9"], "may have 1 to 4 instances, not 9: change its max"),
        (["-e", "group=manager", "-e", "desired=0"], "may have 3 to 5 instances, not 0: change its min"),
        (["-e", "group=worker"], "How many instances should the group have? Set -e desired=3."),
    ):
        run = site.playbook("playbooks/scale.yml", *words)
        assert run.code != 0
        assert sentence in run.said
        assert run.changed == 0


def test_rebalancing_onto_new_nodes_fails_no_request(site: Site) -> None:
    before = spread(site)
    with Load(site.lab, RECORD) as load:
        run = site.playbook("playbooks/rebalance.yml", "-e", f"services={CLUSTER}_web,{CLUSTER}_store")
    assert run.code == 0, run.output[-4000:]
    after = spread(site)
    say(f"rebalance: {before} became {after}; {load.result}")
    assert load.result.failures == []
    assert f"{CLUSTER}_store: unchanged, since it is not start-first" in run.said
    # Where the scheduler had spread them evenly by itself there is nothing to do.
    assert ("to rebalance" in run.output) is (run.changed == 1)
    again = site.playbook("playbooks/rebalance.yml", "-e", f"services={CLUSTER}_web", "--check")
    assert f"{CLUSTER}_web: unchanged, since it is spread as evenly as it can be" in again.said


@pytest.mark.fault(35)
def test_fault_35_an_upgrade_stops_at_the_first_instance_that_never_joins(
    site: Site,
) -> None:
    before, original = members(site), sizes(site)
    template(site, NEVER_JOINS)
    try:
        run = site.playbook("playbooks/upgrade.yml", "-e", "batch=2", "-e", "timeout=30")
    finally:
        repaired = site.playbook("site.yml", "--tags", "node_groups")
    assert repaired.code == 0, repaired.output[-4000:]
    assert run.code != 0
    assert "The upgrade stopped in the group worker: After 30 s the group worker still waits for i-" in run.said
    assert "to join the swarm" in run.said
    site.wait("the new instance to be terminated", lambda: len(site.instances()) == len(before))
    assert members(site) == before, "an old instance is gone"
    assert sizes(site) == original


def test_a_cancelled_upgrade_restores_the_original_sizes(site: Site) -> None:
    before, original = members(site), sizes(site)
    template(site, CANCELLED)
    first = start(site, "playbooks/upgrade.yml")
    site.wait("the canary to be launched", lambda: len(site.instances()) == len(before) + 1)
    first.kill()
    first.wait()
    refused = site.playbook("playbooks/scale.yml", "-e", "group=worker", "-e", "desired=2")
    assert refused.code != 0
    assert "An upgrade of the group worker is under way: finish it with playbooks/upgrade.yml" in refused.said
    run = site.playbook("playbooks/upgrade.yml", "-e", "cancel=true")
    assert run.code == 0, run.output[-4000:]
    site.wait("as many instances as before", lambda: len(site.instances()) == len(before))
    site.settle(workers=3)
    assert sizes(site) == original
    # A canary that already served has replaced an old instance.
    assert len(members(site) - before) <= 1
    again = site.playbook("playbooks/upgrade.yml", "-e", "cancel=true")
    assert (again.code, again.changed) == (0, 0), again.output[-4000:]


@pytest.mark.usefixtures("completed_tasks")
def test_an_upgrade_begins_although_tasks_have_completed(site: Site) -> None:
    outdated = site.playbook("site.yml", "--tags", "node_groups", *groups(user_data=CANCELLED))
    assert outdated.code == 0, outdated.output[-4000:]
    run = site.playbook("playbooks/upgrade.yml", "--check")
    assert run.code == 0, run.output[-4000:]
    assert "Round 1: 1 of " in run.said


@pytest.mark.fault(5)
@pytest.mark.fault(35)
@pytest.mark.usefixtures("completed_tasks")
def test_a_killed_upgrade_is_completed_by_the_next_and_fails_no_request(
    site: Site,
) -> None:
    before, original, leader, cluster = (
        members(site),
        sizes(site),
        site.pick("leader"),
        site.cluster_record()["cluster_id"],
    )
    template(site, SECOND)
    words = ["playbooks/upgrade.yml", "-e", "batch=2"]
    with Load(site.lab, RECORD) as load:
        began = time.monotonic()
        first = start(site, *words)
        site.wait("the canary to be in the swarm", lambda: len(site.members()) == len(before) + 1)
        first.kill()
        first.wait()
        run = site.playbook(*words)
        took = time.monotonic() - began
    assert run.code == 0, run.output[-6000:]
    removals = [float(seconds) for seconds in re.findall(r"Seconds: .*\ball (\d+\.\d)", run.output)]
    say(
        f"upgrade of {len(before)} nodes: {load.result}; {took:.0f} s, {took / len(before):.0f} s a node, of which its "
        f"removals took {removals} s"
    )
    assert load.result.failures == []
    assert load.result.sent >= ENOUGH, str(load.result)
    assert not members(site) & before, "an old instance is left"
    assert len(members(site)) == len(before)
    assert site.clusters() == {site.cluster_record()["cluster_id"]} == {cluster}, (
        "the new managers are in another swarm"
    )
    assert sizes(site) == original
    assert [line for line in run.output.splitlines() if "is removed." in line][-1].strip(
        " -'"
    ) == f"{leader} is removed."
    assert site.addresses() == site.public_addresses()
    again = site.playbook(*words)
    assert (again.code, again.changed) == (0, 0)
    assert "No instance to replace" in again.said


def test_scaling_managers_to_1_and_back_to_3_fails_no_request(site: Site) -> None:
    """Each step must leave a majority of the present managers."""
    original, changed = sizes(site), groups(user_data=SECOND, min=1)
    allowed = site.playbook("site.yml", "--tags", "node_groups", *changed)
    assert (allowed.code, allowed.changed > 0) == (0, True), allowed.output[-4000:]
    with Load(site.lab, RECORD) as load:
        fewer = site.playbook("playbooks/scale.yml", "-e", "group=manager", "-e", "desired=1", *changed)
        assert fewer.code == 0, fewer.output[-4000:]
        assert "A single manager has no redundancy" in fewer.said
        assert [node.role for node in site.nodes()].count("manager") == 1
        assert len(site.addresses()) == 1
        more = site.playbook("playbooks/scale.yml", "-e", "group=manager", "-e", "desired=3", *changed)
    assert more.code == 0, more.output[-4000:]
    say(f"three managers, one and three: {load.result}")
    assert load.result.failures == []
    site.settle(workers=3)
    assert site.addresses() == site.public_addresses()
    restored = site.playbook("site.yml", "--tags", "node_groups", *groups(user_data=SECOND))
    assert (restored.code, restored.changed > 0) == (0, True), restored.output[-4000:]
    assert sizes(site) == original


def test_scaling_in_fails_no_request(site: Site) -> None:
    with Load(site.lab, RECORD) as load:
        run = scale(site, 1)
    assert run.code == 0, run.output[-4000:]
    say(f"two workers fewer: {load.result}")
    assert load.result.failures == []
    assert sizes(site)["worker"] == (1, 4, {DESIRED: "1"})
    site.settle()


# Helpers


def members(site: Site, group: str | None = None) -> set[str]:
    """The instances that are in service and in the swarm."""
    serving = {
        instance["instance_id"] for instance in site.instances(group) if instance["lifecycle_state"] == "InService"
    }
    return serving & site.members()


def are_completed(site: Site, service: str) -> bool:
    """Whether all tasks of a service are complete."""
    shown = ["docker", "service", "ps", "--format={{.CurrentState}}", service]
    states = site.must(site.managers()[0], *shown).splitlines()
    return bool(states) and all(state.startswith("Complete") for state in states)


def sizes(site: Site) -> dict[str, tuple[int, int, dict[str, str]]]:
    """Desired and maximum size of each group, and its tags about them. No process may be suspended."""
    found = site.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert not any(group["SuspendedProcesses"] for group in found)
    return {
        group["AutoScalingGroupName"].removeprefix(f"{CLUSTER}-"): (
            group["DesiredCapacity"],
            group["MaxSize"],
            {tag["Key"]: tag["Value"] for tag in group["Tags"] if tag["Key"] in (ORIGINAL_SIZE, DESIRED)},
        )
        for group in found
    }


def template(site: Site, user_data: str) -> None:
    """Give all groups a launch template with this user data, by site.yml."""
    run = site.playbook("site.yml", "--tags", "node_groups", *groups(user_data=user_data))
    assert (run.code, run.changed) == (0, 2), run.output[-4000:]


def groups(**settings: object) -> tuple[str, str]:
    """The arguments that give all groups these settings."""
    return node_groups(manager=settings, worker=settings)


def scale(site: Site, workers: int) -> Run:
    """Run scale.yml for the workers."""
    return site.playbook("playbooks/scale.yml", "-e", "group=worker", "-e", f"desired={workers}")


def start(site: Site, *words: str) -> subprocess.Popen[bytes]:
    """Start a playbook."""
    silent = subprocess.DEVNULL
    return subprocess.Popen(
        ["ansible-playbook", *words], cwd=ROOT, env=site.environment, stdin=silent, stdout=silent, stderr=silent
    )


def spread(site: Site) -> dict[str, int]:
    """The number of the page's tasks by node name."""
    words = ["docker", "service", "ps", f"{CLUSTER}_web", "--filter", "desired-state=running", "--format", "{{.Node}}"]
    return dict(Counter(site.must(site.managers()[0], *words).split()))
