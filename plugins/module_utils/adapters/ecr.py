"""ECR credentials for an engine, from the manager's own role."""

from __future__ import annotations

import base64
from typing import Callable, Dict

from .._core.errors import Unavailable
from .._core.registry_credentials import Grant, Registry
from ..aws.aws_session import AwsSession


class Ecr:
    """The core's ``Registries``."""

    def __init__(self, aws: AwsSession, now: Callable[[], float]) -> None:
        """``now`` gives epoch seconds."""
        self._aws: Dict[str, AwsSession] = {aws.region: aws}
        self._now = now

    def grant(self, registry: Registry) -> Grant:
        if registry.region not in self._aws:
            self._aws[registry.region] = AwsSession.on_node(registry.region)
        aws = self._aws[registry.region]
        with aws.asked(f"give credentials for the registry {registry.host}"):
            answer = aws.client("ecr").get_authorization_token()["authorizationData"][0]
            username, _colon, password = base64.b64decode(answer["authorizationToken"]).decode().partition(":")
            now = self._now()
            seconds = answer["expiresAt"].timestamp() - now
        if seconds <= 0:
            raise Unavailable(f"The credentials for {registry.host} have already expired. Is this node's clock right?")
        return Grant(username, password, now, seconds)
