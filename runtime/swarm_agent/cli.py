"""The agent's command line."""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Callable, Optional, Sequence

from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_config import DRILL, PATH, Config

from . import DESCRIPTION, VERSION, shipping
from .join import join
from .log import Log
from .notify import Notifier
from .watch import MembershipWatch

_SOONEST, _LATEST = 1.0, 60.0


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command and exit."""
    parser = argparse.ArgumentParser(prog="swarm-agent", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"swarm-agent {VERSION}")
    parser.add_argument("--config", type=Path, default=PATH, help="the node's configuration (%(default)s)")
    parser.add_argument(
        "command",
        nargs="?",
        choices=["run", "status", "backup", "volumes", "look"],
        default="run",
        help="run: join and, on a manager, reconcile the cluster (the default); status: show how far the node is; "
        "backup: back the swarm's state up if one is due and it is this manager's turn; "
        "volumes: mount this node's data volumes; "
        "look: print a manager's view of the cluster, a JSON document a second, until nobody reads it",
    )
    options = parser.parse_args(arguments)
    try:
        config = Config.load(options.config)
    except SwarmError as error:
        sys.exit(f"swarm-agent: {error}")
    log = Log(cluster=config.cluster, role=config.role)
    # Each command imports only what it needs, since `run` stays in memory.
    if options.command == "status":
        from .status import status

        print(json.dumps(status(config), indent=2))
        return
    if options.command == "backup":
        from . import backup

        sys.exit(backup.run(config, log))
    if options.command == "look":
        from . import look

        sys.exit(look.run(config))
    if options.command == "volumes":
        from . import volumes

        sys.exit(volumes.run(config, log))
    if config.role == DRILL:
        Notifier().ready()
        log.info("This instance is for a restore drill, and joins no swarm.")
        return
    shipping.start(config, log)
    run(config, Notifier(), log)


def run(config: Config, notify: Notifier, log: Log, sleep: Callable[[float], None] = time.sleep) -> None:
    """Run the agent for ever: join, and on a manager reconcile the cluster.

    After an unexpected error it logs the error and starts again, with growing pauses. It does not exit, since systemd
    gives up on a unit that keeps failing.
    """
    notify.ready()
    delay, deleted = _SOONEST, None
    while True:
        try:
            deleted = work(config, notify, log, deleted)
            delay = _SOONEST
            continue
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            log.error(
                f"Unexpected {type(error).__name__}: {error}",
                at=f"{Path(where.filename).name}:{where.lineno}",
                again_in_seconds=delay,
            )
        notify.alive()
        sleep(delay)
        delay = min(delay * 2, _LATEST)


def work(config: Config, notify: Notifier, log: Log, deleted: Optional[str] = None) -> Optional[str]:
    """Join, do the member's work, and return when this node must join again.

    ``deleted``, and the return value, is the ID of this host's node if the swarm does not have it any more. The engine
    does not notice that.
    """
    began = time.monotonic()
    joined = join(config, notify, log, deleted)
    seconds = round(time.monotonic() - began, 1)
    log.info(f"This node is a member of the swarm {joined.cluster_id}.", node_id=joined.node_id, seconds=seconds)
    notify.status(f"Member of the swarm {joined.cluster_id}")
    # What only joining needed, such as EC2's model, is most of the memory.
    gc.collect()
    watch = MembershipWatch(config, notify, log)
    if config.role == "manager":
        # Workers do not need it.
        from . import loop

        loop.run(config, notify, log, watch)
    else:
        watch.wait()
    log.warning("This node must join again.")
    return watch.deleted
