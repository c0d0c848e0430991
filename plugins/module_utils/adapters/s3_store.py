"""The cluster's bucket: the cluster record, the join tokens, the policy and the status."""

from __future__ import annotations

import json
from typing import Any, Collection, Dict, Mapping, Optional, Sequence

from .._core.join.cluster_record import ClusterRecord, InvalidClusterRecord
from .._core.join.ports import Outcome, Stored, Token
from .._core.parsing import SHAPE_ERRORS, decoded
from .._core.policy import PolicyError
from ..aws.aws_session import AwsSession, ClientError, code
from .unlock_keys import UnlockKeys

RECORD_KEY = "cluster.json"
POLICY_KEY = "policy.json"
# The swarm's nodes. The managers do not tell a node that it was deleted.
NODES_KEY = "worker/nodes.json"
# For people. Only managers may write it.
STATUS_KEY = "manager/status.json"


def token_key(role: str) -> str:
    """The object with the join token of a role."""
    return f"{role}/token"


class S3Store:
    """The core's ``Store`` in S3. The bucket's default encryption covers what is written."""

    def __init__(self, aws: AwsSession, bucket: str, keys: Optional[UnlockKeys] = None) -> None:
        """``keys`` gives the unlock keys, if they are needed."""
        self._aws, self._bucket, self._keys = aws, bucket, keys

    def read(self) -> Optional[Stored[ClusterRecord]]:
        found = self._get(RECORD_KEY)
        if found is None:
            return None
        try:
            return Stored(ClusterRecord.decode(found.value), found.version)
        except InvalidClusterRecord as error:
            error.version = found.version
            raise

    def create(self, cluster_record: ClusterRecord) -> Outcome:
        return self._put(RECORD_KEY, cluster_record.encode(), None)

    def replace(self, cluster_record: ClusterRecord, version: str) -> Outcome:
        return self._put(RECORD_KEY, cluster_record.encode(), version)

    def read_token(self, role: str) -> Optional[Stored[Token]]:
        found = self._get(token_key(role))
        if found is None:
            return None
        try:
            document = decoded(found.value)
            token = Token(str(document["cluster_id"]), str(document["token"]))
        except SHAPE_ERRORS:
            # The same as no token: the swarm's managers replace it.
            token = Token("", "")
        return Stored(token, found.version)

    def write_token(self, role: str, token: Token, version: Optional[str]) -> Outcome:
        content = json.dumps({"cluster_id": token.cluster_id, "token": token.secret}).encode()
        return self._put(token_key(role), content, version)

    def read_nodes(self, cluster_id: str) -> Optional[Stored[Collection[str]]]:
        found = self._get(NODES_KEY)
        try:
            document = decoded(found.value) if found else {}
            of_swarm, nodes = document["cluster_id"] == cluster_id, document["nodes"]
        except SHAPE_ERRORS:
            # The same as no list: the leader replaces it.
            return None
        return (
            Stored(frozenset(map(str, nodes)), found.version)
            if found and of_swarm and isinstance(nodes, list)
            else None
        )

    def write_nodes(self, cluster_id: str, nodes: Collection[str], by: str, at: str) -> None:
        """Write the list of a swarm's nodes; ``by`` is the node of the agent that does, ``at`` makes each list differ.

        Raises Unavailable.
        """
        self._write(NODES_KEY, {"at": at, "by": by, "cluster_id": cluster_id, "nodes": sorted(nodes)})

    def listed_by(self) -> Optional[Stored[str]]:
        """The node whose agent listed the nodes last; None if nobody has. Raises Unavailable."""
        found = self._get(NODES_KEY)
        try:
            return Stored(str(json.loads(found.value)["by"]), found.version) if found else None
        except (ValueError, TypeError, KeyError, RecursionError):
            return None

    def unlock_keys(self) -> Sequence[str]:
        return self._keys.read() if self._keys else []

    def policy(self) -> bytes:
        """The content of the operator's policy. Raises PolicyError if it is missing, Unavailable if unknown."""
        found = self._get(POLICY_KEY)
        if found is None:
            raise PolicyError(f"There is no {POLICY_KEY} in the bucket {self._bucket}: run site.yml.")
        return found.value

    def status(self) -> Mapping[str, Any]:
        """The last status that `write_status` wrote; empty if it is missing or cannot be read."""
        found = self._get(STATUS_KEY)
        try:
            document = decoded(found.value) if found else {}
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    def write_status(self, status: Mapping[str, Any]) -> None:
        """Write the last actions of the leader's agent and what it waits for."""
        self._write(STATUS_KEY, status)

    def _write(self, key: str, document: Mapping[str, Any]) -> None:
        content = (json.dumps(document, indent=2, default=str) + "\n").encode()
        with self._aws.asked(f"write {key} of the bucket {self._bucket}"):
            self._aws.client("s3").put_object(
                Bucket=self._bucket, Key=key, Body=content, ContentType="application/json"
            )

    def _get(self, key: str) -> Optional[Stored[bytes]]:
        with self._aws.asked(f"read {key} of the bucket {self._bucket}"):
            try:
                answer = self._aws.client("s3").get_object(Bucket=self._bucket, Key=key)
                return Stored(answer["Body"].read(), answer["ETag"])
            except ClientError as error:
                # Without the permission to list the bucket, S3 answers AccessDenied for a missing object.
                if code(error) == "NoSuchKey":
                    return None
                raise

    def _put(self, key: str, content: bytes, version: Optional[str]) -> Outcome:
        condition: Dict[str, str] = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        with self._aws.asked(f"write {key} of the bucket {self._bucket}"):
            try:
                self._aws.client("s3").put_object(
                    Bucket=self._bucket, Key=key, Body=content, ContentType="application/json", **condition
                )
            except ClientError as error:
                # S3 answers If-Match with NoSuchKey if the object does not exist.
                if code(error) in ("PreconditionFailed", "NoSuchKey"):
                    return Outcome.LOST
                if code(error) in ("ConditionalRequestConflict", "OperationAborted"):
                    return Outcome.CONFLICT
                raise
        return Outcome.WRITTEN
