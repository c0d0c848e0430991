"""The state of a lab's instances, from the emulator and their engines."""

from __future__ import annotations

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker
from docker.errors import APIError, NotFound
from rich.table import Table

from lab.engine import execute
from lab.errors import LabError
from lab.state import Lab

_SWARM = "{{.Swarm.LocalNodeState}}|{{.Swarm.ControlAvailable}}|{{.Swarm.NodeID}}"
_NODE = (
    "{{.Status.State}} {{.Spec.Availability}}"
    "{{with .ManagerStatus}} {{if .Leader}}leader{{else}}{{.Reachability}}{{end}}{{end}}"
)


def instances(lab: Lab) -> list[dict[str, Any]]:
    """The instances by group and launch time, as :func:`lab.aws.view.instances` returns them.

    Raises LabError if the lab's server does not answer.
    """
    try:
        with urllib.request.urlopen(f"{lab.endpoint}/_lab/instances", timeout=5) as answer:
            found: list[dict[str, Any]] = json.load(answer)
    except OSError:
        raise LabError(
            f"Lab '{lab.name}' does not answer at {lab.endpoint}: `lab up --name {lab.name}` starts it, and "
            f"`lab logs --name {lab.name}` shows why it stopped."
        ) from None
    return sorted(found, key=lambda instance: (instance["group"] or "", instance["launched_at"]))


def table(lab: Lab, engine: docker.DockerClient) -> Table:
    """The table that ``lab status`` shows."""
    found = [instance for instance in instances(lab) if instance["state"] != "terminated"]
    with ThreadPoolExecutor(max_workers=8) as pool:
        swarm = list(pool.map(lambda instance: swarm_state(lab, engine, instance["instance_id"]), found))
    columns = ("instance", "group", "zone", "state", "lifecycle", "health", "private", "public", "swarm")
    drawn = Table(
        *columns,
        title=f"lab {lab.name} at {lab.endpoint}, account {lab.account}, seed {lab.seed}, kernel {lab.kernel}",
        title_justify="left",
    )
    for instance, state in zip(found, swarm, strict=True):
        keys = ("instance_id", "group", "zone", "state", "lifecycle_state", "health", "private_ip", "public_ip")
        drawn.add_row(*(str(instance[key] or "-") for key in keys), state)
    return drawn


def swarm_state(lab: Lab, engine: docker.DockerClient, instance_id: str) -> str:
    """The instance's swarm state, from its own engine."""
    try:
        container = engine.containers.get(lab.container(instance_id))
        if container.status == "paused":
            return "hangs"
        # Without an engine the command succeeds as well, with an empty swarm state.
        code, output = execute(container, "docker", "info", "--format", _SWARM, stderr=False)
        state, manager, node = output.strip().split("|") if code == 0 else ("", "", "")
        if state != "active":
            return state or "engine down"
        if manager != "true":
            return "worker"
        code, output = execute(container, "docker", "node", "inspect", node, "--format", _NODE)
        return "manager: " + (output.strip() if code == 0 else "no quorum")
    except (NotFound, APIError):
        return "not running"
