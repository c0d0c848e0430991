"""The operator's AWS session, and AWS errors as sentences."""

from __future__ import annotations

from typing import Any, Callable, Iterator

from ansible_collections.amazon.aws.plugins.module_utils.botocore import get_aws_connection_info
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ..adapters.optional_imports import exceptions

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound
except ImportError:
    # AnsibleAWSModule says what to install.
    BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound = exceptions(
        "BotoCoreError", "ClientError", "NoCredentialsError", "ProfileNotFound"
    )

# The SDK's exceptions: AWS's refusals, and all others.
AWS_ERRORS = (ClientError, BotoCoreError)


class AwsSession:
    """The clients of a session, which count their requests."""

    def __init__(self, session: Any, **arguments: Any) -> None:
        self._session = session
        self._arguments = arguments
        self._clients: dict[str, Any] = {}
        self.calls = 0

    @classmethod
    def of_module(cls, module: AnsibleAWSModule) -> AwsSession:
        """The session that the module's connection options describe."""
        region, endpoint, connection = get_aws_connection_info(module)
        config = Config(retries={"mode": "standard", "max_attempts": 8}, user_agent_extra="swarm.aws")
        if "aws_config" in connection:
            config = config.merge(connection["aws_config"])
        session = boto3.session.Session(
            aws_access_key_id=connection["aws_access_key_id"],
            aws_secret_access_key=connection["aws_secret_access_key"],
            aws_session_token=connection["aws_session_token"],
            region_name=region,
            profile_name=connection.get("profile_name"),
        )
        return cls(session, endpoint_url=endpoint, verify=connection["verify"], config=config)

    def __getattr__(self, service: str) -> Any:
        """The client of a service by its name, such as ``aws.ec2``."""
        if service.startswith("_"):
            raise AttributeError(service)
        if service not in self._clients:
            client = self._session.client(service, **self._arguments)
            client.meta.events.register("before-send", self._count)
            self._clients[service] = client
        return self._clients[service]

    @property
    def region(self) -> str:
        """The session's region."""
        return self._session.region_name

    def regions(self) -> list[str]:
        """All regions of EC2 that the SDK knows, without a request."""
        return [
            region
            for partition in self._session.get_available_partitions()
            for region in self._session.get_available_regions("ec2", partition)
        ]

    def _count(self, **_: Any) -> None:
        self.calls += 1


def listed(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
    """The items under a key on all pages of an operation's answer."""
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(key, [])


def code(error: Exception) -> str:
    """The code of an error that AWS answered with, or an empty string."""
    return getattr(error, "response", {}).get("Error", {}).get("Code", "")


def unless_missing(call: Callable[..., Any], *codes: str, **arguments: Any) -> Any:
    """The call's result, or None if AWS answers with any of the codes, which mean that the resource is missing."""
    try:
        return call(**arguments)
    except ClientError as error:
        if code(error) in codes:
            return None
        raise


def not_found(error: Exception) -> bool:
    """Whether EC2 does not know an ID, which may be an ID that it returned a moment ago."""
    return code(error).endswith(".NotFound")


def sentence(error: Exception) -> str:
    """An SDK's error as a sentence."""
    if isinstance(error, NoCredentialsError):
        return "There are no AWS credentials: set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    if isinstance(error, ProfileNotFound):
        return f"{error}: correct AWS_PROFILE, or add the profile to your AWS configuration."
    if isinstance(error, ClientError) and code(error):
        answer = error.response["Error"]
        return f"AWS refused {error.operation_name} with {answer['Code']}: {answer.get('Message') or 'no reason given'}"
    return f"AWS did not answer: {error}"
