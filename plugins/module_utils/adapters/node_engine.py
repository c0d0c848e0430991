"""The node's own engine, for joining a swarm."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional

from .._core.errors import SwarmError, Unavailable
from .._core.join.cluster_record import ClusterRecord, InvalidClusterRecord, Memory
from .._core.join.ports import (
    ACTIVE,
    ERROR,
    INACTIVE,
    LISTENS,
    PENDING,
    REFUSES,
    SILENT,
    JoinPending,
    JoinRefused,
    Membership,
)
from .._core.parsing import whole
from .._core.policy import Policy
from . import files
from .certificate import subject
from .commands import Commands
from .engine_api import SOCKET, APIError, EngineApi, explained, one_line

PORT = 2377
# The engine itself gives up a join or an initialisation after 20 s.
_SECONDS = 40
_PROBE_SECONDS = 2
_REVIVAL_SECONDS = 180
# Exists from when this node is told to join until its engine is active, across restarts of either.
UNFINISHED = Path("/var/lib/swarm-agent/joining")
# The file beside it with the epoch of the swarm that this node was told to join.
_EPOCH = "epoch"
# The swarm's labels: the instance that made it, how often it was restored, and the last published cluster record.
MADE_BY = "swarm.aws.made-by"
EPOCH_LABEL = "swarm.aws.epoch"
RECORD_LABEL = "swarm.aws.cluster-record"


def probe(address: str) -> str:
    """A host's answer on the swarm's port. Only managers listen on it."""
    try:
        socket.create_connection((address, PORT), timeout=_PROBE_SECONDS).close()
    except ConnectionRefusedError:
        return REFUSES
    except OSError:
        return SILENT
    return LISTENS


class Managers:
    """The core's ``Peers``."""

    def listens(self, address: str) -> bool:
        return probe(address) == LISTENS


