"""Waiting in a warm pool: warm, stopped, and in no swarm until Auto Scaling puts the instance into service."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable, Optional

from ansible_collections.swarm.aws.plugins.module_utils._core.cluster import WARMED
from ansible_collections.swarm.aws.plugins.module_utils._core.names import launching_hook
from ansible_collections.swarm.aws.plugins.module_utils.adapters.autoscaling import AutoScalingGroups
from ansible_collections.swarm.aws.plugins.module_utils.adapters.metadata import Metadata
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_config import Config
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.plugins.module_utils.aws.clock import aws_time

from .log import Log
from .notify import Notifier

# The metadata's target lifecycle state, such as Warmed:Stopped or InService
# (https://docs.aws.amazon.com/autoscaling/ec2/userguide/retrieving-target-lifecycle-state-through-imds.html).
TARGET = "autoscaling/target-lifecycle-state"
# cloud-init writes it when the user data has run.
BOOTED = Path("/var/lib/cloud/instance/boot-finished")
# Written when the launch hook is completed on the way into the pool. On the way out the leader completes the hook,
# after the node has joined, and the metadata may be late to show the direction.
MARK = Path("/var/lib/swarm-agent/warmed")
LOOK = 5.0


def ending() -> bool:
    """Whether Auto Scaling is terminating this instance. Raises Unavailable."""
    return Metadata().read(TARGET) == "Terminated"


class Pool:
    """The warm pool of this instance's group."""

    def __init__(
        self,
        read: Callable[[str], Optional[str]],
        enter: Callable[[], bool],
        *,
        booted: Path = BOOTED,
        mark: Path = MARK,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``read`` reads the metadata; ``enter`` completes the hook, and returns whether it was waiting."""
        self._read, self._enter, self._booted, self._mark, self._sleep = read, enter, booted, mark, sleep

    def stay(self, notify: Notifier, log: Log) -> None:
        """Return when the instance should serve, at once or after the pool. Raises Unavailable."""
        while (self._read(TARGET) or "").startswith(WARMED):
            if not self._mark.exists():
                notify.status("Being warmed for the warm pool")
                # If it stopped during its setup, the node would be incomplete later.
                if self._booted.exists() and self._enter():
                    self._mark.touch()
                    log.info("This instance is warm, and waits in the warm pool.")
            else:
                notify.status("Waits in the warm pool")
            self._sleep(LOOK)


def stay_out(config: Config, notify: Notifier, log: Log) -> None:
    """Stay out of the swarm while this instance belongs in its group's warm pool. Raises SwarmError."""

    def enter() -> bool:
        fleet = AutoScalingGroups(AwsSession.on_node(config.region, notify.alive), config.cluster, aws_time.now)
        group = f"{config.cluster}-{config.group}"
        return fleet.complete(group, launching_hook(config.cluster), metadata.identity().instance, "CONTINUE")

    metadata = Metadata()
    Pool(metadata.read, enter).stay(notify, log)
