"""The bucket: the published truth, the join tokens, the policy and the status document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import ROLES, Outcome, Stored, Token
from ansible_collections.swarm.aws.plugins.module_utils._core.join.truth import FORMED, Truth

if TYPE_CHECKING:
    from .world import World

TRUTH = "cluster.json"


def token_key(role: str) -> str:
    """Where a role's join token is."""
    return f"{role}/token"


class Bucket:
    """Objects with versions."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.objects: dict[str, Stored[Any]] = {}
        self._versions = 0

    def form(self, cluster_id: str, by: str, secrets: Mapping[str, str]) -> None:
        """As joining leaves it."""
        self.put(TRUTH, Truth(FORMED, by, "", 2, cluster_id))
        for role in ROLES:
            self.put(token_key(role), Token(cluster_id, secrets[role]))

    def put(self, key: str, value: Any) -> None:
        self._versions += 1
        self.objects[key] = Stored(value, f'"{self._versions}"')
        self._world.invariants.bucket(key, value)

    def swap(self, key: str, value: Any, version: str | None) -> Outcome:
        """Write an object if it is of that version; None is 'if there is none'."""
        present = self.objects.get(key)
        if (present.version if present else None) != version:
            return Outcome.LOST
        self.put(key, value)
        return Outcome.WRITTEN

    def get(self, key: str) -> Any:
        return self.objects.get(key)
