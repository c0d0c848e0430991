"""An AWS session, on a node or on the operator's machine, and AWS's errors as sentences."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import time
import weakref
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Optional

from .._core.errors import SwarmError, Unavailable, Unreadable
from .._core.names import NODE_PYTHON
from .._core.parsing import SHAPE_ERRORS
from .clock import aws_time

try:
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        ParamValidationError,
    )
    from botocore.loaders import JSONFileLoader, create_loader
    from botocore.utils import parse_timestamp
    from urllib3.exceptions import HTTPError

    MISSING = None
except ImportError as missing:
    # For `except` clauses. Without the SDK there is no session, so nothing raises them.
    BotoCoreError = ClientError = NoCredentialsError = ParamValidationError = SwarmError
    HTTPError = SwarmError  # type: ignore[assignment, misc]
    JSONFileLoader = object
    MISSING = missing

# The SDK's exceptions: AWS's refusals, and all others.
AWS_ERRORS = (ClientError, BotoCoreError)
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 20, 3
# Answers to credentials that have expired: the metadata service has newer ones.
_STALE = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId", "InvalidAccessKeyId")
# Refusals while AWS is busy with an earlier change of the resource. The SDK does not retry them.
_BUSY, _BUSY_ATTEMPTS = ("ConcurrentModificationException", "ScalingActivityInProgress"), 6
# By partition, from the endpoint tables of the partitions' guides.
_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-eusc": "console.amazonaws-eusc.eu",
}
_loaders: weakref.WeakValueDictionary[None, Any] = weakref.WeakValueDictionary()
_CLOCK = ("RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidSignatureException")
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")
_UNKNOWN = ("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", *_CLOCK)
_SET_CLOCK = "sudo timedatectl set-ntp true"


class AwsSession:
    """The clients of a session. They observe AWS's time."""

    def __init__(
        self,
        new_session: Callable[[], Any],
        region: Optional[str] = None,
        alive: Callable[[], None] = lambda: None,
        **arguments: Any,
    ) -> None:
        """``new_session`` makes a botocore session, whose region is the default; the clients get the ``arguments``.

        ``alive`` is called before each request of a node, which may take a minute.
        """
        self._new_session, self._region, self._alive, self._arguments = new_session, region, alive, arguments
        self._made: Any = None
        self._clients: dict[str, Any] = {}

    @classmethod
    def on_node(cls, region: str, alive: Callable[[], None] = lambda: None) -> AwsSession:
        """With the credentials of the instance profile and short timeouts. Raises SwarmError if the SDK is missing."""
        if MISSING:
            raise SwarmError(
                f"The AWS SDK for Python is missing: set ansible_python_interpreter of the nodes to {NODE_PYTHON}."
            ) from MISSING

        def new_session() -> Any:
            found = botocore.session.get_session()
            # By default the SDK asks the metadata service once, for a second. A busy node may take longer.
            found.set_config_variable("metadata_service_timeout", CONNECT_SECONDS)
            found.set_config_variable("metadata_service_num_attempts", ATTEMPTS)
            found.set_config_variable("region", region)
            found.register_component("data_loader", _loader())
            found.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_timestamp)
            return found

        config = _config(ATTEMPTS, connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS)
        return cls(new_session, region, alive, config=config)

    @classmethod
    def of_options(cls, region: Optional[str], endpoint: Optional[str], connection: Mapping[str, Any]) -> AwsSession:
        """The session that a module's connection options describe, as amazon.aws reads them."""
        config = _config(8)

        def new_session() -> Any:
            found = botocore.session.Session(profile=connection.get("profile_name"))
            if connection.get("aws_access_key_id"):
                keys = (
                    connection.get(f"aws_{name}") for name in ("access_key_id", "secret_access_key", "session_token")
                )
                found.set_credentials(*keys)
            if region:
                found.set_config_variable("region", region)
            return found

        return cls(
            new_session,
            region,
            endpoint_url=endpoint,
            verify=connection["verify"],
            config=config.merge(connection["aws_config"]) if "aws_config" in connection else config,
        )

    @property
    def region(self) -> str:
        """The session's region."""
        return str(self._region or self._session.get_config_variable("region"))

    @property
    def _session(self) -> Any:
        self._made = self._made or self._new_session()
        return self._made

    @property
    def partition(self) -> str:
        """The region's partition, such as ``aws-cn``."""
        return str(self._session.get_partition_for_region(self.region))

    @property
    def dns_suffix(self) -> str:
        """The domain of the partition's endpoints."""
        config = Config(ignore_configured_endpoint_urls=True)
        client = self._session.create_client("ec2", region_name=self.region, config=config)
        return str(client.meta.endpoint_url).rpartition(f"{self.region}.")[2]

    @property
    def console(self) -> Optional[str]:
        """The address of the region's AWS console; None for an endpoint that is not AWS's."""
        domain = _CONSOLES.get(self.partition)
        if domain is None or not str(self.client("ec2").meta.endpoint_url).endswith(f".{self.dns_suffix}"):
            return None
        return f"https://{self.region}.{domain}"

    def regions(self) -> list[str]:
        """All regions of EC2 that the SDK knows, without a request."""
        return [
            region
            for partition in self._session.get_available_partitions()
            for region in self._session.get_available_regions("ec2", partition)
        ]

    def client(self, service: str) -> Any:
        """The client of a service by its name, such as ``s3``."""
        if service not in self._clients:
            client = self._session.create_client(service, **self._arguments)
            client.meta.events.register_first("before-call", _asked)
            client.meta.events.register_first("after-call", _answered)
            client.meta.events.register_first("needs-retry", _while_busy)
            self._clients[service] = client
        return self._clients[service]

    @contextlib.contextmanager
    def asked(self, what: str) -> Iterator[None]:
        """Turn the SDK's errors into :class:`Unavailable`; ``what`` describes the request, such as ``read x``."""
        self._alive()
        try:
            yield
        except SwarmError:
            raise
        except ParamValidationError as error:
            raise SwarmError(f"The AWS SDK on this node cannot {what}; it may be too old: {_line(error)}") from error
        except (*AWS_ERRORS, HTTPError, OSError) as error:
            if isinstance(error, NoCredentialsError) or code(error) in _STALE:
                self.forget()
            raise Unavailable(sentence(error, what)) from error
        except SHAPE_ERRORS as error:
            raise Unreadable(
                f"AWS's answer to the request to {what} cannot be read: {type(error).__name__}."
            ) from error

    def forget(self) -> None:
        """Fetch new credentials before the next request."""
        self._clients.clear()
        self._made = None


