"""AWS from a node: with the credentials of its instance profile and short timeouts."""

from __future__ import annotations

import contextlib
import time
from email.utils import parsedate_to_datetime
from typing import Any, Callable, Dict, Iterator

from .._core.errors import SwarmError, Unavailable, Unreadable
from .._core.parsing import SHAPE_ERRORS
from .clock import aws_time
from .optional_imports import exceptions

try:
    import boto3
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError
    from urllib3.exceptions import HTTPError

    MISSING = None
except ImportError as missing:
    BotoCoreError, ClientError, NoCredentialsError, ParamValidationError, HTTPError = exceptions(  # type: ignore[misc]
        "BotoCoreError", "ClientError", "NoCredentialsError", "ParamValidationError", "HTTPError"
    )
    MISSING = missing

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 20, 3
# Answers to credentials that have expired: the metadata service has newer ones.
_STALE = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId", "InvalidAccessKeyId")
_CLOCK = ("RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidSignatureException")


class Aws:
    """Clients of one region."""

    def __init__(self, region: str, alive: Callable[[], None] = lambda: None) -> None:
        """``alive`` is called before each request, which may take a minute. Raises SwarmError if the SDK is missing."""
        if MISSING:
            raise SwarmError("The AWS SDK for Python is missing on this node: install python3-boto3.") from MISSING
        self.region, self._alive = region, alive
        self._clients: Dict[str, Any] = {}
        self._session: Any = None

    def client(self, service: str) -> Any:
        """The client of a service by its name, such as ``s3``."""
        if service not in self._clients:
            # A session for these clients, so that `forget` drops its credentials too.
            self._session = self._session or self._new_session()
            self._clients[service] = self._session.client(
                service,
                config=Config(
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=READ_SECONDS,
                    retries={"mode": "standard", "max_attempts": ATTEMPTS},
                    user_agent_extra="swarm.aws",
                ),
            )
            self._clients[service].meta.events.register_first("before-call", _asked)
            self._clients[service].meta.events.register_first("after-call", _answered)
        return self._clients[service]

    def _new_session(self) -> Any:
        found = botocore.session.get_session()
        # By default the SDK asks the metadata service once, for a second. A busy node may take longer.
        found.set_config_variable("metadata_service_timeout", CONNECT_SECONDS)
        found.set_config_variable("metadata_service_num_attempts", ATTEMPTS)
        return boto3.session.Session(botocore_session=found, region_name=self.region)

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
        except NoCredentialsError as error:
            self.forget()
            raise Unavailable(f"There are no AWS credentials to {what}: is the instance profile attached?") from error
        except ClientError as error:
            if code(error) in _STALE:
                self.forget()
            hint = " Is this node's clock right?" if code(error) in _CLOCK else ""
            message = error.response.get("Error", {}).get("Message") or "no reason given"
            raise Unavailable(f"AWS refused to {what} with {code(error)}: {message}.{hint}") from error
        except (BotoCoreError, HTTPError, OSError) as error:
            raise Unavailable(f"AWS did not answer the request to {what}: {_line(error)}") from error
        except SHAPE_ERRORS as error:
            raise Unreadable(
                f"AWS's answer to the request to {what} cannot be read: {type(error).__name__}."
            ) from error

    def forget(self) -> None:
        """Fetch new credentials before the next request."""
        self._clients.clear()
        self._session = None


def code(error: Any) -> str:
    """The code of an error that AWS answered with, or an empty string."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def _asked(context: Dict[str, Any], **_: object) -> None:
    context["asked_at"] = time.monotonic()


def _answered(http_response: Any, context: Dict[str, Any], **_: object) -> None:
    """Called for errors too, such as a signature with the wrong time."""
    try:
        date = parsedate_to_datetime(http_response.headers["Date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return
    aws_time.observe(date, time.monotonic() - context["asked_at"])


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
