"""An engine's API through the Docker SDK, and its errors as sentences."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator, Mapping, Optional

from .._core.errors import SwarmError, Unavailable, Unreadable
from .._core.join.ports import MANAGER, WORKER
from .._core.names import NODE_PYTHON
from .._core.parsing import SHAPE_ERRORS

try:
    import docker
    from docker.errors import APIError, DockerException, create_api_error_from_http_exception
    from requests.exceptions import HTTPError, RequestException

    MISSING = None
except ImportError as missing:
    # For `except` clauses. Without the SDK there is no client, so nothing raises them.
    APIError = DockerException = SwarmError
    HTTPError = RequestException = SwarmError  # type: ignore[assignment, misc]
    MISSING = missing

SOCKET = "unix:///var/run/docker.sock"


class EngineApi:
    """An engine's API. Connects on first use, since the engine may come up later."""

    def __init__(self, url: str, seconds: int) -> None:
        """``seconds`` is the time in which it must answer. Raises SwarmError if the SDK is missing."""
        if MISSING:
            raise SwarmError(
                f"The Docker SDK for Python is missing: set ansible_python_interpreter of the nodes to {NODE_PYTHON}."
            ) from MISSING
        self._url, self._seconds = url, seconds
        self._connected: Any = None

    def _connect(self, seconds: int) -> Any:
        return docker.APIClient(base_url=self._url, version="auto", timeout=seconds)

    @property
    def _api(self) -> Any:
        if self._connected is None:
            self._connected = self._connect(self._seconds)
        return self._connected

    @contextlib.contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        try:
            yield
        except SwarmError:
            raise
        except APIError as error:
            raise Unavailable(f"The engine refused to {what}: {one_line(explained(error))}") from error
        except (DockerException, RequestException, OSError) as error:
            self._connected = None
            found = _innermost(error)
            hint = " (is this user in the group docker?)" if found == "Permission denied" else ""
            raise Unavailable(f"The engine does not answer when asked to {what}: {found}{hint}") from error
        except SHAPE_ERRORS as error:
            raise Unreadable(f"The engine's answer cannot be read when asked to {what}: {_raised(error)}.") from error

    def _update_object(
        self, path: str, version: int, spec: Mapping[str, Any], headers: Optional[Mapping[str, str]] = None
    ) -> None:
        """Update a service or a config by its whole specification, for which the SDK has no call.

        ``path`` is such as ``services/ID``. Raises docker.errors.APIError.
        """
        api = self._api
        answer = api.post(
            f"{api.base_url}/v{api.api_version}/{path}/update",
            params={"version": version},
            json=spec,
            headers=headers,
            timeout=api.timeout,
        )
        try:
            answer.raise_for_status()
        except HTTPError as error:
            create_api_error_from_http_exception(error)

    def tokens(self) -> Mapping[str, str]:
        """The swarm's present join tokens by role. Raises Unavailable."""
        with self._asked("return the join tokens"):
            tokens = self._api.inspect_swarm()["JoinTokens"]
            return {MANAGER: str(tokens["Manager"]), WORKER: str(tokens["Worker"])}


def explained(error: Any) -> str:
    """The engine's own words in an APIError."""
    return str(error.explanation or error)


def one_line(reason: str) -> str:
    """The engine's reason on one line, without its RPC prefix."""
    return " ".join(reason.replace("rpc error: ", "").split())


def _raised(error: Exception) -> str:
    """The error in an answer: the name of a missing key, which is not secret, otherwise only the error's type."""
    return f"it has no {error}" if isinstance(error, KeyError) else type(error).__name__


def _innermost(error: BaseException) -> str:
    """The operating system's message inside the SDK's nested errors."""
    inner: Optional[BaseException] = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__context__
    return " ".join(str(error).split())
