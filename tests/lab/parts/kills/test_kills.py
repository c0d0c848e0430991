"""Whoever takes a node out is killed wherever there is something to kill, and the next run goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from tests.lab.site import CLUSTER, ROOT, Site, say

# Seconds.
DEADLINE = 600.0


class Playbook:
    """A run of `ansible-playbook` that is killed wherever it comes for the first time, and then run again."""

    def __init__(self, site: Site, play: str, *words: str) -> None:
        """``play`` is the one in which it is killed; those before it only look for a manager."""
        self._site, self._play, self._words = site, play, words
        self._file = Path(tempfile.mkstemp(prefix="playbook-")[1])
        self.killed_at: list[str] = []
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._file.open("wb") as output:
            return subprocess.Popen(
                ["ansible-playbook", *self._words],
                cwd=ROOT,
                env=self._site.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def code(self) -> int | None:
        """The exit code of the last run, None while it goes on."""
        return self._process.poll()

    @property
    def output(self) -> str:
        """What the last run has printed so far."""
        return self._file.read_text(errors="replace")

    def _task(self) -> str:
        """The task at which it is, without what its title says of this one time; empty before the play."""
        play = self.output.partition(f"PLAY [{self._play}]")[2]
        titles = re.findall(r"^  (?=\S)([^\d,.\n]*)", play, re.MULTILINE)
        return titles[-1].strip() if titles else ""

    def kill_where_new(self, state: str = "") -> bool:
        """Kill it if it has not been at this task before, or the world not in this state, and start it anew."""
        fresh = {self._task(), state} - {"", *self.killed_at}
        if self.code is not None or not fresh:
            return False
        self.killed_at += sorted(fresh)
        self.end()
        self._process = self._start()
        return True

    def end(self) -> None:
        """Kill it with all processes of its group."""
        if self.code is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@pytest.mark.fault(30)
def test_fault_30_agents_are_killed_after_each_action_of_a_removal_and_the_playbook_at_each_task(site: Site) -> None:
    """The actions are those that the agents log, as they come; also those with which the replacement is let in."""
    site.settle()
    before, known = _services(site), _ever(site)
    follower = site.one("follower")
    agents = [manager for manager in site.managers() if manager != follower]
    seen = {one: len(site.actions(one)) for one in agents}
    killed_after: Counter[str] = Counter()
    playbook = Playbook(site, "Remove the instances", "remove_node.yml", "-e", f"id={follower}")

    def over() -> bool:
        playbook.kill_where_new()
        fresh = {one: [line["action"] for line in site.actions(one)[seen[one] :]] for one in agents}
        for agent in (one for one in agents if fresh[one]):
            site.must(agent, "systemctl", "kill", "--signal=KILL", "swarm-agent")
            seen[agent] += len(fresh[agent])
            killed_after.update(fresh[agent])
        return playbook.code is not None and not any(fresh.values()) and site.is_whole()

    try:
        site.wait("the removal to be over and the swarm to be whole", over, DEADLINE)
    finally:
        playbook.end()
    say(f"agents were killed after {dict(killed_after)}, the playbook at {playbook.killed_at}")
    assert playbook.code == 0, playbook.output[-4000:]
    # A kill may meet the next pass, whose lines are then missing.
    assert len(killed_after) > 4
    assert [place for place in playbook.killed_at if place.startswith("Wait")]
    assert follower not in site.members()
    assert len(_ever(site) - known) == 1, "one took its place, and no more"
    _all_is_as_declared(site, before)


@pytest.mark.fault(30)
@pytest.mark.fault(31)
def test_fault_30_31_a_tidying_is_killed_wherever_it_is(site: Site) -> None:
    """At each of its tasks, and after each change of the dead node; the agents stand still, which would do the same."""
    site.settle()
    before, dead = _services(site), site.one("follower")
    node = next(one.node_id for one in site.nodes() if one.instance == dead)
    with site.agents_stopped():
        site.aws("ec2").terminate_instances(InstanceIds=[dead])
        site.wait("it to be seen as down", lambda: dead in site.down())
        managers = site.managers()
        playbook = Playbook(site, "Delete the nodes of terminated instances", "playbooks/tidy.yml")

        def over() -> bool:
            found = site.on(managers[0], "docker", "node", "inspect", "--format", "{{.Spec.Role}}", node)
            if playbook.kill_where_new(found.output.strip() if found.code == 0 else "removed"):
                for manager in managers:
                    # What it started there is not of its group.
                    site.on(manager, "pkill", "--signal", "KILL", "--full", "AnsiballZ_node_remove")
            return playbook.code is not None

        try:
            site.wait("the tidying to come to its end", over, DEADLINE)
        finally:
            playbook.end()
        assert playbook.code == 0, playbook.output[-4000:]
        assert node not in {one.node_id for one in site.listed()}
    say(f"the playbook was killed at {playbook.killed_at}")
    site.settle()
    _all_is_as_declared(site, before)


def _ever(site: Site) -> set[str]:
    """All instances that the cluster ever had."""
    wanted = [{"Name": "tag:swarm.aws/cluster", "Values": [CLUSTER]}]
    found = site.aws("ec2").describe_instances(Filters=wanted)["Reservations"]
    return {instance["InstanceId"] for reservation in found for instance in reservation["Instances"]}


def _services(site: Site) -> dict[str, tuple[object, object]]:
    """Each service's mode, with its count, and its labels."""
    inspected = site.must(site.managers()[0], "sh", "-c", "docker service inspect $(docker service ls -q)")
    specs = [load["Spec"] for load in json.loads(inspected)]
    return {spec["Name"]: (spec["Mode"], spec.get("Labels")) for spec in specs}


def _all_is_as_declared(site: Site, before: dict[str, tuple[object, object]]) -> None:
    """No count and no label is left of what went on, the record is right, and every service has its tasks."""
    site.wait("the services to be as they were", lambda: _services(site) == before)
    site.settle_record()
    ways = ("remove-requested", "interruption", "leaving-since", "paused-at", "withdrawn-at", "drained-at")
    left = {f"swarm.aws.{way}" for way in ways}
    assert not [node.instance for node in site.nodes() if left & set(node.labels)]

    def run() -> bool:
        listed = site.must(site.managers()[0], "docker", "service", "ls", "--format", "{{.Replicas}}")
        return all(have == want for have, _, want in (line.split()[0].partition("/") for line in listed.splitlines()))

    site.wait("every service to have its tasks", run)
