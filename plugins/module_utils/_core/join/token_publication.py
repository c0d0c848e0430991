"""Publishing the join tokens."""

from __future__ import annotations

from typing import Callable, Mapping, Optional

from ..change import Change
from ..errors import Unavailable
from .ports import ROLES, Outcome, Store, Stored, Token

Seen = Mapping[str, Optional[Stored[Token]]]


def seen(store: Store) -> Seen:
    """The stored token of each role."""
    return {role: store.read_token(role) for role in ROLES}


def foreign(present: Seen, cluster_id: str) -> bool:
    """Whether a token is missing or of another swarm."""
    return any(stored is None or stored.value.cluster_id != cluster_id for stored in present.values())


def write(store: Store, present: Seen, cluster_id: str, secrets: Mapping[str, str]) -> list[Change]:
    """Write the swarm's tokens, unless they were written since they were ``seen``.

    Raises Unavailable in that case: decide again.
    """
    changes = []
    for role in ROLES:
        stored, wanted = present[role], Token(cluster_id, secrets[role])
        if stored is not None and stored.value == wanted:
            continue
        outcome = store.write_token(role, wanted, stored.version if stored else None)
        if outcome is not Outcome.WRITTEN:
            raise Unavailable(f"The join token of {role}s was not written: {outcome.value}.")
        before = {"swarm": stored.value.cluster_id} if stored else None
        changes.append(Change(f"published join token of {role}s", before, {"swarm": cluster_id}))
    return changes


def publish(store: Store, cluster_id: str, secrets: Callable[[], Mapping[str, str]]) -> list[Change]:
    """Publish the tokens of the published swarm; ``secrets`` reads the engine's, by role.

    For a manager of that swarm only. Raises Unavailable if another process wrote at the same time.
    """
    present = seen(store)
    # Read the secrets last, or tokens from before a rotation could overwrite newer tokens.
    return write(store, present, cluster_id, secrets())
