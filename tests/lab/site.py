"""What the tests do to a cluster on the lab and ask of it, each from where a person would: CLI, API, SSH, DNS, HTTP."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from docker.errors import APIError

from lab import lifecycle, pages, status
from lab.engine import connect
from lab.state import Lab
from lab.waiting import until

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = "example"
RECORD = "www.swarm.test"
_RECAP = re.compile(r"^\S+\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """A command that has ended: its exit code and all that it printed."""

    code: int
    output: str

    @property
    def changed(self) -> int:
        """How many tasks changed something, over all hosts, as the recap says."""
        found = _RECAP.findall(self.output)
        assert found, f"there is no recap in:\n{self.output[-3000:]}"
        return sum(int(changed) for _, changed, _, _ in found)


@dataclass(frozen=True)
class Node:
    """A line of `docker node ls`, with the instance that the node's labels name."""

    node_id: str
    instance: str
    role: str
    ready: bool
    availability: str
    reachability: str
    labels: dict[str, str]


class Site:
    """One cluster on one lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.first_run = Run(1, "")

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment of someone who has evaluated `make -s lab-env`."""
        return os.environ | lifecycle.environment(self.lab) | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}

    def command(self, *words: str, seconds: float = 900, **more: str) -> Run:
        """Run a command in the checkout, with the lab's environment."""
        done = subprocess.run(
            words,
            cwd=ROOT,
            env=self.environment | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Run(done.returncode, done.stdout)

    def playbook(self, *words: str, seconds: float = 900, **more: str) -> Run:
        """Run `ansible-playbook`."""
        return self.command("ansible-playbook", *words, seconds=seconds, **more)

    def aws(self, service: str) -> Any:
        """A boto3 client with the administrator's credentials."""
        return lifecycle.client(self.lab, service)

    def calls(self) -> list[dict[str, Any]]:
        """The API calls since the lab's log of them was last emptied."""
        with urllib.request.urlopen(f"{self.lab.endpoint}/_lab/calls", timeout=10) as answer:
            return json.load(answer)  # type: ignore[no-any-return]

    def forget_calls(self) -> None:
        """Empty the lab's log of calls."""
        request = urllib.request.Request(f"{self.lab.endpoint}/_lab/calls", method="DELETE")
        with urllib.request.urlopen(request, timeout=10):
            pass

    # Instances

    def instances(self, group: str | None = None) -> list[dict[str, Any]]:
        """The emulator's own view of the instances that are not terminated."""
        found = [one for one in status.instances(self.lab) if one["state"] not in ("terminated", "shutting-down")]
        return [one for one in found if group is None or one["group"] == f"{CLUSTER}-{group}"]

    def on(self, instance: str, *words: str) -> Run:
        """Run a command as root on an instance's console, which needs neither network nor SSH."""
        try:
            container = connect().containers.get(self.lab.container(instance))
            code, output = container.exec_run(list(words))
        except APIError as error:
            # It may have ended a moment ago.
            return Run(255, str(error.explanation))
        return Run(code, output.decode(errors="replace"))

    def must(self, instance: str, *words: str) -> str:
        """Run a command on an instance that is to succeed, and return what it printed."""
        run = self.on(instance, *words)
        assert run.code == 0, f"`{' '.join(words[:3])}` on {instance} failed: {run.output}"
        return run.output

    def agent_log(self, instance: str) -> str:
        """All that an instance's agent has said."""
        return self.on(instance, "journalctl", "--unit=swarm-agent", "--no-pager").output

    def ssh(self, instance: str, command: str) -> Run:
        """Run a command on an instance over SSH, as its login user."""
        return self.command("python", "-m", "lab", "ssh", "--name", self.lab.name, instance, command, seconds=60)

    # The swarm

    def managers(self) -> list[str]:
        """Instances whose engine says that it is a manager which can act."""

        def acts(instance: str) -> bool:
            return self.on(instance, "docker", "node", "ls", "-q").code == 0

        # Workers cannot, and one whose engine hangs would not even answer.
        return [one["instance_id"] for one in self.instances("manager") if acts(one["instance_id"])]

    def nodes(self) -> list[Node]:
        """The swarm's nodes, as a manager that answers has them."""
        managers = self.managers()
        assert managers, "no manager answers"
        listed = self.on(managers[0], "sh", "-c", "docker node inspect $(docker node ls -q)")
        assert listed.code == 0, listed.output
        return [_node(one) for one in json.loads(listed.output)]

    def clusters(self) -> set[str]:
        """The IDs of the clusters that the managers are in, of which there is to be one."""
        return {self.cluster_of(one) for one in self.managers()}

    def cluster_of(self, manager: str) -> str:
        """The ID of the cluster that a manager is in."""
        return self.on(manager, "docker", "info", "--format", "{{.Swarm.Cluster.ID}}").output.strip()

    def is_whole(self) -> bool:
        """Whether the swarm has just the nodes that the example asks for, all of them fit and labelled."""
        try:
            nodes = self.nodes()
        except (AssertionError, ValueError):
            return False  # asked in the middle of a change
        running = {one["instance_id"] for one in self.instances() if one["lifecycle_state"] == "InService"}
        fit = [node for node in nodes if node.ready and node.availability == "active" and node.labels]
        managers = [node for node in fit if node.role == "manager" and node.reachability == "reachable"]
        return len(nodes) == len(fit) == 4 and len(managers) == 3 and {node.instance for node in nodes} == running

    def settle(self, seconds: float = 240) -> list[Node]:
        """Wait until the swarm is whole."""
        until("the swarm to be whole", self.is_whole, seconds=seconds, every=2)
        return self.nodes()

    def truth(self) -> dict[str, Any]:
        """What the bucket says of the cluster."""
        body = self.aws("s3").get_object(Bucket=self.bucket, Key="cluster.json")["Body"].read()
        return json.loads(body)  # type: ignore[no-any-return]

    @property
    def bucket(self) -> str:
        """The discovery bucket's name."""
        return f"{CLUSTER}-swarm-123456789012-eu-west-1"

    # What users see

    def addresses(self) -> set[str]:
        """The record's addresses, from the lab's name server."""
        return set(pages.lookup(self.lab, RECORD))

    def public_addresses(self, group: str = "manager") -> set[str]:
        """The public addresses that a group's running instances have."""
        return {one["public_ip"] for one in self.instances(group)}

    def page(self, path: str = "/api") -> pages.Page:
        """The example stack's answer, found through DNS."""
        return pages.fetch(self.lab, f"http://{RECORD}{path}")

    def wait(self, what: str, condition: Callable[[], Any], seconds: float = 120) -> Any:
        """Wait for a condition of the cluster's."""
        return until(what, condition, seconds=seconds, every=1)


def _node(inspected: dict[str, Any]) -> Node:
    spec = inspected["Spec"]
    labels = spec.get("Labels") or {}
    engine = inspected["Description"]["Engine"].get("Labels") or {}
    return Node(
        node_id=inspected["ID"],
        instance=engine.get("swarm.aws.instance", ""),
        role=spec["Role"],
        ready=inspected["Status"]["State"] == "ready",
        availability=spec["Availability"],
        reachability=(inspected.get("ManagerStatus") or {}).get("Reachability", ""),
        labels=labels,
    )
