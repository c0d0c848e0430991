"""Back up the swarm's state from the manager that this runs on."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, List, Optional

from .._core import backup_schedule
from .._core.backup_schedule import Manifest
from .._core.errors import SwarmError, Unavailable
from .._core.join.cluster_record import FORMED
from .._core.policy import Policy
from ..aws.aws_session import AwsSession
from ..aws.clock import aws_time
from . import raft_state
from .backup_store import Backups
from .control_plane import ControlPlane
from .metadata import Metadata
from .s3_store import S3Store
from .swarm import Facts, manager_here

# Only root can read it.
SCRATCH = Path("/var/lib/swarm-agent/backup")
_TRIES = 3
# A follower learns the commit index within a second and writes it to disk with the next entry. A restore drops entries
# that are not committed on disk.
_KNOWN_SECONDS, _MOST_SECONDS = 3.0, 60.0
# Seconds until the managers' state on disk is unlocked.
_UNLOCK_SECONDS, _LOOK = 30.0, 0.2


@dataclass
class Done:
    """The result of a run."""

    # Why nothing was done; empty if something was.
    reason: str = ""
    manifest: Optional[Manifest] = None
    # Seconds for which the engine was stopped with SIGSTOP.
    held: float = 0.0
    # The names of the old backups that were deleted.
    removed: List[str] = field(default_factory=list)


def settled(
    ask: Callable[[], Facts], agree: Callable[[], None], now: Callable[[], float], sleep: Callable[[float], None]
) -> Facts:
    """The swarm's facts, once this manager has them on disk. Raises Unavailable if they keep changing."""
    facts = ask()
    agree()
    began = since = now()
    while now() - since < _KNOWN_SECONDS:
        if now() - began >= _MOST_SECONDS:
            raise Unavailable(f"The swarm was still changing after {_MOST_SECONDS:.0f} s: run this again later.")
        sleep(_LOOK)
        before, facts = facts, ask()
        if facts.counts != before.counts:
            agree()
            since = now()
    return facts


class BackupJob:
    """Backs up a cluster."""

    def __init__(self, cluster: str, region: str, bucket: str) -> None:
        """Raises SwarmError if an SDK is missing."""
        aws = AwsSession.on_node(region)
        self._cluster = cluster
        self._store, self._backups = S3Store(aws, bucket), Backups(aws, bucket)
        self._control_plane = ControlPlane(cluster, region, bucket)

    def policy(self) -> Policy:
        """The agents' policy. Raises SwarmError."""
        return self._control_plane.policy()

    def if_due(self) -> Done:
        """Back up if a backup is due and it is this manager's turn. Raises SwarmError."""
        own, policy = self._control_plane.swarm.here(), self.policy()
        if own is None:
            return Done("This node is not a manager.")
        if not backup_schedule.due(self._backups.names(), policy.backup_seconds, aws_time.now()):
            return Done("No backup is due.")
        if not backup_schedule.on_duty(self._control_plane.swarm.nodes(), own):
            return Done("Another manager backs up.")
        return self.now(policy)

    def preview(self, policy: Policy) -> Done:
        """The result that `now` would have, without a backup. Raises SwarmError."""
        self._check()
        return Done(removed=backup_schedule.superseded([self._name(), *self._backups.names()], policy.backup_keep))

    def now(self, policy: Policy) -> Done:
        """Back up, and delete the oldest backups beyond the number to keep. Raises SwarmError."""
        self._check()
        self._clear()
        try:
            manifest, held = self._take()
        finally:
            self._clear()
        removed = backup_schedule.superseded(self._backups.names(), policy.backup_keep)
        for name in removed:
            self._backups.delete(name)
        return Done(manifest=manifest, held=held, removed=removed)

    def _check(self) -> None:
        """Raises SwarmError unless this manager is in the cluster's swarm."""
        manager_here(self._control_plane.swarm)
        own, published = self._control_plane.swarm.swarm_id(), self._store.read()
        if published is None or published.value.phase != FORMED or published.value.cluster_id != own:
            found = "none" if published is None else published.value.cluster_id or published.value.phase
            raise SwarmError(
                f"This manager is in the swarm {own}, but the published swarm is {found}: it is not backed up."
            )

    def _name(self) -> str:
        return backup_schedule.name_of(aws_time.now(), Metadata().identity().instance)

    def _take(self) -> tuple[Manifest, float]:
        identity = Metadata().identity()
        facts = settled(self._control_plane.swarm.facts, self._control_plane.swarm.agree, time.monotonic, time.sleep)
        at = aws_time.now()
        folder, archive = SCRATCH / "swarm", SCRATCH / "swarm.tar.gz"
        copy = self._copy_unlocked if facts.locked else self._copy
        held = copy(facts.root / "swarm", folder)
        digest, size = raft_state.pack(folder, archive)
        manifest = Manifest(
            name=backup_schedule.name_of(at, identity.instance),
            cluster=self._cluster,
            cluster_id=facts.cluster_id,
            instance=identity.instance,
            node_id=facts.node_id,
            address=facts.address,
            engine=facts.version,
            at=at,
            sha256=digest,
            size=size,
            counts=facts.counts,
        )
        self._backups.put(manifest, archive)
        return manifest, held

    def _copy_unlocked(self, source: Path, target: Path) -> float:
        """Unlock the managers' state while it is copied.

        Docker cannot make a new swarm from a locked state, even with the key. If this process dies meanwhile, the
        leader's agent locks the state again.
        """
        lock, deadline = self._control_plane.lock, time.monotonic() + _UNLOCK_SECONDS
        lock.lock(False)
        try:
            while raft_state.locked(source):
                if time.monotonic() >= deadline:
                    raise Unavailable(f"The managers' state was still locked after {_UNLOCK_SECONDS:.0f} s.")
                time.sleep(_LOOK)
            held = self._copy(source, target)
            if raft_state.locked(target):
                raise Unavailable("Somebody else locked the managers' state meanwhile: run this again.")
        finally:
            lock.lock(True)
        return held

    def _copy(self, source: Path, target: Path) -> float:
        pid = raft_state.engine_pid()
        for attempt in range(_TRIES):
            try:
                return raft_state.copy(source, target, pid)
            except Unavailable:
                if attempt == _TRIES - 1:
                    raise
                shutil.rmtree(target)
        raise AssertionError

    def _clear(self) -> None:
        shutil.rmtree(SCRATCH, ignore_errors=True)
        SCRATCH.mkdir(mode=0o700, parents=True, exist_ok=True)
