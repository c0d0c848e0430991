"""The tests' access to a cluster on the lab, by the ways of an operator: CLI, API, SSH, DNS, HTTP."""

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
    """Print figures, for `pytest -s` and the report."""
    print(f"\nfigures: {sentence}")


# What lab/aws/account.py refuses although the request is right.
_MOMENTARY = (
    "AWS.SimpleQueueService.NonExistentQueue",
    "AWS.SimpleQueueService.QueueDeletedRecently",
    "ConcurrentModificationException",
    "InvalidGroup.NotFound",
    "NoSuchEntity",
    "NotFoundException",
    "ResourceContention",
    "ScalingActivityInProgress",
)


def _in_a_moment(response: Any, attempts: int, **_: object) -> float | None:
    momentary = response is not None and response[1].get("Error", {}).get("Code") in _MOMENTARY
    return 2.0 if momentary and attempts < 6 else None


@dataclass(frozen=True)
class Run:
    """A finished command: its exit code and output."""

    code: int
    output: str

    @property
    def changed(self) -> int:
        """The recap's number of changed tasks, over all hosts; 0 without a recap, if the first checks have failed."""
        found = _RECAP.findall(self.output)
        assert found or self.code, f"there is no recap in:\n{self.output[-3000:]}"
        return sum(int(changed) for _, changed, _, _ in found)

    @property
    def said(self) -> str:
        """The output in a single line, without Ansible's line breaks and doubled quotes."""
        return " ".join(self.output.replace("''", "'").split())

    def line(self, part: str) -> str:
        """The last line that contains ``part``; empty if there is none."""
        return next((line.strip(" -'\"") for line in reversed(self.output.splitlines()) if part in line), "")


@dataclass(frozen=True)
class Node:
    """A node of the swarm, with the instance that its labels name."""

    node_id: str
    instance: str
    role: str
    ready: bool
    availability: str
    reachability: str
    labels: dict[str, str]


