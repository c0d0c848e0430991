"""What the tests do to a cluster on the lab and ask of it, each from where a person would: CLI, API, SSH, DNS, HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from docker.errors import APIError

from lab import lifecycle, pages, status
from lab.engine import connect, execute
from lab.state import Lab
from lab.waiting import until
from tests.lab.iam import new_user

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = "example"
RECORD = "www.swarm.test"
_RECAP = re.compile(r"^\S+\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


def say(sentence: str) -> None:
    """Figures for whoever runs the tests with -s, or reads the report."""
    print(f"\nfigures: {sentence}")


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

    @property
    def said(self) -> str:
        """All that was printed in one line, without the breaks and doubled quotes of Ansible's."""
        return " ".join(self.output.replace("''", "'").split())

    def line(self, part: str) -> str:
        """The last line with this part in it; empty if there is none."""
        return next((line.strip(" -'\"") for line in reversed(self.output.splitlines()) if part in line), "")


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
        # What the account holds before anything is built.
        self.before = self.inventory()
        self.printed: list[str] = []
        """All that commands have said so far."""
        self.caller = "lab"
        """Whose credentials they have."""

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment of someone who has evaluated `make -s lab-env`."""
        return os.environ | lifecycle.environment(self.lab) | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}

    def become(self, user: str, policies: Mapping[str, Mapping[str, Any]]) -> None:
        """Have all commands from now on run as a new IAM user with these managed policies and no others."""
        key = new_user(self.aws("iam"), user, policies)
        self.caller = user
        self.environment["AWS_ACCESS_KEY_ID"] = key["AccessKeyId"]
        self.environment["AWS_SECRET_ACCESS_KEY"] = key["SecretAccessKey"]
        self.before = self.inventory()

    def command(self, *words: str, seconds: float = 1500, folder: Path = ROOT, **more: str) -> Run:
        """Run a command in the checkout, or in another folder, with the lab's environment."""
        done = subprocess.run(
            words,
            cwd=folder,
            env=self.environment | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        self.printed.append(done.stdout)
        return Run(done.returncode, done.stdout)

    def playbook(self, *words: str, seconds: float = 1500, **more: str) -> Run:
        """Run `ansible-playbook`."""
        return self.command("ansible-playbook", *words, seconds=seconds, **more)

    def killed_playbook(self, *words: str, when: Callable[[], bool], seconds: float = 1500) -> bool:
        """Run `ansible-playbook` and kill it, and all that it has started, as soon as ``when`` holds.

        Returns whether it was killed; if it ended before, it must have succeeded.
        """
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                ["ansible-playbook", *words],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            deadline = time.monotonic() + seconds
            try:
                while process.poll() is None and time.monotonic() < deadline:
                    if when():
                        return True
                    time.sleep(0.1)
            finally:
                if process.poll() is None:
                    for pid in [process.pid, *_descendants(process.pid)]:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                process.wait()
            output.seek(0)
            assert process.returncode == 0, output.read()[-4000:]
            return False

    def _told(self, name: str) -> Any:
        """What the lab itself tells under a name."""
        with urllib.request.urlopen(f"{self.lab.endpoint}/_lab/{name}", timeout=30) as answer:
            return json.load(answer)

    def inventory(self) -> list[str]:
        """A line for everything that any of the lab's services holds."""
        return self._told("inventory")  # type: ignore[no-any-return]

    def aws(self, service: str) -> Any:
        """A boto3 client with the administrator's credentials."""
        return lifecycle.client(self.lab, service)

    def calls(self) -> list[dict[str, Any]]:
        """The API calls since the lab's log of them was last emptied."""
        return self._told("calls")  # type: ignore[no-any-return]

    def written(self) -> list[dict[str, Any]]:
        """The operator's own calls that changed something since the log of calls was emptied."""
        reading = ("Describe", "Filter", "Get", "List", "Head", "Lookup")
        return [
            call for call in self.calls() if call["caller"] == self.caller and not call["action"].startswith(reading)
        ]

    def writes(self) -> list[str]:
        """What those calls were, each once."""
        return sorted({call["action"] for call in self.written()})

    def judgements(self) -> dict[str, Any]:
        """What IAM allowed and refused everybody since the lab is up."""
        return self._told("judgements")  # type: ignore[no-any-return]

    def credentials(self) -> list[str]:
        """The secret keys and session tokens that instances were given since the lab is up."""
        return self._told("credentials")  # type: ignore[no-any-return]

    def forget_calls(self) -> None:
        """Empty the lab's log of calls."""
        request = urllib.request.Request(f"{self.lab.endpoint}/_lab/calls", method="DELETE")
        with urllib.request.urlopen(request, timeout=10):
            pass

    def control(self, verb: str, instance: str, **more: object) -> None:
        """Have the lab do something to an instance, as its command line does."""
        query = urllib.parse.urlencode({"instance": instance, **more})
        request = urllib.request.Request(f"{self.lab.endpoint}/_lab/{verb}?{query}", method="POST")
        with urllib.request.urlopen(request, timeout=10):
            pass

    # Instances

    def instances(self, group: str | None = None) -> list[dict[str, Any]]:
        """The emulator's own view of the instances that are not terminated."""
        found = [
            instance
            for instance in status.instances(self.lab)
            if instance["state"] not in ("terminated", "shutting-down")
        ]
        return [instance for instance in found if group is None or instance["group"] == f"{CLUSTER}-{group}"]

    def ids(self, group: str | None = None) -> set[str]:
        """The IDs of a group's instances, or of all, that are not terminated."""
        return {instance["instance_id"] for instance in self.instances(group)}

    def on(self, instance: str, *words: str) -> Run:
        """Run a command as root on an instance's console, which needs neither network nor SSH."""
        try:
            container = connect().containers.get(self.lab.container(instance))
            return Run(*execute(container, *words))
        except APIError as error:
            # It may have ended a moment ago.
            return Run(255, str(error.explanation))

    def must(self, instance: str, *words: str) -> str:
        """Run a command on an instance that is to succeed, and return what it printed."""
        run = self.on(instance, *words)
        assert run.code == 0, f"`{' '.join(words[:3])}` on {instance} failed: {run.output}"
        return run.output

    def agent_log(self, instance: str) -> str:
        """All that an instance's agent has said."""
        return self.on(instance, "journalctl", "--unit=swarm-agent", "--no-pager").output

    def agent_status(self, instance: str) -> str:
        """What an instance's agent tells systemd."""
        return self.must(instance, "systemctl", "show", "--property=StatusText", "swarm-agent")

    def actions(self, instance: str) -> list[dict[str, Any]]:
        """What an instance's agent has logged of its actions: `time`, `action`, `before`, `after` and more."""
        words = ["journalctl", "--unit=swarm-agent", "--output=cat", "--no-pager", '--grep="event": "action"']
        return [json.loads(line) for line in self.on(instance, *words).output.splitlines() if line.startswith("{")]

    def kill_host(self, instance: str) -> None:
        """End an instance's host as failing hardware would: no shutdown, no call to AWS."""
        connect().containers.get(self.lab.container(instance)).kill()

    def ssh(self, instance: str, command: str) -> Run:
        """Run a command on an instance over SSH, as its login user."""
        return self.command("python", "-m", "lab", "ssh", "--name", self.lab.name, instance, command, seconds=60)

    # The swarm

    def managers(self) -> list[str]:
        """Instances whose engine says that it is a manager which can act."""

        def acts(instance: str) -> bool:
            return self.on(instance, "docker", "node", "ls", "-q").code == 0

        # Workers cannot, and one whose engine hangs would not even answer.
        return [instance["instance_id"] for instance in self.instances("manager") if acts(instance["instance_id"])]

    def nodes(self) -> list[Node]:
        """The swarm's nodes, as a manager that answers has them."""
        managers = self.managers()
        assert managers, "no manager answers"
        listed = self.on(managers[0], "sh", "-c", "docker node inspect $(docker node ls -q)")
        assert listed.code == 0, listed.output
        return [_node(load) for load in json.loads(listed.output)]

    def listed(self) -> list[Node]:
        """The nodes, in the middle of a change: it may take a few questions."""

        def found() -> list[Node]:
            with contextlib.suppress(AssertionError, ValueError):
                return self.nodes()
            return []

        nodes: list[Node] = self.wait("a manager to list the nodes", found)
        return nodes

    def members(self) -> set[str]:
        """The instances whose nodes are in the swarm."""
        return {node.instance for node in self.listed()}

    def down(self) -> set[str]:
        """The instances whose nodes are not ready."""
        return {node.instance for node in self.listed() if not node.ready}

    def one(self, kind: str) -> str:
        """An instance that is a `worker`, the `leader`, or a `follower`: a manager that does not lead."""
        manager = self.managers()[0]
        listed = self.on(manager, "docker", "node", "ls", "--format", "{{.ID}} {{.ManagerStatus}}").output
        status = {line.split()[0]: line.split()[1:] for line in listed.splitlines()}
        wanted = {"worker": [], "leader": ["Leader"], "follower": ["Reachable"]}[kind]
        return next(node.instance for node in self.nodes() if status.get(node.node_id) == wanted)

    @contextlib.contextmanager
    def agents_stopped(self) -> Iterator[None]:
        """Have the managers' agents stand still."""
        managers = self.managers()
        for instance in managers:
            self.on(instance, "systemctl", "stop", "swarm-agent")
        try:
            yield
        finally:
            for instance in managers:
                self.on(instance, "systemctl", "start", "--no-block", "swarm-agent")

    def clusters(self) -> set[str]:
        """The IDs of the clusters that the managers are in, of which there is to be one."""
        return {self.cluster_of(manager) for manager in self.managers()}

    def cluster_of(self, manager: str) -> str:
        """The ID of the cluster that a manager is in."""
        return self.on(manager, "docker", "info", "--format", "{{.Swarm.Cluster.ID}}").output.strip()

    def is_whole(self, workers: int = 1) -> bool:
        """Whether the swarm has just the nodes that the groups ask for, all of them fit and labelled."""
        try:
            nodes = self.nodes()
        except (AssertionError, ValueError):
            return False  # asked in the middle of a change
        running = {
            instance["instance_id"] for instance in self.instances() if instance["lifecycle_state"] == "InService"
        }
        fit = [node for node in nodes if node.ready and node.availability == "active" and node.labels]
        managers = [node for node in fit if node.role == "manager" and node.reachability == "reachable"]
        expected = {node.instance for node in nodes} == running and len(nodes) == 3 + workers
        return expected and len(fit) == len(nodes) and len(managers) == 3

    def settle(self, seconds: float = 600, *, workers: int = 1) -> list[Node]:
        """Wait until the swarm is whole."""
        until("the swarm to be whole", lambda: self.is_whole(workers), seconds=seconds, every=2)
        return self.nodes()

    @contextlib.contextmanager
    def brisk(self, **durations: float) -> Iterator[None]:
        """Have other durations in the agents' policy, in seconds."""
        s3, where = self.aws("s3"), {"Bucket": self.bucket, "Key": "policy.json"}
        usual = s3.get_object(**where)["Body"].read()
        s3.put_object(**where, Body=json.dumps({**json.loads(usual), **durations}).encode())
        try:
            yield
        finally:
            s3.put_object(**where, Body=usual)

    def cluster_record(self) -> dict[str, Any]:
        """What the bucket says of the cluster."""
        body = self.aws("s3").get_object(Bucket=self.bucket, Key="cluster.json")["Body"].read()
        return json.loads(body)  # type: ignore[no-any-return]

    @property
    def bucket(self) -> str:
        """The discovery bucket's name."""
        return f"{CLUSTER}-swarm-123456789012-eu-west-1"

    def backups(self) -> list[str]:
        """The names of the backups, the newest first."""
        found = self.aws("s3").list_objects_v2(Bucket=self.bucket, Prefix="backups/").get("Contents", [])
        keys = [entry["Key"] for entry in found if entry["Key"].endswith(".json")]
        return sorted((key.removeprefix("backups/").removesuffix(".json") for key in keys), reverse=True)

    def kept(self) -> dict[str, set[str]]:
        """The IDs of what Raft keeps besides nodes and tasks, by kind."""
        manager = self.managers()[0]
        return {
            kind: set(self.must(manager, "docker", kind, "ls", "-q").split())
            for kind in ("service", "secret", "config")
        }

    def kept_logs(self, *streams: str) -> dict[str, str]:
        """What CloudWatch has of the nodes' journals, those of nodes that are gone too, by ``INSTANCE/SOURCE``."""
        found: dict[str, list[str]] = {}
        wanted = {"logGroupName": f"/swarm/{CLUSTER}", **({"logStreamNames": streams} if streams else {})}
        for page in self.aws("logs").get_paginator("filter_log_events").paginate(**wanted):
            for event in page["events"]:
                found.setdefault(event["logStreamName"], []).append(event["message"])
        return {stream: "\n".join(lines) for stream, lines in found.items()}

    def history(self, service: str) -> str:
        """A service's tasks, those that have ended among them, as `docker service ps` shows them."""
        shown = ["--no-trunc", "--format", "{{.ID}} {{.Name}} {{.Node}} {{.DesiredState}} {{.CurrentState}} {{.Error}}"]
        return self.on(self.managers()[0], "docker", "service", "ps", *shown, service).output

    def replicas(self, service: str) -> str:
        """How many tasks of a service run and how many it declares, as in ``6/6``; empty if there is none."""
        shown = ["--filter", f"name={service}", "--format", "{{.Replicas}}"]
        return self.on(self.managers()[0], "docker", "service", "ls", *shown).output.strip()

    # What users see

    def addresses(self, kind: str = "A") -> set[str]:
        """The addresses of the A or of the AAAA record, from the lab's name server."""
        return set(pages.lookup(self.lab, RECORD, kind))

    def ipv6_addresses(self, group: str = "manager") -> set[str]:
        """The IPv6 addresses that a group's running instances have."""
        return {instance["ipv6"] for instance in self.instances(group)}

    def public_addresses(self, group: str = "manager") -> set[str]:
        """The public addresses that a group's running instances have."""
        return {instance["public_ip"] for instance in self.instances(group)}

    def settle_record(self) -> None:
        """Wait until the record names the managers that run, and nobody else."""
        self.wait("the record to name the managers", lambda: self.addresses() == self.public_addresses())

    def page(self, path: str = "/api") -> pages.Page:
        """The example stack's answer, found through DNS."""
        return pages.fetch(self.lab, f"http://{RECORD}{path}")

    def page_at(self, address: str, path: str = "/api") -> pages.Page:
        """The example stack's answer at one of the record's addresses."""
        return pages.ask(address, f"http://{RECORD}{path}")

    def wait(self, what: str, condition: Callable[[], Any], seconds: float = 300) -> Any:
        """Wait for a condition of the cluster's. The deadline is for machines that are busy."""
        return until(what, condition, seconds=seconds, every=1)


def _descendants(pid: int) -> list[int]:
    """A process's children and theirs, wherever they have put themselves."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found, todo = [], [pid]
    while todo:
        todo += children.get(todo[0], [])
        found.append(todo.pop(0))
    return found[1:]


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
