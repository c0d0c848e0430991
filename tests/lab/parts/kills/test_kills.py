"""The agents and playbooks of a removal are killed at each step, and the next run completes it."""

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
    """A run of `ansible-playbook` that is killed at each new task, and run again."""

    def __init__(self, site: Site, play: str, *words: str) -> None:
        """It is killed in ``play``; earlier plays only find a manager."""
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
        """The exit code of the last run; None while it runs."""
        return self._process.poll()

    @property
    def output(self) -> str:
        """The output of the last run so far."""
        return self._file.read_text(errors="replace")

    def _task(self) -> str:
        """The present task, without the variable part of its title; empty before the play."""
        play = self.output.partition(f"PLAY [{self._play}]")[2]
        titles = re.findall(r"^  (?=\S)([^\d,.\n]*)", play, re.MULTILINE)
        return titles[-1].strip() if titles else ""

    def kill_where_new(self, state: str = "") -> bool:
        """Kill and restart it if its task or ``state`` is new. Returns whether it did."""
        fresh = {self._task(), state} - {"", *self.killed_at}
        if self.code is not None or not fresh:
            return False
        self.killed_at += sorted(fresh)
        self.end()
        self._process = self._start()
        return True

    def end(self) -> None:
        """Kill it with its process group."""
        if self.code is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@pytest.mark.fault(30)
def test_fault_30_a_removal_survives_kills_at_each_action_and_task(site: Site) -> None:
    """The actions are those in the agents' logs, also the actions that put the replacement in service."""
    site.settle()
    before, known = _services(site), _all_instances(site)
    follower = site.pick("follower")
    agents = [manager for manager in site.managers() if manager != follower]
    seen = {manager: len(site.actions(manager)) for manager in agents}
    killed_after: Counter[str] = Counter()
    playbook = Playbook(site, "Remove the instances", "remove_node.yml", "-e", f"id={follower}")

    def over() -> bool:
        playbook.kill_where_new()
        fresh = {manager: [line["action"] for line in site.actions(manager)[seen[manager] :]] for manager in agents}
        for agent in (manager for manager in agents if fresh[manager]):
            site.must(agent, "systemctl", "kill", "--signal=KILL", "swarm-agent")
            seen[agent] += len(fresh[agent])
            killed_after.update(fresh[agent])
        return playbook.code is not None and not any(fresh.values()) and site.is_converged()

    try:
        site.wait("the removal to finish and the swarm to converge", over, DEADLINE)
    finally:
        playbook.end()
    say(f"agents were killed after {dict(killed_after)}, the playbook at {playbook.killed_at}")
    assert playbook.code == 0, playbook.output[-4000:]
    # A kill may hit the next pass, whose lines are then missing.
    assert len(killed_after) > 4
    assert [place for place in playbook.killed_at if place.startswith("Wait")]
    assert follower not in site.members()
    assert len(_all_instances(site) - known) == 1, "there must be a single replacement"
    _converges(site, before)


@pytest.mark.fault(30)
@pytest.mark.fault(31)
def test_fault_30_31_tidying_survives_kills_at_each_task(site: Site) -> None:
    """Also after each change of the dead node. The agents, which would do the same, are stopped."""
    site.settle()
    before, dead = _services(site), site.pick("follower")
    node = next(listed.node_id for listed in site.nodes() if listed.instance == dead)
    with site.agents_stopped():
        site.aws("ec2").terminate_instances(InstanceIds=[dead])
        site.wait("the node to be down", lambda: dead in site.down())
        managers = site.managers()
        playbook = Playbook(site, "Delete the nodes of terminated instances", "playbooks/tidy.yml")

        def over() -> bool:
            found = site.on(managers[0], "docker", "node", "inspect", "--format", "{{.Spec.Role}}", node)
            if playbook.kill_where_new(found.output.strip() if found.code == 0 else "removed"):
                for manager in managers:
                    # Its module on the manager is not in its process group.
                    site.on(manager, "pkill", "--signal", "KILL", "--full", "AnsiballZ_node_remove")
            return playbook.code is not None

        try:
            site.wait("the tidying to finish", over, DEADLINE)
        finally:
            playbook.end()
        assert playbook.code == 0, playbook.output[-4000:]
        assert node not in {listed.node_id for listed in site.listed()}
    say(f"the playbook was killed at {playbook.killed_at}")
    site.settle()
    _converges(site, before)


def _all_instances(site: Site) -> set[str]:
    """All instances of the cluster, also terminated instances."""
    wanted = [{"Name": "tag:swarm.aws/cluster", "Values": [CLUSTER]}]
    found = site.aws("ec2").describe_instances(Filters=wanted)["Reservations"]
    return {instance["InstanceId"] for reservation in found for instance in reservation["Instances"]}


def _services(site: Site) -> dict[str, tuple[object, object]]:
    """Each service's mode with its replicas, and its labels."""
    inspected = site.must(site.managers()[0], "sh", "-c", "docker service inspect $(docker service ls -q)")
    specs = [load["Spec"] for load in json.loads(inspected)]
    return {spec["Name"]: (spec["Mode"], spec.get("Labels")) for spec in specs}


def _converges(site: Site, before: dict[str, tuple[object, object]]) -> None:
    """Wait until replicas, labels and the record are as before, and every service has its tasks."""
    site.wait("the services to be as they were", lambda: _services(site) == before)
    site.settle_record()
    names = ("remove-requested", "interruption", "leaving-since", "paused-at", "withdrawn-at", "drained-at")
    left = {f"swarm.aws.{name}" for name in names}
    assert not [node.instance for node in site.nodes() if left & set(node.labels)]

    def run() -> bool:
        listed = site.must(site.managers()[0], "docker", "service", "ls", "--format", "{{.Replicas}}")
        return all(have == want for have, _, want in (line.split()[0].partition("/") for line in listed.splitlines()))

    site.wait("every service to have its tasks", run)
