"""Restore the swarm on this manager, step by step. A run that was interrupted can be run again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Mapping

from .._core.backup_schedule import Manifest
from .._core.errors import SwarmError, Unavailable
from .._core.join.cluster_record import RESTORING, ClusterRecord
from .._core.join.ports import ACTIVE, INACTIVE, MANAGER, ROLES, Outcome, Stored
from .._core.names import launching_hook
from .._core.publication import Publication
from .._core.restore_choice import SURVIVOR, Manager, differing
from ..adapters import raft_state
from ..adapters.autoscaling import AutoScalingGroups
from ..adapters.backup_store import Backups
from ..adapters.commands import Commands, RunCommand
from ..adapters.metadata import Metadata
from ..adapters.node_engine import DockerEngine
from ..adapters.s3_store import S3Store
from ..adapters.swarm import DockerSwarm
from ..aws.aws_session import AwsSession
from ..aws.clock import SystemClock
from . import swarm_revival

# Exists from the beginning of a restore on this host until its end.
MARK = Path("/var/lib/swarm-agent/restoring")
# In the engine's data root, which has enough space.
SCRATCH = "restore"
AGENT = "swarm-agent.service"


class Host:
    """This manager."""

    def __init__(
        self,
        cluster: str,
        region: str,
        bucket: str,
        run_command: RunCommand,
        report: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        """``report`` takes sentences about the progress. Raises SwarmError."""
        self._cluster, self._report = cluster, report
        self._commands = Commands(run_command)
        self._clock = SystemClock()
        self._identity = Metadata().identity()
        self._aws = AwsSession.on_node(region)
        self.store = S3Store(self._aws, bucket)
        self.backups = Backups(self._aws, bucket)
        self.engine = DockerEngine(self._identity.private_address, commands=self._commands)
        self.swarm = DockerSwarm()
        self.root = self.engine.root()

    @property
    def instance(self) -> str:
        """This instance's ID."""
        return self._identity.instance

    def examine(self) -> Manager:
        """The remaining state of the swarm here. Raises Unavailable if the engine does not answer."""
        membership = self.engine.membership()
        voters = reachable = 0
        works = False
        if membership.state == ACTIVE and membership.manager:
            try:
                nodes = self.swarm.nodes()
                works = any(node.leader for node in nodes)
                voters = sum(node.voter for node in nodes)
                reachable = sum(node.voter and node.reachable for node in nodes)
            except Unavailable:
                works = False
        return Manager(
            instance=self.instance,
            state=membership.state,
            cluster_id=membership.cluster_id,
            works=works,
            voters=voters,
            reachable=reachable,
            log=swarm_revival.own_log(self.root),
            locked=raft_state.locked(self.root / "swarm"),
            begun=MARK.exists(),
        )

    # Restoring

    def restore(self, source: str, name: str) -> Dict[str, Any]:
        """Restore the swarm and return its ID and counts. Raises SwarmError; it can be run again then."""
        manifest, folder = (None, None) if source == SURVIVOR else self.unpacked(name)
        try:
            cluster_record = self._begin(source, name)
            if manifest is None or folder is None:
                self._revive_survivor()
                roles: tuple[str, ...] = (MANAGER,)
            else:
                self._revive_backup(manifest, folder, cluster_record.value.epoch(MANAGER) + 1)
                roles = ROLES
        finally:
            shutil.rmtree(self.root / SCRATCH, ignore_errors=True)
        self._publish(cluster_record, roles)
        facts = self.swarm.facts()
        if manifest is not None:
            self._report(_compared(manifest, facts.counts))
        self._end()
        return {"cluster_id": facts.cluster_id, "counts": dict(facts.counts)}

    def unpacked(self, name: str) -> tuple[Manifest, Path]:
        """A backup's manifest and the folder with its state. Raises BackupError if it is not what was written."""
        scratch = self.root / SCRATCH
        swarm_revival.clean(self._commands)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        manifest = self.backups.manifest(name)
        if manifest.cluster != self._cluster:
            raise SwarmError(f"The backup {name} is of the cluster {manifest.cluster}, not of {self._cluster}.")
        try:
            archive = scratch / "swarm.tar.gz"
            self.backups.fetch(manifest, archive)
            raft_state.unpack(archive, scratch / "swarm")
            archive.unlink()
        except SwarmError:
            shutil.rmtree(scratch)
            raise
        return manifest, scratch

    def _begin(self, source: str, name: str) -> Stored[ClusterRecord]:
        """Make all other nodes wait, and return the cluster record that says so."""
        MARK.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        MARK.write_text(json.dumps({"source": source, "backup": name}), encoding="utf-8")
        found = self.store.read()
        before = found.value if found else ClusterRecord(RESTORING, self.instance, self._clock.timestamp(), 0)
        wanted = before.restoring(self.instance, self._clock.timestamp())
        outcome = self.store.replace(wanted, found.version) if found else self.store.create(wanted)
        stored = self.store.read()
        if outcome is not Outcome.WRITTEN or stored is None or stored.value != wanted:
            raise Unavailable("Somebody else changed cluster.json at the same time: run this again.")
        self._report("No node joins the swarm until it is restored.")
        self._commands.run("systemctl", "stop", AGENT)
        self._keep_waiting()
        return stored

    def _keep_waiting(self) -> None:
        """Record a heartbeat at the launching hook, so that Auto Scaling does not terminate this instance meanwhile."""
        fleet = AutoScalingGroups(self._aws, self._cluster, lambda: 0.0)
        mine = next((instance for instance in fleet.instances() if instance.id == self.instance), None)
        if mine is not None and mine.scaling_group and mine.lifecycle == "Pending:Wait":
            fleet.heartbeat(mine.scaling_group, launching_hook(self._cluster), mine.id)

    def _revive_survivor(self) -> None:
        self._report(f"Creating a swarm of {self.instance} alone from its own state.")
        if not self._alone():
            self.engine.revive()
        swarm_revival.until("the swarm to have a leader", self.swarm.leads, 120)

    def _alone(self) -> bool:
        """Whether an earlier run has revived the swarm already."""
        try:
            return sum(node.voter for node in self.swarm.nodes()) == 1 and self.swarm.leads()
        except Unavailable:
            return False

    def _revive_backup(self, manifest: Manifest, scratch: Path, epoch: int) -> None:
        membership = self.engine.membership()
        if membership.state != INACTIVE:
            self._report(f"Leaving the swarm {membership.cluster_id or 'that this host was joining'}.")
            self.engine.leave(membership.cluster_id)
        self.engine.remember(epoch)
        self._report(f"Restoring the backup {manifest.summary} from {manifest.instance}.")
        own = self._identity.private_address
        if manifest.address == own:
            swarm_revival.replace_state(self._commands, scratch / "swarm", self.root)
            swarm_revival.until("the engine", lambda: self.engine.membership().state == INACTIVE, 60)
            self.engine.revive()
        else:
            second = swarm_revival.SecondEngine(self._commands, scratch, manifest.address, own)
            with second.running() as there:
                swarm_revival.take_over(second, there, self.engine, self.swarm, epoch)
        swarm_revival.until("the swarm to have a leader", self.swarm.leads, 120)

    def _publish(self, before: Stored[ClusterRecord], roles: tuple[str, ...]) -> None:
        """Publish the swarm and its tokens, so that the other nodes join it."""
        memory = self.swarm.memory()
        # The restored swarm may remember more than the bucket: how often it was restored before.
        after = before.value.after(memory.remembered).restored(memory.swarm_id, roles)
        self.swarm.set_epoch(after.epoch(MANAGER))
        self.engine.remember(after.epoch(MANAGER))
        outcome = self.store.replace(after, before.version)
        if outcome is not Outcome.WRITTEN:
            raise Unavailable(f"The swarm was not published: {outcome.value}. Run this again.")
        Publication(self.store, self.swarm).publish(ROLES)
        self._report(f"Published the swarm {after.cluster_id}.")

    def _end(self) -> None:
        MARK.unlink()
        self._commands.run("systemctl", "start", "--no-block", AGENT)

    # Drill

    def drill(self, name: str) -> Dict[str, Any]:
        """Restore a backup into a temporary swarm of its own. Raises SwarmError if that fails."""
        manifest, scratch = self.unpacked(name)
        try:
            own = self._identity.private_address
            with swarm_revival.SecondEngine(self._commands, scratch, manifest.address, own).running() as there:
                facts = there.facts()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        wrong = differing(manifest.counts, facts.counts)
        if facts.cluster_id != manifest.cluster_id:
            wrong = f"the swarm {facts.cluster_id} rather than {manifest.cluster_id}"
        if wrong:
            raise SwarmError(f"The backup {name} restores, but to {wrong}.")
        return {"cluster_id": facts.cluster_id, "counts": dict(facts.counts)}


def _compared(manifest: Manifest, found: Mapping[str, int]) -> str:
    wrong = differing({name: number for name, number in manifest.counts.items() if name != "nodes"}, found)
    return f"The swarm is restored, but with {wrong}." if wrong else "The swarm is restored as it was backed up."
