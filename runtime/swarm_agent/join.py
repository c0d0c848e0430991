"""Joining, with this host's adapters."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError
from ansible_collections.swarm.aws.plugins.module_utils._core.join.joiner import CannotJoin, Joined
from ansible_collections.swarm.aws.plugins.module_utils.adapters.commands import Commands
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_config import Config
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_joiner import joiner
from ansible_collections.swarm.aws.plugins.module_utils.aws.clock import SystemClock

from .command import run_command
from .log import Log
from .notify import Notifier
from .warm import stay_out

RETRY_SECONDS = 15.0


def join(config: Config, notify: Notifier, log: Log, deleted: Optional[str] = None) -> Joined:
    """Join the swarm, no matter how long that takes. An instance in a warm pool waits until it leaves the pool.

    ``deleted`` is the ID of this host's node if the swarm does not have it any more.
    """
    clock = SystemClock(lambda seconds, reason: notify.status(reason))

    def report(sentence: str) -> None:
        log.info(sentence)
        notify.status(sentence)

    said: Optional[str] = None
    while True:
        try:
            stay_out(config, notify, log)
            commands = Commands(run_command)
            work = joiner(*config.place, clock, report, notify.alive, commands)
            work.me = replace(work.me, deleted=deleted)
            result = work.run()
        except CannotJoin as error:
            reason, tell = str(error), log.error
        except SwarmError as error:
            reason, tell = str(error), log.warning
        else:
            for change in work.changes:
                log.info(change.sentence, before=change.before, after=change.after)
            return result
        if reason != said:
            tell(reason)
            said = reason
        clock.wait(RETRY_SECONDS, reason)
