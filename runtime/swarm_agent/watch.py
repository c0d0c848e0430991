"""Noticing that this node must join again.

The swarm was restored without it, its engine is locked, or somebody made it leave the swarm or deleted it there.
"""

from __future__ import annotations

from typing import Optional

from ansible_collections.swarm.aws.plugins.module_utils._core.errors import SwarmError
from ansible_collections.swarm.aws.plugins.module_utils._core.join.join_decision import Join, Leave, Unlock, decide
from ansible_collections.swarm.aws.plugins.module_utils._core.join.joiner import Joiner
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_config import Config
from ansible_collections.swarm.aws.plugins.module_utils.adapters.node_joiner import joiner
from ansible_collections.swarm.aws.plugins.module_utils.aws.clock import SystemClock

from .log import Log
from .notify import Notifier
from .warm import ending

# Seconds between two looks at the bucket.
EVERY = 20.0
# Seconds between two watchdog signals; systemd expects a signal every three minutes.
SIGN = 10.0


class MembershipWatch:
    """Looks from time to time. Keeps its connections, and concludes nothing from missing answers."""

    def __init__(self, config: Config, notify: Notifier, log: Log) -> None:
        self._config, self._notify, self._log = config, notify, log
        self._work: Optional[Joiner] = None
        self._clock = SystemClock()
        self._looked_at: Optional[float] = None
        self._clock_told = False
        # The ID of this host's node, if the swarm does not have it any more.
        self.deleted: Optional[str] = None

    def must_rejoin(self) -> bool:
        """Whether this node must join again. Looks only if the last look was a while ago."""
        now = self._clock.now()
        if self._looked_at is not None and now - self._looked_at < EVERY:
            return False
        self._looked_at = now
        try:
            if self._work is None:
                self._work = joiner(*self._config.place, self._clock, lambda sentence: None, self._notify.alive)
            view = self._work.look()
            action = decide(self._work.me, view)
            self.deleted = view.membership.node_id if view.deleted else None
            # A removal deletes the node before the instance terminates. It must not join again.
            return isinstance(action, (Join, Leave, Unlock)) and not ending()
        except SwarmError:
            return False
        finally:
            self._tell_clock()

    def _tell_clock(self) -> None:
        """Log once that this host's clock is wrong, by the date of AWS's answers."""
        flaw = self._clock.flaw()
        if flaw and not self._clock_told:
            self._log.warning(flaw)
        self._clock_told = bool(flaw)

    def wait(self) -> None:
        """Return when this node must join again."""
        while not self.must_rejoin():
            self._notify.alive()
            self._clock.wait(SIGN, "the swarm to be restored without this node")
