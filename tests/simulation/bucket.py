"""The bucket: the cluster record and the join tokens, and the core's ``Store`` over it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ansible_collections.swarm.aws.plugins.module_utils._core.join.cluster_record import (
    FORMED,
    ClusterRecord,
    InvalidClusterRecord,
)
from ansible_collections.swarm.aws.plugins.module_utils._core.join.ports import ROLES, Outcome, Stored, Token

CLUSTER_RECORD = "cluster.json"
NODES = "worker/nodes.json"


def token_key(role: str) -> str:
    """Where a role's join token is."""
    return f"{role}/token"


class Bucket:
    """Objects with versions."""

    def __init__(self, written: Callable[[str, Any], None]) -> None:
        """``written`` is told of each object that was written."""
        self._written = written
        self.objects: dict[str, Stored[Any]] = {}
        # All that was written, by key.
        self.history: dict[str, list[Any]] = {}
        self._versions = 0

    def form(self, cluster_id: str, by: str, secrets: Mapping[str, str]) -> None:
        """As joining leaves it."""
        self.put(CLUSTER_RECORD, ClusterRecord(FORMED, by, "", 2, cluster_id))
        for role in ROLES:
            self.put(token_key(role), Token(cluster_id, secrets[role]))

    def put(self, key: str, value: Any) -> None:
        self._versions += 1
        self.objects[key] = Stored(value, f'"{self._versions}"')
        self.history.setdefault(key, []).append(value)
        self._written(key, value)

    def restore(self, key: str, value: Any) -> None:
        """Have somebody write what is not to be judged, such as an earlier version of an object."""
        self._versions += 1
        self.objects[key] = Stored(value, f'"{self._versions}"')

    def swap(self, key: str, value: Any, version: str | None) -> Outcome:
        """Write an object if it is of that version; None is 'if there is none'."""
        present = self.objects.get(key)
        if (present.version if present else None) != version:
            return Outcome.LOST
        self.put(key, value)
        return Outcome.WRITTEN

    def get(self, key: str) -> Any:
        return self.objects.get(key)


class Store:
    """The core's ``Store``; how a node gets and swaps objects is for others to say."""

    def get(self, key: str) -> Any:
        raise NotImplementedError

    def _swap(self, key: str, value: Any, version: str | None) -> Outcome:
        raise NotImplementedError

    def read(self) -> Stored[ClusterRecord] | None:
        found = self.get(CLUSTER_RECORD)
        if found and not isinstance(found.value, ClusterRecord):
            error = InvalidClusterRecord("cluster.json in the bucket is not valid JSON")
            error.version = found.version
            raise error
        return found

    def create(self, cluster_record: ClusterRecord) -> Outcome:
        return self._swap(CLUSTER_RECORD, cluster_record, None)

    def replace(self, cluster_record: ClusterRecord, version: str) -> Outcome:
        return self._swap(CLUSTER_RECORD, cluster_record, version)

    def read_nodes(self, cluster_id: str) -> Stored[Collection[str]] | None:
        found = self.get(NODES)
        return Stored(found.value[1], found.version) if found and found.value[0] == cluster_id else None

    def read_token(self, role: str) -> Stored[Token] | None:
        return self.get(token_key(role))

    def write_token(self, role: str, token: Token, version: str | None) -> Outcome:
        return self._swap(token_key(role), token, version)