class Site:
    """A cluster on a lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        # The account before the cluster is built.
        self.before = self.inventory()
        self.printed: list[str] = []
        """The outputs of all commands so far."""
        self.caller = "lab"
        """The user whose credentials the commands have."""

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment after `eval $(make -s lab-env)`."""
        return os.environ | lifecycle.environment(self.lab) | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}

    def become(self, user: str, policies: Mapping[str, Mapping[str, Any]]) -> None:
        """Run all later commands as a new IAM user with only these managed policies."""
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

    def playbook(self, *words: str, seconds: float = 1500, folder: Path = ROOT, **more: str) -> Run:
        """Run `ansible-playbook`."""
        return self.command("ansible-playbook", *words, seconds=seconds, folder=folder, **more)

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

    def _ask_lab(self, name: str) -> Any:
        """The lab's own answer under a name."""
        with urllib.request.urlopen(f"{self.lab.endpoint}/_lab/{name}", timeout=30) as answer:
            return json.load(answer)

    def inventory(self) -> list[str]:
        """A line for every resource in any of the lab's services."""
        return self._ask_lab("inventory")  # type: ignore[no-any-return]

    def aws(self, service: str) -> Any:
        """A boto3 client of the administrator, which tries again what the account refuses for a moment."""
        client = lifecycle.client(self.lab, service)
        client.meta.events.register_first("needs-retry", _in_a_moment)
        return client

    def calls(self) -> list[dict[str, Any]]:
        """The API calls since `forget_calls`."""
        return self._ask_lab("calls")  # type: ignore[no-any-return]

    def written(self) -> list[dict[str, Any]]:
        """The operator's calls that changed something since `forget_calls`."""
        reading = ("Describe", "Filter", "Get", "List", "Head", "Lookup")
        return [
            call for call in self.calls() if call["caller"] == self.caller and not call["action"].startswith(reading)
        ]

    def writes(self) -> list[str]:
        """The actions of these calls, each once."""
        return sorted({call["action"] for call in self.written()})

    def judgements(self) -> dict[str, Any]:
        """What IAM allowed and refused since the lab is up."""
        return self._ask_lab("judgements")  # type: ignore[no-any-return]

    def credentials(self) -> list[str]:
        """The secret keys and session tokens of all instances since the lab is up."""
        return self._ask_lab("credentials")  # type: ignore[no-any-return]

    def forget_calls(self) -> None:
        """Empty the lab's log of calls."""
        request = urllib.request.Request(f"{self.lab.endpoint}/_lab/calls", method="DELETE")
        with urllib.request.urlopen(request, timeout=10):
            pass

    def control(self, verb: str, instance: str, **more: object) -> None:
        """Make the lab do something to an instance, like its command line."""
        query = urllib.parse.urlencode({"instance": instance, **more})
        request = urllib.request.Request(f"{self.lab.endpoint}/_lab/{verb}?{query}", method="POST")
        with urllib.request.urlopen(request, timeout=10):
            pass

    # Instances

    def instances(self, group: str | None = None) -> list[dict[str, Any]]:
        """The emulator's view of the instances that are not terminated."""
        found = [
            instance
            for instance in status.instances(self.lab)
            if instance["state"] not in ("terminated", "shutting-down")
        ]
        return [instance for instance in found if group is None or instance["group"] == f"{CLUSTER}-{group}"]

    def ids(self, group: str | None = None) -> set[str]:
        """The IDs of the instances of a group, or of all groups, that are not terminated."""
        return {instance["instance_id"] for instance in self.instances(group)}

    def on(self, instance: str, *words: str) -> Run:
        """Run a command as root on an instance's console, which needs neither network nor SSH."""
        try:
            container = connect().containers.get(self.lab.container(instance))
            return Run(*execute(container, *words))
        except APIError as error:
            # The instance may have been terminated a moment ago.
            return Run(255, str(error.explanation))

    def must(self, instance: str, *words: str) -> str:
        """Run a command on an instance, which must succeed, and return its output."""
        run = self.on(instance, *words)
        assert run.code == 0, f"`{' '.join(words[:3])}` on {instance} failed: {run.output}"
        return run.output

    def agent_log(self, instance: str) -> str:
        """The log of an instance's agent."""
        return self.on(instance, "journalctl", "--unit=swarm-agent", "--no-pager").output

    def agent_status(self, instance: str) -> str:
        """The status text of an instance's agent in systemd."""
        return self.must(instance, "systemctl", "show", "--property=StatusText", "swarm-agent")

    def actions(self, instance: str) -> list[dict[str, Any]]:
        """The logged actions of an instance's agent: `time`, `action`, `before`, `after` and more."""
        words = ["journalctl", "--unit=swarm-agent", "--output=cat", "--no-pager", '--grep="event": "action"']
        return [json.loads(line) for line in self.on(instance, *words).output.splitlines() if line.startswith("{")]

    def kill_host(self, instance: str) -> None:
        """Fail an instance's host: no shutdown, no call to AWS."""
        connect().containers.get(self.lab.container(instance)).kill()

    def ssh(self, instance: str, command: str) -> Run:
        """Run a command on an instance over SSH, as its login user."""
        return self.command("python", "-m", "lab", "ssh", "--name", self.lab.name, instance, command, seconds=60)

    # The swarm

    def managers(self) -> list[str]:
        """The instances of managers that answer and have a leader."""

        def acts(instance: str) -> bool:
            return self.on(instance, "docker", "node", "ls", "-q").code == 0

        # Only the managers are asked: a worker cannot answer, and a hanging engine would block.
        return [instance["instance_id"] for instance in self.instances("manager") if acts(instance["instance_id"])]

    def nodes(self) -> list[Node]:
        """The swarm's nodes, by a manager that answers."""
        managers = self.managers()
        assert managers, "no manager answers"
        listed = self.on(managers[0], "sh", "-c", "docker node inspect $(docker node ls -q)")
        assert listed.code == 0, listed.output
        return [_node(load) for load in json.loads(listed.output)]

    def listed(self) -> list[Node]:
        """The swarm's nodes during a change, when a manager may not answer at once."""

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

    def pick(self, kind: str) -> str:
        """A `worker`, the `leader`, or a `follower`, which is a manager that does not lead. Returns the instance."""
        manager = self.managers()[0]
        listed = self.on(manager, "docker", "node", "ls", "--format", "{{.ID}} {{.ManagerStatus}}").output
        status = {line.split()[0]: line.split()[1:] for line in listed.splitlines()}
        wanted = {"worker": [], "leader": ["Leader"], "follower": ["Reachable"]}[kind]
        return next(node.instance for node in self.nodes() if status.get(node.node_id) == wanted)

    @contextlib.contextmanager
    def agents_stopped(self) -> Iterator[None]:
        """Stop the managers' agents."""
        managers = self.managers()
        for instance in managers:
            self.on(instance, "systemctl", "stop", "swarm-agent")
        try:
            yield
        finally:
            for instance in managers:
                self.on(instance, "systemctl", "start", "--no-block", "swarm-agent")

    def clusters(self) -> set[str]:
        """The IDs of the managers' clusters; there should be a single ID."""
        return {self.cluster_of(manager) for manager in self.managers()}

    def cluster_of(self, manager: str) -> str:
        """The ID of the cluster that a manager is in."""
        return self.on(manager, "docker", "info", "--format", "{{.Swarm.Cluster.ID}}").output.strip()

    def is_converged(self, workers: int = 1) -> bool:
        """Whether the swarm has exactly the instances in service as nodes, all of them ready and labelled."""
        try:
            nodes = self.nodes()
        except (AssertionError, ValueError):
            return False  # in the middle of a change
        running = {
            instance["instance_id"] for instance in self.instances() if instance["lifecycle_state"] == "InService"
        }
        fit = [node for node in nodes if node.ready and node.availability == "active" and node.labels]
        managers = [node for node in fit if node.role == "manager" and node.reachability == "reachable"]
        expected = {node.instance for node in nodes} == running and len(nodes) == 3 + workers
        return expected and len(fit) == len(nodes) and len(managers) == 3

    def settle(self, seconds: float = 600, *, workers: int = 1) -> list[Node]:
        """Wait until the swarm has converged, and return its nodes."""
        until("the swarm to converge", lambda: self.is_converged(workers), seconds=seconds, every=2)
        return self.nodes()

    @contextlib.contextmanager
    def durations(self, **seconds: float) -> Iterator[None]:
        """Change durations in the agents' policy."""
        s3, where = self.aws("s3"), {"Bucket": self.bucket, "Key": "policy.json"}
        usual = s3.get_object(**where)["Body"].read()
        s3.put_object(**where, Body=json.dumps({**json.loads(usual), **seconds}).encode())
        try:
            yield
        finally:
            s3.put_object(**where, Body=usual)

    def cluster_record(self) -> dict[str, Any]:
        """The cluster record."""
        body = self.aws("s3").get_object(Bucket=self.bucket, Key="cluster.json")["Body"].read()
        return json.loads(body)  # type: ignore[no-any-return]

    @property
    def bucket(self) -> str:
        """The discovery bucket's name."""
        return f"{CLUSTER}-swarm-123456789012-eu-west-1"

    def backups(self) -> list[str]:
        """The names of the backups, newest first."""
        found = self.aws("s3").list_objects_v2(Bucket=self.bucket, Prefix="backups/").get("Contents", [])
        keys = [entry["Key"] for entry in found if entry["Key"].endswith(".json")]
        return sorted((key.removeprefix("backups/").removesuffix(".json") for key in keys), reverse=True)

    def kept(self) -> dict[str, set[str]]:
        """The IDs of the swarm's services, secrets and configs, by kind."""
        manager = self.managers()[0]
        return {
            kind: set(self.must(manager, "docker", kind, "ls", "-q").split())
            for kind in ("service", "secret", "config")
        }

    def kept_logs(self, *streams: str) -> dict[str, str]:
        """The nodes' journals in CloudWatch, also of removed nodes, by ``INSTANCE/SOURCE``."""
        found: dict[str, list[str]] = {}
        wanted = {"logGroupName": f"/swarm/{CLUSTER}", **({"logStreamNames": streams} if streams else {})}
        for page in self.aws("logs").get_paginator("filter_log_events").paginate(**wanted):
            for event in page["events"]:
                found.setdefault(event["logStreamName"], []).append(event["message"])
        return {stream: "\n".join(lines) for stream, lines in found.items()}

    def history(self, service: str) -> str:
        """The output of `docker service ps`, also with ended tasks."""
        shown = ["--no-trunc", "--format", "{{.ID}} {{.Name}} {{.Node}} {{.DesiredState}} {{.CurrentState}} {{.Error}}"]
        return self.on(self.managers()[0], "docker", "service", "ps", *shown, service).output

    def replicas(self, service: str) -> str:
        """A service's running and declared tasks, as in ``6/6``; empty without the service."""
        shown = ["--filter", f"name={service}", "--format", "{{.Replicas}}"]
        return self.on(self.managers()[0], "docker", "service", "ls", *shown).output.strip()

    # The users' view

    def addresses(self, kind: str = "A") -> set[str]:
        """The addresses of the A or AAAA record, from the lab's name server."""
        return set(pages.lookup(self.lab, RECORD, kind))

    def ipv6_addresses(self, group: str = "manager") -> set[str]:
        """The IPv6 addresses of a group's running instances."""
        return {instance["ipv6"] for instance in self.instances(group)}

    def public_addresses(self, group: str = "manager") -> set[str]:
        """The public addresses of a group's running instances."""
        return {instance["public_ip"] for instance in self.instances(group)}

    def settle_record(self) -> None:
        """Wait until the record has exactly the addresses of the running managers."""
        self.wait("the record to name the managers", lambda: self.addresses() == self.public_addresses())

    def page(self, path: str = "/api") -> pages.Page:
        """The example stack's answer, found through DNS."""
        return pages.fetch(self.lab, f"http://{RECORD}{path}")

    def page_at(self, address: str, path: str = "/api") -> pages.Page:
        """The example stack's answer at an address of the record."""
        return pages.ask(address, f"http://{RECORD}{path}")

    def wait(self, what: str, condition: Callable[[], Any], seconds: float = 300) -> Any:
        """Wait for a condition. The time-out is long enough for busy machines."""
        return until(what, condition, seconds=seconds, every=1)


def _descendants(pid: int) -> list[int]:
    """A process's descendants, in any process group."""
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
