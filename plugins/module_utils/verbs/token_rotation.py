"""Rotate the CA, the join tokens and the unlock key, and publish them at once."""

from __future__ import annotations

from typing import Callable, Sequence

from .._core.errors import SwarmError, Unavailable
from .._core.join.ports import ROLES
from ..adapters.control_plane import ControlPlane
from ..adapters.swarm import manager_here

TOKENS, CA, UNLOCK_KEY = "tokens", "ca", "unlock_key"
# The CA comes before the tokens, which name it.
ORDER = (CA, TOKENS, UNLOCK_KEY)
# Seconds between two tries, and in which the results must be published from here.
_PAUSE, _PUBLISH_SECONDS = 1.0, 60.0


class Rotation:
    """Rotates a swarm's secrets."""

    def __init__(
        self,
        cluster: ControlPlane,
        report: Callable[[str], None],
        now: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """``report`` takes sentences; ``now`` gives monotonic seconds."""
        self._swarm, self._tokens, self._lock = cluster.swarm, cluster.tokens, cluster.lock
        self._report, self._now, self._sleep = report, now, sleep

    def check(self, wanted: Sequence[str]) -> None:
        """Raises SwarmError if it cannot be done, before anything is changed."""
        manager_here(self._swarm)
        own, published = self._swarm.swarm_id(), self._tokens.published_id()
        if published != own:
            raise SwarmError(f"This manager is in the swarm {own}, but the published swarm is {published}.")
        if UNLOCK_KEY in wanted and not self._lock.locked():
            raise SwarmError("Autolock is off, so there is no unlock key: see autolock.")
        if CA in wanted:
            down = [node.hostname or node.id for node in self._swarm.nodes() if node.state != "ready"]
            if down:
                raise SwarmError(
                    f"The CA is not rotated while nodes are down, which would get no certificate: {', '.join(down)}. "
                    "Wait for them, or remove terminated nodes with playbooks/tidy.yml."
                )

    def run(self, wanted: Sequence[str], timeout: float) -> None:
        """Rotate. Raises SwarmError; the leader's agent then publishes the rest."""
        if CA in wanted:
            self._retried("rotate the CA", self._swarm.rotate_ca)
            # The tokens name the new root as soon as its rotation begins.
            self._publish()
            self._await_ca(timeout)
        if TOKENS in wanted:
            self._retried("rotate the join tokens", self._swarm.rotate_tokens)
            self._publish()
        if UNLOCK_KEY in wanted:
            self._retried("rotate the unlock key", self._swarm.rotate_unlock_key)
            self._retried("keep the unlock key", self._lock.keep)
            self._report("The new unlock key is kept.")

    def _publish(self) -> None:
        self._retried("publish the join tokens", lambda: self._tokens.publish(ROLES))
        self._report("The new join tokens are published.")

    def _await_ca(self, timeout: float) -> None:
        deadline = self._now() + timeout
        while True:
            under_way, outdated = self._swarm.ca()
            if not under_way and not outdated:
                self._report("Every node has a certificate of the new CA.")
                return
            if self._now() >= deadline:
                raise SwarmError(
                    f"After {timeout:.0f} s these nodes have no certificate of the new CA: {', '.join(outdated)}. The "
                    "rotation continues by itself and ends when they have it, or are removed."
                )
            self._sleep(_PAUSE)

    def _retried(self, what: str, work: Callable[[], object]) -> None:
        """Try until it works, for ``_PUBLISH_SECONDS``: somebody else may change the swarm at the same moment."""
        deadline = self._now() + _PUBLISH_SECONDS
        while True:
            try:
                work()
                return
            except Unavailable as error:
                if self._now() >= deadline:
                    raise SwarmError(f"Cannot {what}: {error}") from error
            self._sleep(_PAUSE)
