"""Measures the agent at scale: a pass of the leader, and what an idle agent costs, each beside the SDKs alone.

    python -m bench.agent

An engine's API and AWS answer over HTTP from another process, so the figures are the agent's own. The time is CPU time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT)]
CLUSTER, REGION, BUCKET = "demo", "eu-west-1", "demo-bucket"
# The fleets, and the passes over each.
FLEETS, SERVICES, TASKS_PER_NODE = {1000: 4, 5000: 1}, 300, 10
# An ordinary cluster, for the idle agents.
ORDINARY = 23
HOUR = 3600.0
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_EC2_METADATA_DISABLED": "true"}


def main() -> None:
    """Measure all, and print a table."""
    print(f"{'':44} {'calls':>6} {'CPU':>8} {'RSS':>8} {'peak':>8}")
    for nodes, passes in FLEETS.items():
        with serving(nodes) as url:
            for what, name in (("sdks", "the SDKs alone"), ("leader", "a pass")):
                show(f"{name}, {nodes} nodes", measured(what, url, str(passes)))
    with serving(ORDINARY) as url:
        for what in ("interpreter", "worker", "manager"):
            show(f"idle for an hour: {what}", measured(what, url))


def show(what: str, found: dict[str, float]) -> None:
    """Print a line of the table."""
    share = f" ({found['cpu'] / HOUR:.2%} of a core)" if what.startswith("idle") else ""
    print(
        f"{what:44} {found['calls']:6.0f} {found['cpu']:6.2f} s {found['rss']:5.0f} MB {found['peak']:5.0f} MB{share}"
    )


@contextmanager
def serving(nodes: int) -> Iterator[str]:
    """A process that serves a fleet, and its address."""
    words = [sys.executable, "-m", "bench.agent", "serve", str(nodes)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.communicate()


def measured(what: str, url: str, *more: str) -> dict[str, float]:
    """The figures of a fresh process, in seconds and MB."""
    words = [sys.executable, "-m", "bench.agent", what, url, *more]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": url, "TMPDIR": folder}
        found = subprocess.run(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    figures: dict[str, float] = json.loads(found.stdout)
    return figures


# In the measured process


def figures(url: str, work: Callable[[], object], times: int = 1) -> dict[str, float]:
    """The calls and CPU seconds of a repetition of the work, and this process's memory after them."""
    urlopen(f"{url}/calls").close()
    began = time.process_time()
    for _dummy in range(times):
        work()
    cpu = (time.process_time() - began) / times
    with urlopen(f"{url}/calls") as answer:
        calls = sum(json.load(answer).values()) / times
    return {"calls": calls, "cpu": cpu, "rss": memory("VmRSS"), "peak": memory("VmHWM")}


def memory(field: str) -> float:
    """A field of this process's status, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def serve(nodes: str) -> None:
    """Serve a fleet until the standard input ends."""
    from bench.fleet import Fleet, Server

    print(f"http://127.0.0.1:{Server(Fleet(int(nodes), SERVICES, int(nodes) * TASKS_PER_NODE)).port}", flush=True)
    sys.stdin.read()


def interpreter(url: str) -> dict[str, float]:
    """Python and the SDKs, without a client."""
    import botocore.session
    import docker

    return figures(url, lambda: (botocore, docker))


def sdks(url: str, times: str) -> dict[str, float]:
    """The requests of a pass that grow with the fleet, each once."""
    import boto3
    import docker

    engine = docker.APIClient(base_url=f"{url}/engine".replace("http", "tcp"), version="auto")
    ec2, autoscaling = (boto3.client(service, REGION) for service in ("ec2", "autoscaling"))

    def ask() -> None:
        for listed in (engine.nodes, engine.services, engine.tasks):
            listed()
        for client, operation in ((ec2, "describe_instances"), (autoscaling, "describe_auto_scaling_groups")):
            list(client.get_paginator(operation).paginate())

    return figures(url, ask, int(times))


def leader(url: str, times: str) -> dict[str, float]:
    """A pass, with nothing remembered from the pass before."""
    here(url)
    from ansible_collections.swarm.aws.plugins.module_utils.adapters import control_plane

    control_plane.LAST_POLICY = Path(tempfile.gettempdir()) / "bench-agent" / "policy.json"
    plane = control_plane.ControlPlane(CLUSTER, REGION, BUCKET)
    policy = plane.policy()

    def reconcile() -> None:
        plane.observer.forget()
        result = plane.reconcile(policy)
        assert not (result.failures or result.decision.actions or result.decision.refused), result

    return figures(url, reconcile, int(times))


def worker(url: str) -> dict[str, float]:
    """An hour of a worker's agent."""
    return idle(url, "worker")


def manager(url: str) -> dict[str, float]:
    """An hour of the leader's agent, the busiest."""
    return idle(url, "manager")


def idle(url: str, role: str) -> dict[str, float]:
    """An agent that joins and is then idle for an hour, as its command runs it, except that waiting takes no time."""
    here(url)
    urlopen(f"{url}/engine/swarm/leave", b"").close()
    from ansible_collections.swarm.aws.plugins.module_utils.adapters import event_queue, node_config
    from ansible_collections.swarm.aws.plugins.module_utils.aws.clock import SystemClock
    from ansible_collections.swarm.aws.runtime.swarm_agent import cli
    from ansible_collections.swarm.aws.runtime.swarm_agent.log import Log
    from ansible_collections.swarm.aws.runtime.swarm_agent.notify import Notifier

    config = node_config.Config(CLUSTER, REGION, "123456789012", BUCKET, role, role)
    waited = 0.0

    def wait(clock: object, seconds: float, reason: str = "") -> list[Any]:
        nonlocal waited
        waited += seconds
        if waited > HOUR:
            raise Over
        return []

    event_queue.Queue.receive = wait  # type: ignore[assignment]
    SystemClock.wait = wait  # type: ignore[assignment]
    SystemClock.now = lambda self: time.monotonic() + waited  # type: ignore[method-assign]

    def work() -> None:
        with suppress(Over):
            cli.work(config, Notifier(), Log(sys.stderr))

    return figures(url, work)


class Over(BaseException):
    """The hour is over."""


def here(url: str) -> None:
    """Make this process the first node of the fleet."""
    from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import LISTENS
    from ansible_collections.swarm.aws.plugins.module_utils.adapters import metadata, node_engine, swarm

    from bench.fleet import address, instance_id

    engine, folder = f"{url}/engine".replace("http", "tcp"), Path(tempfile.gettempdir()) / "bench-agent"
    identity = metadata.Identity(instance_id(0), "a", address(0))
    node_engine.probe = lambda address: LISTENS
    metadata.Metadata.identity = lambda self: identity  # type: ignore[method-assign]
    metadata.Metadata.read = lambda self, path: None  # type: ignore[method-assign]
    swarm.DockerSwarm.__init__.__defaults__ = (engine,)  # type: ignore[misc]
    others = node_engine.DockerEngine.__init__.__defaults__[2:]  # type: ignore[index]
    node_engine.DockerEngine.__init__.__defaults__ = (engine, folder / "joining", *others)  # type: ignore[misc]
    folder.mkdir(exist_ok=True)


if __name__ == "__main__":
    command, *arguments = sys.argv[1:] or ["main"]
    found = globals()[command](*arguments)
    if found:
        print(json.dumps(found))
