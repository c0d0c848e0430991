"""The unlock keys of the managers' state, in the cluster's secret in Secrets Manager, which only managers may read."""

from __future__ import annotations

import json
from typing import List, Sequence

from .._core.errors import SwarmError
from .._core.names import unlock_secret
from .._core.parsing import SHAPE_ERRORS, decoded
from .aws import Aws, ClientError, code
from .swarm import DockerSwarm

# Those from before are kept, for a manager that was down meanwhile and for backups of that time.
KEPT = 20


class UnlockKeys:
    """Every method raises Unavailable when Secrets Manager does not answer, or refuses. No message has a key in it."""

    def __init__(self, aws: Aws, cluster: str) -> None:
        self._aws, self._secret = aws, unlock_secret(cluster)

    def read(self) -> List[str]:
        """The keys, the newest first; none if none was kept yet."""
        with self._aws.asked(f"read the secret {self._secret}"):
            try:
                text = self._aws.client("secretsmanager").get_secret_value(SecretId=self._secret)["SecretString"]
            except ClientError as error:
                # It is there without a value, or not at all.
                if code(error) == "ResourceNotFoundException":
                    return []
                raise
        try:
            return [str(key) for key in decoded(text)["keys"]]
        except SHAPE_ERRORS:
            raise SwarmError(f"The secret {self._secret} is not one that the agents wrote.") from None

    def add(self, key: str) -> None:
        """Keep a key as the newest one."""
        self.write([key, *(older for older in self.read() if older != key)][:KEPT])

    def write(self, keys: Sequence[str]) -> None:
        """Keep these and no others."""
        with self._aws.asked(f"write the secret {self._secret}"):
            try:
                self._aws.client("secretsmanager").put_secret_value(
                    SecretId=self._secret, SecretString=json.dumps({"keys": list(keys)})
                )
            except ClientError as error:
                if code(error) == "ResourceNotFoundException":
                    raise SwarmError(f"There is no secret {self._secret}: run site.yml with autolock: true.") from error
                raise


class Locks:
    """The core's ``Lock``: the swarm's own setting and key, and where the key is kept."""

    def __init__(self, swarm: DockerSwarm, keys: UnlockKeys) -> None:
        self._swarm, self._keys = swarm, keys

    def locked(self) -> bool:
        return self._swarm.locked()

    def lock(self, wanted: bool) -> None:
        # There must be a place for the key before there is one.
        if wanted:
            self._keys.write(self._keys.read())
        self._swarm.lock(wanted)
        if wanted:
            self.keep()

    def kept(self) -> bool:
        key = self._swarm.unlock_key()
        return not key or key in self._keys.read()[:1]

    def keep(self) -> None:
        key = self._swarm.unlock_key()
        if key:
            self._keys.add(key)