def listed(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
    """The items under a key on all pages of an operation's answer."""
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(key, [])


def code(error: BaseException) -> str:
    """The code of an error that AWS answered with, or an empty string."""
    return str((getattr(error, "response", None) or {}).get("Error", {}).get("Code", ""))


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


def sentence(error: Any, what: str = "") -> str:
    """An SDK's error as a sentence: the operator's, or a node's, whose request ``what`` describes."""
    if not what and (problem := login_problem(error)):
        return problem
    if isinstance(error, NoCredentialsError):
        return f"There are no AWS credentials to {what}: is the instance profile attached?"
    if isinstance(error, ClientError) and code(error):
        request = f"to {what}" if what else error.operation_name
        reason = error.response["Error"].get("Message") or "no reason given"
        hint = "" if not what else ". Is this machine's clock right?" if code(error) in _CLOCK else "."
        return f"AWS refused {request} with {code(error)}: {reason}{hint}"
    return f"AWS did not answer{f' the request to {what}' if what else ''}: {_line(error)}"


def login_problem(error: BaseException) -> str:
    """The sentence with the command to type if an SDK's error is about the operator's login; empty if it is not."""
    # By name, since older SDKs do not have all of them.
    kinds = {kind.__name__ for kind in type(error).__mro__}
    profile = os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
    of_profile, option = (f" of the profile '{profile}'", f" --profile {profile}") if profile else ("", "")
    if kinds & {"SSOError", "TokenRetrievalError"}:
        return f"The login{of_profile} is missing or has expired: run `aws sso login{_login_option(profile)}`."
    if kinds & {"LoginRefreshRequired", "LoginTokenLoadError"}:
        return f"The login{of_profile} is missing or has expired: run `aws login{_login_option(profile)}`."
    if "ProfileNotFound" in kinds:
        return (
            f"{error}: select another profile with `export AWS_PROFILE=NAME` (`aws configure list-profiles` shows the "
            "names), or create it with `aws configure`."
        )
    if kinds & {"NoCredentialsError", "PartialCredentialsError"}:
        return "There are no AWS credentials: run `aws configure`, or select a profile with `export AWS_PROFILE=NAME`."
    if "CredentialRetrievalError" in kinds:
        return f"The AWS credentials{of_profile} cannot be fetched: {_line(error)}"
    refusal, reason = code(error), str(error)
    if refusal == "RequestTimeTooSkewed" or "Signature expired" in reason or "not yet current" in reason:
        return f"This machine's clock is wrong ({refusal}): set it with `{_SET_CLOCK}`."
    if refusal in _EXPIRED:
        return (
            f"The AWS credentials{of_profile} have expired ({refusal}): run `aws sso login{_login_option(profile)}`, "
            f"or export new credentials. If they are new, set this machine's clock with `{_SET_CLOCK}`."
        )
    if refusal in _UNKNOWN or (refusal == "AuthFailure" and "credentials" in reason):
        return (
            f"AWS does not accept the credentials{of_profile} ({refusal}): correct them with `aws configure{option}`, "
            f"enable the region in the account, or set this machine's clock with `{_SET_CLOCK}`."
        )
    return ""


def _login_option(profile: Optional[str]) -> str:
    """The option for the profile that has the login: a role's is its source's."""
    profiles = botocore.session.get_session().full_config["profiles"]
    name = profile or "default"
    passed: set[str] = set()
    while name not in passed and (source := profiles.get(name, {}).get("source_profile")):
        passed.add(name)
        name = source
    return "" if name == "default" else f" --profile {name}"


def _config(attempts: int, **more: Any) -> Any:
    return Config(retries={"mode": "standard", "max_attempts": attempts}, user_agent_extra="swarm.aws", **more)


class _Models(JSONFileLoader):  # type: ignore[misc]
    """Reads the SDK's models without their documentation, which takes most of their memory."""

    def load_file(self, file_path: str) -> Any:
        """The content of a file whose ending is missing; None if there is no file."""
        for path, opened in ((Path(f"{file_path}.json"), open), (Path(f"{file_path}.json.gz"), gzip.open)):
            if path.is_file():
                with opened(path, "rb") as file:
                    return json.loads(file.read(), object_hook=_brief)
        return None


def _brief(found: dict[str, Any]) -> dict[str, Any]:
    # A shape may have a member of this name, which is a mapping.
    if isinstance(found.get("documentation"), str):
        found["documentation"] = ""
    return found


def _loader() -> Any:
    """The models of all sessions of this process, for as long as there are any."""
    loader = _loaders.get(None)
    if loader is None:
        _loaders[None] = loader = create_loader()
        loader.file_loader = _Models()
    return loader


def _timestamp(value: Any) -> Any:
    """A time in AWS's answer. The SDK's own parser takes a third of the time to read EC2's instances."""
    if isinstance(value, str) and value.endswith("Z"):
        # Python 3.9 does not read the Z, and not every number of decimals.
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(f"{value[:-1]}+00:00")
    return parse_timestamp(value)


def _asked(context: dict[str, Any], **_: object) -> None:
    context["asked_at"] = time.monotonic()


def _while_busy(response: Any, attempts: int, **_: object) -> Optional[float]:
    """Seconds until the next attempt, or None to leave it to the SDK; half a minute in all."""
    busy = response is not None and response[1].get("Error", {}).get("Code") in _BUSY
    return min(2.0 ** (attempts - 2), 8) if busy and attempts < _BUSY_ATTEMPTS else None


def _answered(http_response: Any, context: dict[str, Any], **_: object) -> None:
    """Called for errors too, such as a signature with the wrong time."""
    try:
        date = parsedate_to_datetime(http_response.headers["Date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return
    aws_time.observe(date, time.monotonic() - context["asked_at"])


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
