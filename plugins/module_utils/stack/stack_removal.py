"""Remove a stack and wait until all its objects are deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core.counting import counted
from .convergence import StackClock
from .stack_engine import StackEngine
from .stack_error import StackError

_POLL_SECONDS = 0.5
# Seconds that a deployment waits for leftovers of a removed stack, by kind.
_LEFT_SECONDS = {"tasks": 60.0, "networks": 10.0}


def remove(engine: StackEngine, stack: str, clock: StackClock, *, timeout: float) -> None:
    """Remove until nothing is left. Raises StackError if that takes longer than ``timeout`` seconds."""
    began = clock.now()
    while True:
        engine.remove(stack)
        left = engine.left(stack)
        if not left:
            return
        if clock.now() - began >= timeout:
            what = ", ".join(counted(len(names), kind[:-1]) for kind, names in left.items())
            raise StackError(
                f"The stack '{stack}' still has {what} after {timeout:.0f} s. Run this again to keep "
                "waiting, or find the cause with `docker stack ps`."
            )
        clock.sleep(_POLL_SECONDS)


def settle(engine: StackEngine, stack: str, clock: StackClock) -> None:
    """Wait at most ``_LEFT_SECONDS`` until the tasks, and then the networks, of a removed stack are deleted.

    Nodes that still have its networks reject the next stack's tasks. A network that others use stays; that is harmless.
    """
    for kind, seconds in _LEFT_SECONDS.items():
        until = clock.now() + seconds
        while kind in engine.left(stack) and clock.now() < until:
            clock.sleep(_POLL_SECONDS)


def kept(engine: StackEngine, stack: str) -> list[str]:
    """The objects that a removal keeps: volumes, with their nodes, and secrets that are not the stack's own."""
    nodes = {node["ID"]: node["Description"]["Hostname"] for node in engine.nodes()}
    tasks = engine.tasks(stack)
    own = set(engine.names("secrets", stack))
    volumes: dict[str, set[str]] = {}
    secrets = set()
    for service in engine.services(stack).values():
        container = service["Spec"]["TaskTemplate"].get("ContainerSpec") or {}
        for mount in container.get("Mounts") or []:
            if mount.get("Type") == "volume" and mount.get("Source"):
                here = {
                    nodes[task["NodeID"]] for task in tasks if _ran(task, service["ID"]) and task["NodeID"] in nodes
                }
                volumes.setdefault(mount["Source"], set()).update(here)
        secrets |= {secret["SecretName"] for secret in container.get("Secrets") or []} - own
    phrases = []
    for name, where in sorted(volumes.items()):
        phrases.append(f"the volume {name}" + (f" on {', '.join(sorted(where))}" if where else ""))
    return phrases + [f"the secret {name}" for name in sorted(secrets)]


def _ran(task: Mapping[str, Any], service: str) -> bool:
    return task["ServiceID"] == service and bool(task.get("NodeID"))
