"""The lab's ECR requires a valid token and a role with permission to pull."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator

import pytest

from lab.aws import ecr, world
from lab.aws.calls import CallLog
from lab.aws.credentials import Role
from lab.aws.serving import Serving
from tests.unit.lab.fakes import LittleAws, Page

pytestmark = pytest.mark.real("a server: the registry is asked over HTTP")


@pytest.fixture
def registry(aws: LittleAws) -> Iterator[ecr.Registry]:
    backend = Serving("127.0.0.1", 0, Page)
    aws.client("ecr").create_repository(repositoryName="library/python")
    found = ecr.Registry("127.0.0.1", 0, ("127.0.0.1", backend.port), CallLog())
    yield found
    found.stop()
    backend.stop()


def get(registry: ecr.Registry, password: str | None, path: str = "library/python/manifests/3") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", registry.port, timeout=30)
    headers = {}
    if password is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(f"AWS:{password}".encode()).decode()
    connection.request("GET", f"/v2/{path}", headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def token(aws: LittleAws) -> str:
    answer = aws.client("ecr").get_authorization_token()["authorizationData"][0]
    assert answer["proxyEndpoint"] == "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    return base64.b64decode(answer["authorizationToken"]).decode().removeprefix("AWS:")


def test_a_token_allows_pulls_until_it_expires(aws: LittleAws, registry: ecr.Registry) -> None:
    assert get(registry, None)[0] == 401
    assert get(registry, "guessed")[0] == 401
    good = token(aws)
    assert get(registry, good) == (200, "127.0.0.1")
    assert get(registry, good, "library/python/blobs/sha256:1") == (200, "127.0.0.1")
    assert get(registry, good, "library/other/manifests/3")[0] == 404
    ecr.shorten(0)
    status, body = get(registry, good)
    assert status == 403
    assert "has expired" in json.loads(body)["errors"][0]["message"]


def test_a_role_pulls_only_what_its_policy_allows(
    aws: LittleAws, registry: ecr.Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = Role("example-manager", "arn:aws:iam::123456789012:role/example-manager", "i-1", "t", None)  # type: ignore[arg-type]
    allowed: list[str] = []
    monkeypatch.setattr(ecr.credentials, "caller_with_key", lambda key: role)
    monkeypatch.setattr(ecr, "allows", lambda role, access: allowed.append(f"{access.action} {access.resource}"))
    status, body = get(registry, token(aws))
    assert status == 403
    assert "is not authorized to perform: ecr:BatchGetImage" in body
    assert allowed == ["ecr:BatchGetImage arn:aws:ecr:eu-west-1:123456789012:repository/library/python"]
    assert world.ecr().repositories
