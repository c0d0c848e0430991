"""What the bucket publishes about the swarm, beside what the engine says."""

from __future__ import annotations

from typing import Mapping, Optional, Protocol, Sequence, Tuple

from .errors import Unavailable
from .join import tokens
from .join.ports import Store


class Secrets(Protocol):
    """The engine's join tokens."""

    def tokens(self) -> Mapping[str, str]:
        """By role."""

    def swarm_id(self) -> str:
        """The swarm that they are for."""


class Published:
    """The truth and the join tokens in the bucket."""

    def __init__(self, store: Store, engine: Secrets) -> None:
        self._store, self._engine = store, engine

    def published_id(self) -> Optional[str]:
        """The ID of the published swarm; None while there is none. Raises Unavailable."""
        stored = self._store.read()
        return stored.value.cluster_id if stored else None

    def stale(self) -> Tuple[str, ...]:
        """Roles whose published token is not the engine's. Raises Unavailable."""
        secrets, swarm_id = self._engine.tokens(), self._engine.swarm_id()
        stale = []
        for role, stored in tokens.seen(self._store).items():
            if stored is None or stored.value.cluster_id != swarm_id or stored.value.secret != secrets[role]:
                stale.append(role)
        return tuple(stale)

    def publish(self, roles: Sequence[str]) -> None:
        """Publish the engine's tokens, if its swarm is the published one. Raises Unavailable."""
        swarm_id = self._engine.swarm_id()
        if self.published_id() != swarm_id:
            raise Unavailable(f"The swarm {swarm_id} is not the published one, so its tokens are not published.")
        tokens.publish(self._store, swarm_id, self._engine.tokens)