class DockerEngine(EngineApi):
    """The core's ``Engine`` on this node."""

    def __init__(
        self,
        address: str,
        url: str = SOCKET,
        unfinished: Path = UNFINISHED,
        commands: Optional[Commands] = None,
        policy: Optional[Callable[[], Policy]] = None,
    ) -> None:
        """``address`` is the private IPv4 address at which other nodes reach this node.

        ``commands`` runs commands on this host, to restart the engine before it joins if that is necessary. ``policy``
        reads the address pool of a new swarm; without it the pool is Docker's own.

        Raises SwarmError if the SDK is missing.
        """
        super().__init__(url, _SECONDS)
        self.address, self._unfinished, self._commands, self._policy = address, unfinished, commands, policy

    def membership(self) -> Membership:
        with self._asked("tell its state"):
            return self._membership(self._api.info())

    def _membership(self, info: Mapping[str, Any]) -> Membership:
        swarm = info["Swarm"]
        state = swarm["LocalNodeState"]
        message = swarm.get("Error") or ""
        if state in (INACTIVE, ACTIVE):
            self._mark(False)
        if state == INACTIVE:
            return Membership(INACTIVE)
        cluster = swarm.get("Cluster") or {}
        known = memory(cluster)
        node_id = swarm.get("NodeID") or None
        cluster_id = cluster.get("ID") or None
        if not cluster_id or not node_id:
            # The engine only tells the swarm's ID on a manager that has a leader.
            cluster_id, node_id = self._certified(Path(info["DockerRootDir"]), node_id)
        return Membership(
            state=state,
            cluster_id=cluster_id,
            node_id=node_id,
            manager=bool(swarm.get("ControlAvailable")),
            made_by=((cluster.get("Spec") or {}).get("Labels") or {}).get(MADE_BY),
            alone=swarm.get("Nodes") == 1,
            unfinished=self._unfinished.exists(),
            message=message,
            epoch=self.epoch(),
            swarm_epoch=known.epoch if known else None,
            remembered=known.remembered if known else None,
        )

    def epoch(self) -> int:
        """The last remembered epoch; 0 if there is none. Raises Unavailable."""
        try:
            return int(self._unfinished.with_name(_EPOCH).read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0
        except (OSError, ValueError) as error:
            raise Unavailable(f"{self._unfinished.with_name(_EPOCH)} does not contain the epoch: {error}") from error

    def remember(self, epoch: int) -> None:
        """Remember the epoch of the swarm that this node is in or joins. Raises Unavailable."""
        path = self._unfinished.with_name(_EPOCH)
        if epoch == self.epoch():
            return
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.write(path, str(epoch).encode())
        except OSError as error:
            raise Unavailable(f"{path} cannot be written: {error.strerror}") from error

    def init(self, made_by: str) -> None:
        pool: Dict[str, Any] = {}
        if self._policy is not None:
            policy = self._policy()
            if policy.address_pool:
                pool = {"default_addr_pool": list(policy.address_pool), "subnet_size": policy.subnet_size}
        with self._asked("initialise a swarm"):
            self._forget_networks()
            api = self._api
            api.init_swarm(
                advertise_addr=self.address,
                listen_addr=f"{self.address}:{PORT}",
                swarm_spec=api.create_swarm_spec(labels={MADE_BY: made_by}),
                **pool,
            )

    def unlock(self, key: str) -> bool:
        with self._asked("be unlocked"):
            try:
                self._api.unlock_swarm(key)
            except APIError as error:
                if "invalid" in explained(error).lower():
                    return False
                raise
        return True

    def revive(self) -> None:
        """Make a swarm of this manager alone from its state. May take a minute. Raises Unavailable."""
        with self._asked("create a new swarm from its state"):
            # The answer comes after an election, which is slow on a busy host.
            self._connect(_REVIVAL_SECONDS).init_swarm(
                advertise_addr=self.address, listen_addr=f"{self.address}:{PORT}", force_new_cluster=True
            )

    def root(self) -> Path:
        """The engine's data root. Raises Unavailable."""
        with self._asked("tell its folder"):
            return Path(self._api.info()["DockerRootDir"])

    def join(self, address: str, token: str, epoch: int) -> None:
        self.remember(epoch)
        with self._asked("join a swarm"):
            self._forget_networks()
            self._mark(True)
            try:
                self._api.join_swarm(
                    [f"{address}:{PORT}"], token, listen_addr=f"{self.address}:{PORT}", advertise_addr=self.address
                )
            except APIError as error:
                reason = explained(error)
                if "already part of a swarm" in reason:
                    raise
                if "Timeout was reached" in reason or "in the background" in reason:
                    raise JoinPending(f"The engine is still joining through {address}.") from error
                self._abandon()
                raise JoinRefused(one_line(reason.replace(token, "…"))) from None

    def leave(self, cluster_id: Optional[str]) -> None:
        now = self.membership()
        if now.state == INACTIVE:
            return
        if (cluster_id is not None and now.cluster_id != cluster_id) or (cluster_id is None and now.state == ACTIVE):
            raise Unavailable("The engine's swarm has changed meanwhile.")
        with self._asked("leave its swarm"):
            try:
                self._api.leave_swarm(force=True)
            except APIError as error:
                # The engine gives its manager 15 seconds to stop, which a busy host exceeds. A second request stops it.
                if "deadline exceeded" not in explained(error):
                    raise
                if self.membership().state != INACTIVE:
                    self._api.leave_swarm(force=True)

    def probe(self, address: str) -> str:
        return probe(address)

    def _mark(self, unfinished: bool) -> None:
        """Remember whether a join is under way."""
        # If this fails, a stuck join is waited for instead of restarted.
        with contextlib.suppress(OSError):
            if unfinished:
                self._unfinished.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._unfinished.touch()
            elif self._unfinished.exists():
                self._unfinished.unlink()

    def _forget_networks(self) -> None:
        """Remove the networks of a former swarm.

        An engine that leaves a swarm while tasks stop may keep a network. The next swarm's networks have the same
        addresses, and this node would reject their tasks: "Pool overlaps with other one on this address space". Only a
        manager may remove such a network, but the engine keeps it in memory only, so a restart is enough.
        """
        if any(network["Scope"] == "swarm" for network in self._api.networks()):
            if self._commands is None:
                raise Unavailable("The engine still has networks of a swarm that it left: restart the engine.")
            self._commands.run("systemctl", "restart", "docker.service")
            self._connected = None

    def _abandon(self) -> None:
        """Clean up after a refused join. Otherwise the engine would not try another address."""
        now = self.membership()
        if now.state in (PENDING, ERROR) and now.cluster_id is None:
            self._api.leave_swarm(force=True)

    def _certified(self, root: Path, node_id: Optional[str]) -> tuple[Optional[str], Optional[str]]:
        """The swarm's and the node's ID from the node's certificate, if it has a certificate."""
        path = root / "swarm" / "certificates" / "swarm-node.crt"
        try:
            found = subject(path.read_bytes())
        except FileNotFoundError:
            return None, node_id
        except PermissionError as error:
            raise SwarmError(f"{path}, which contains the swarm's ID, cannot be read: run this as root.") from error
        except (OSError, ValueError) as error:
            raise Unavailable(f"{path} does not contain the swarm's ID: {error}") from error
        return found.cluster_id, node_id or found.node_id


def memory(cluster: Mapping[str, Any]) -> Optional[Memory]:
    """The swarm in the engine's `info`; None without a leader, or if this node is not a manager."""
    if not cluster.get("ID"):
        return None
    labels = (cluster.get("Spec") or {}).get("Labels") or {}
    try:
        remembered = ClusterRecord.decode(labels[RECORD_LABEL]) if RECORD_LABEL in labels else None
    except InvalidClusterRecord:
        remembered = None
    return Memory(str(cluster["ID"]), remembered, whole(labels.get(EPOCH_LABEL)) or 0)
