"""Waiting in a warm pool: prepared, stopped, and in no swarm until Auto Scaling takes the instance out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable, Optional

from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import WARMED
from ansible_collections.swarm.aws.plugins.module_utils._core.names import launching_hook
from ansible_collections.swarm.aws.plugins.module_utils.adapters.autoscaling import AutoScalingGroups
from ansible_collections.swarm.aws.plugins.module_utils.adapters.aws import Aws
from ansible_collections.swarm.aws.plugins.module_utils.adapters.clock import aws_time
from ansible_collections.swarm.aws.plugins.module_utils.adapters.metadata import Metadata
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_config import Config

from .log import Log
from .notify import Notifier

# Of the metadata: the state that Auto Scaling is taking the instance to, such as Warmed:Stopped or InService
# (https://docs.aws.amazon.com/autoscaling/ec2/userguide/retrieving-target-lifecycle-state-through-imds.html).
TARGET = "autoscaling/target-lifecycle-state"
# cloud-init writes it once all that user data asks for is done.
BOOTED = Path("/var/lib/cloud/instance/boot-finished")
# Kept once the launch hook is answered on the way into the pool. On the way out it is the leader's to answer, who sees
# whether the node has joined, and the metadata may be late to tell which way it is.
MARK = Path("/var/lib/swarm-agent/warmed")
LOOK = 5.0


def ending() -> bool:
    """Whether Auto Scaling is about to end this instance. Raises Unavailable."""
    return Metadata().read(TARGET) == "Terminated"


class Pool:
    """The warm pool that this instance may be on its way to."""

    def __init__(
        self,
        read: Callable[[str], Optional[str]],
        enter: Callable[[], bool],
        *,
        booted: Path = BOOTED,
        mark: Path = MARK,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``read`` tells a value of the metadata; ``enter`` answers the hook, and tells whether it was asked."""
        self._read, self._enter, self._booted, self._mark, self._sleep = read, enter, booted, mark, sleep

    def stay(self, notify: Notifier, log: Log) -> None:
        """Return at once if the instance is to serve, otherwise when it is taken out. Raises Unavailable."""
        while (self._read(TARGET) or "").startswith(WARMED):
            if not self._mark.exists():
                notify.status("Is prepared for the warm pool")
                # What stops half-way through its setup would be half a node later.
                if self._booted.exists() and self._enter():
                    self._mark.touch()
                    log.info("This instance is prepared, and waits in the warm pool.")
            else:
                notify.status("Waits in the warm pool")
            self._sleep(LOOK)


def stay_out(config: Config, notify: Notifier, log: Log) -> None:
    """Stay out of the swarm for as long as this instance belongs into its group's warm pool. Raises SwarmError."""

    def enter() -> bool:
        fleet = AutoScalingGroups(Aws(config.region, notify.alive), config.cluster, aws_time.now)
        group = f"{config.cluster}-{config.group}"
        return fleet.complete(group, launching_hook(config.cluster), metadata.identity().instance, "CONTINUE")

    metadata = Metadata()
    Pool(metadata.read, enter).stay(notify, log)
