"""Removals under load, beside a bare drain and termination of the same kind of node."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from bench.comparison import Comparison
from bench.lab import done, seconds, with_task
from lab.waiting import until
from tests.lab.configured import node_groups
from tests.lab.load import Load
from tests.lab.site import RECORD, Site

RUNS = 2
KINDS = ("worker", "follower", "leader")
# Workers, and how many of them are removed at once.
WORKERS, SEVERAL = 6, 5
# The example's service that runs on the workers here.
PAGES = "example_web"
# Of the record, in seconds. A node of a group without a record waits for no resolver.
TTL = 10.0


def measure(site: Site) -> Iterator[Comparison]:
    """Each kind of node, and several workers at once."""
    more = node_groups(worker={"desired": WORKERS, "max": 2 * WORKERS})
    done(site.playbook("site.yml", "--tags", "node_groups", *more))
    done(site.playbook("playbooks/scale.yml", "-e", "group=worker", "-e", f"desired={WORKERS}", *more))
    for kind in KINDS:
        ours, waits, bare = list[float](), list[float](), list[float]()
        failed = bare_failed = 0
        for _ in range(RUNS):
            steps, failures = remove(site, kind)
            ours.append(steps["all"])
            waits.append((TTL if "withdrawn" in steps else 0.0) + steps["drained"])
            failed += failures
        for _ in range(RUNS):
            took, failures = drain_and_terminate(site, kind)
            bare.append(took)
            bare_failed += failures
        if kind == "worker":
            by_hand = [drain_and_terminate(site, kind, replace_first=True)[0] for _ in range(RUNS)]
            yield Comparison(f"removing a {kind}", ours, "by hand: pause, one more task, drain, terminate", by_hand)
        lost = f"{failed} and {bare_failed} failed requests"
        yield Comparison(f"removing a {kind}", ours, "what it waits for: the TTL and the tasks' stops", waits)
        yield Comparison(f"removing a {kind}", ours, "`docker node update --availability drain`, terminate", bare, lost)
    at_once, failures = remove_several(site, SEVERAL, "-e", "parallel=0")
    in_turn, more_failures = remove_several(site, 2)
    lost = f"{failures} and {more_failures} failed requests"
    what = f"removing {SEVERAL} workers with `parallel=0`"
    yield Comparison(what, [at_once], "removing two, one after the other", [in_turn], lost)
    done(site.playbook("playbooks/scale.yml", "-e", "group=worker", "-e", "desired=1", *more))
    done(site.playbook("site.yml", "--tags", "node_groups"))


def remove_several(site: Site, count: int, *words: str) -> tuple[float, int]:
    """Remove workers with the playbook: the seconds, and the number of failed requests."""
    spread(site)
    ids = sorted(site.ids() - set(site.managers()))[:count]
    with Load(site.lab, RECORD) as load:
        took = seconds(lambda: done(site.playbook("remove_node.yml", "-e", f"id={','.join(ids)}", *words)))
    return took, len(load.result.failures)


def remove(site: Site, kind: str) -> tuple[dict[str, float], int]:
    """Remove a node as remove_node.yml does: the seconds of each step, and the number of failed requests."""
    spread(site)
    instance = with_task(site, PAGES) if kind == "worker" else site.pick(kind)
    manager = next(other for other in site.managers() if other != instance)
    # A single watch without a gap, not a watch for each stage as in the playbook.
    words = ["ansible", manager, "--become", "-m", "swarm.aws.node_drain", "-a", f"instance={instance}"]
    with Load(site.lab, RECORD) as load:
        run = site.command(*words, ANSIBLE_CALLBACK_RESULT_FORMAT="json")
    if run.code:
        raise SystemExit(run.output[-3000:])
    steps: dict[str, float] = json.loads(run.output[run.output.index("{") :])["seconds"]
    return steps, len(load.result.failures)


def drain_and_terminate(site: Site, kind: str, *, replace_first: bool = False) -> tuple[float, int]:
    """The seconds until no task is left on a node that Docker alone drains, and the number of failed requests.

    The instance is terminated then. No agent acts meanwhile. Requests count until the record is correct again. With
    ``replace_first`` an additional task of the pages' service is healthy elsewhere before.
    """
    spread(site)
    site.settle_record()
    instance = with_task(site, PAGES) if kind == "worker" else site.pick(kind)
    manager = next(other for other in site.managers() if other != instance)
    node = next(node.node_id for node in site.nodes() if node.instance == instance)

    def docker(*words: str) -> str:
        return site.must(manager, "docker", *words)

    def empty() -> bool:
        return "Running" not in docker("node", "ps", node, "--format", "{{.CurrentState}}")

    def replaced() -> bool:
        return docker("service", "ls", "--filter", f"name={PAGES}", "--format", "{{.Replicas}}").split()[0] == more

    declared = int(docker("service", "inspect", PAGES, "--format", "{{.Spec.Mode.Replicated.Replicas}}"))
    more = f"{declared + 1}/{declared + 1}"
    with Load(site.lab, RECORD) as load:
        with site.agents_stopped():
            began = time.monotonic()
            if replace_first:
                docker("node", "update", "--availability", "pause", node)
                docker("service", "scale", "--detach", f"{PAGES}={declared + 1}")
                until("the additional task", replaced, seconds=120)
            docker("node", "update", "--availability", "drain", node)
            until("the node to be empty", empty, seconds=120)
            site.aws("ec2").terminate_instances(InstanceIds=[instance])
            site.wait("the instance to be gone", lambda: instance not in site.ids())
            took = time.monotonic() - began
        if replace_first:
            docker("service", "scale", "--detach", f"{PAGES}={declared}")
        site.settle_record()
    return took, len(load.result.failures)


def spread(site: Site) -> None:
    """Wait until the swarm has converged, and run the pages' service on the workers, also on new ones."""
    site.settle(workers=WORKERS)
    on_workers = ("--constraint-add", "node.role==worker")
    site.must(site.managers()[0], "docker", "service", "update", "--quiet", "--force", *on_workers, PAGES)
