"""The managers' unlock keys, in the cluster's secret in Secrets Manager. Only managers may read it."""

from __future__ import annotations

import json
from typing import List, Sequence

from .._core.errors import SwarmError
from .._core.names import unlock_secret
from .._core.parsing import SHAPE_ERRORS, decoded
from ..aws.aws_session import AwsSession, ClientError, code
from .swarm import DockerSwarm

# Old keys are kept for managers that were down during a rotation and for old backups.
KEPT = 20


class UnlockKeys:
    """Every method raises Unavailable when Secrets Manager does not answer, or refuses. No message contains a key."""

    def __init__(self, aws: AwsSession, cluster: str) -> None:
        self._aws, self._secret = aws, unlock_secret(cluster)

    def read(self) -> List[str]:
        """The keys, the newest first; empty if none is kept yet."""
        with self._aws.asked(f"read the secret {self._secret}"):
            try:
                text = self._aws.client("secretsmanager").get_secret_value(SecretId=self._secret)["SecretString"]
            except ClientError as error:
                # The secret has no value, or does not exist.
                if code(error) == "ResourceNotFoundException":
                    return []
                raise
        try:
            return [str(key) for key in decoded(text)["keys"]]
        except SHAPE_ERRORS:
            raise SwarmError(
                f"The secret {self._secret} is not what the agents write: a JSON object with the list 'keys'."
            ) from None

    def add(self, key: str) -> None:
        """Keep a key as the newest key."""
        self.write([key, *(older for older in self.read() if older != key)][:KEPT])

    def write(self, keys: Sequence[str]) -> None:
        """Keep these keys and no others."""
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
    """The core's ``Lock``: the swarm's setting and key, and the secret that keeps the key."""

    def __init__(self, swarm: DockerSwarm, keys: UnlockKeys) -> None:
        self._swarm, self._keys = swarm, keys

    def locked(self) -> bool:
        return self._swarm.locked()

    def lock(self, wanted: bool) -> None:
        # Fail before the swarm makes a key if the secret cannot be written.
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
