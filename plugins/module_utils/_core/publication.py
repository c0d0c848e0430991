"""The published objects in the bucket, compared with the engine."""

from __future__ import annotations

from typing import Mapping, Optional, Protocol, Sequence, Tuple

from .errors import Unavailable
from .join import token_publication
from .join.cluster_record import ClusterRecord, InvalidClusterRecord, Published
from .join.ports import Outcome, Store


class Secrets(Protocol):
    """The engine's join tokens."""

    def tokens(self) -> Mapping[str, str]:
        """The tokens by role."""

    def swarm_id(self) -> str:
        """The swarm of the tokens."""


class Publication:
    """The cluster's record and the join tokens in the bucket."""

    def __init__(self, store: Store, engine: Secrets) -> None:
        self._store, self._engine = store, engine

    def published(self) -> Published:
        """The cluster's record in the bucket. Raises Unavailable."""
        try:
            stored = self._store.read()
        except InvalidClusterRecord as error:
            return Published(None, error.version, str(error))
        return Published(stored.value, stored.version) if stored else Published(None, None)

    def published_id(self) -> Optional[str]:
        """The ID of the published swarm; None while there is none. Raises Unavailable."""
        cluster_record = self.published().cluster_record
        return cluster_record.cluster_id if cluster_record else None

    def republish(self, record: ClusterRecord, version: Optional[str]) -> bool:
        """Write the record if the object still has that version (None: if there is none). False if it does not.

        Raises Unavailable.
        """
        outcome = self._store.create(record) if version is None else self._store.replace(record, version)
        return outcome is Outcome.WRITTEN

    def stale(self) -> Tuple[str, ...]:
        """The roles whose published token is not the engine's. Raises Unavailable."""
        secrets, swarm_id = self._engine.tokens(), self._engine.swarm_id()
        stale = []
        for role, stored in token_publication.seen(self._store).items():
            if stored is None or stored.value.cluster_id != swarm_id or stored.value.secret != secrets[role]:
                stale.append(role)
        return tuple(stale)

    def publish(self, roles: Sequence[str]) -> None:
        """Publish the engine's tokens, if its swarm is the published one. Raises Unavailable."""
        swarm_id = self._engine.swarm_id()
        if self.published_id() != swarm_id:
            raise Unavailable(f"The swarm {swarm_id} is not the published swarm, so its tokens are not published.")
        token_publication.publish(self._store, swarm_id, self._engine.tokens)
