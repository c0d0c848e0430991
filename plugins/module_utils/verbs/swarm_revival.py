"""Revive a swarm on this host, from a manager's own state or from a backup.

Docker's `--force-new-cluster` makes a swarm of a single manager from a state, but that manager keeps its old address in
it. At another address, managers that join cannot be reached, and the swarm stops for good as soon as the first manager
tries. A backup is mostly restored on another instance. So a second engine runs its state, in a network namespace that
has the old address and reaches this host only. This host's engine joins it as a manager like any other, with its own
certificate and address, and then the second engine is removed.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path
from typing import Callable, Iterator, Optional

from .._core.errors import Unavailable
from ..adapters.commands import Commands
from ..adapters.node_engine import DockerEngine
from ..adapters.swarm import DockerSwarm

UNIT = "swarm-restore"
SOCKET_PATH = f"/run/{UNIT}.sock"
CABLE = "srestore"
_CONTAINERD = "/run/containerd/containerd.sock"
# Seconds. An engine starts in a few, and a new leader is elected after about ten.
_ENGINE_SECONDS, _SWARM_SECONDS = 60.0, 120.0
_LOOK = 0.3


def until(what: str, condition: Callable[[], bool], seconds: float) -> None:
    """Wait for a condition, also while an engine does not answer. Raises Unavailable after ``seconds``."""
    deadline, reason = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except Unavailable as error:
            reason = f" {error}"
        time.sleep(_LOOK)
    raise Unavailable(f"After {seconds:.0f} s still waiting for {what}.{reason}")


class SecondEngine:
    """An engine beside the host's own, on an unpacked state. Nothing outside this host can reach it."""

    def __init__(self, commands: Commands, folder: Path, address: str, own_address: str) -> None:
        """``folder`` has the state in its folder ``swarm``; ``address`` is the old address of its manager."""
        self._run, self._folder, self._address, self._own = commands.run, folder, address, own_address
        self.clean = lambda: clean(commands)
        self.url = f"unix://{SOCKET_PATH}"
        self.engine = DockerEngine(address, self.url, unfinished=folder / "agent" / "joining")

    @contextlib.contextmanager
    def running(self) -> Iterator[DockerSwarm]:
        """Run it with a swarm of its own for as long as the context lasts."""
        self.clean()
        try:
            self._wire()
            self._start()
            swarm = DockerSwarm(self.url)
            until("the second engine", lambda: self.engine.membership().state == "inactive", _ENGINE_SECONDS)
            self.engine.revive()
            self._drain(swarm)
            yield swarm
        finally:
            self.clean()

    def _wire(self) -> None:
        inside = ("ip", "-n", UNIT)
        self._run("ip", "netns", "add", UNIT)
        self._run("ip", "link", "add", CABLE, "type", "veth", "peer", "name", "eth0", "netns", UNIT)
        self._run(*inside, "address", "add", f"{self._address}/32", "dev", "eth0")
        self._run(*inside, "link", "set", "lo", "up")
        self._run(*inside, "link", "set", "eth0", "up")
        self._run(*inside, "route", "add", self._own, "dev", "eth0")
        self._run("ip", "link", "set", CABLE, "up")
        self._run("ip", "route", "add", f"{self._address}/32", "dev", CABLE, "src", self._own)

    def _start(self) -> None:
        self._run(
            *("systemd-run", "--quiet", f"--unit={UNIT}", f"--property=NetworkNamespacePath=/run/netns/{UNIT}"),
            *("dockerd", "--config-file=/dev/null", f"--data-root={self._folder}", f"--exec-root=/run/{UNIT}"),
            *(f"--pidfile=/run/{UNIT}.pid", f"--host={self.url}", f"--containerd={_CONTAINERD}"),
            *(f"--containerd-namespace={UNIT}", f"--containerd-plugins-namespace={UNIT}-plugins"),
            *("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"),
        )

    @staticmethod
    def _drain(swarm: DockerSwarm) -> None:
        """Drain it, since tasks are for the real nodes."""
        own = swarm.here()

        def drained() -> bool:
            node = next((member for member in swarm.nodes() if member.id == own), None)
            if node is not None and node.availability != "drain":
                swarm.update(node.id, availability="drain")
            return node is not None and node.availability == "drain"

        until("the second engine to be drained", drained, _SWARM_SECONDS)


def clean(commands: Commands) -> None:
    """Remove a second engine completely, also that of an earlier run."""
    commands.attempt("systemctl", "stop", UNIT)
    commands.attempt("systemctl", "reset-failed", UNIT)
    commands.attempt("ip", "link", "delete", CABLE)
    commands.attempt("ip", "netns", "delete", UNIT)


def take_over(second: SecondEngine, there: DockerSwarm, engine: DockerEngine, here: DockerSwarm, epoch: int) -> None:
    """Join this host's engine to the second engine's swarm, and make it the swarm's only manager."""
    gone = there.here()
    engine.join(second.engine.address, second.engine.tokens()["manager"], epoch)
    own: Optional[str] = None

    def counts() -> bool:
        nonlocal own
        own = here.here()
        return any(node.id == own and node.ready for node in here.nodes())

    until("this host's engine to be a manager", counts, _SWARM_SECONDS)

    def demoted() -> bool:
        node = next((member for member in here.nodes() if member.id == gone), None)
        if node is not None and node.role == "manager":
            here.update(node.id, role="worker")
        return node is None or not node.holds_vote

    until("the second engine to lose its vote", demoted, _SWARM_SECONDS)
    second.clean()
    if gone is not None:
        until("the second engine's node to be deleted", lambda: _deleted(here, gone), _SWARM_SECONDS)


def _deleted(swarm: DockerSwarm, node: str) -> bool:
    swarm.remove(node)
    return all(member.id != node for member in swarm.nodes())


def replace_state(commands: Commands, folder: Path, root: Path) -> None:
    """Replace the state of the host's engine with an unpacked state, and restart the engine."""
    commands.run("systemctl", "stop", "docker.socket", "docker.service")
    try:
        shutil.rmtree(root / "swarm", ignore_errors=True)
        folder.rename(root / "swarm")
    finally:
        commands.run("systemctl", "start", "docker.socket", "docker.service")


def own_log(root: Path) -> str:
    """The name of the last file of Raft's log; empty without a log."""
    folder = root / "swarm" / "raft" / "wal-v3-encrypted"
    return max((path.name for path in folder.glob("*.wal")), default="")
