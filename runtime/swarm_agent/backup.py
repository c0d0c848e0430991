"""The scheduled backup: a timer runs on each manager, and one of them takes it."""

from __future__ import annotations

from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError
from ansible_collections.swarm.aws.plugins.module_utils.adapters.backup_job import BackupJob
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_config import Config

from .log import Log


def run(config: Config, log: Log) -> int:
    """Back up if it is due, and return the exit code."""
    try:
        done = BackupJob(config.cluster, config.region, config.bucket).if_due()
    except SwarmError as error:
        log.error(f"The swarm was not backed up: {error}")
        return 1
    if done.manifest is not None:
        held = round(done.held, 3)
        log.info(f"Backed up as {done.manifest.summary}.", event="backup", held_seconds=held, removed=done.removed)
    return 0
