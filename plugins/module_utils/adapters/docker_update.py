"""Updates for which the Docker SDK has no call: a service or a config, by its whole specification."""

from __future__ import annotations

from typing import Any, Mapping, Optional

try:
    from docker.errors import create_api_error_from_http_exception
    from requests.exceptions import HTTPError
except ImportError:
    # Never called then: without the SDK there is no client.
    pass


def update(
    api: Any, path: str, version: int, spec: Mapping[str, Any], headers: Optional[Mapping[str, str]] = None
) -> None:
    """``api`` is a ``docker.APIClient``, ``path`` such as ``services/ID``. Raises docker.errors.APIError."""
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
