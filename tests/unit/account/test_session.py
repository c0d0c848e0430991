"""Waiting for what AWS does not see yet, and its errors as sentences."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from ansible_collections.swarm.aws.plugins.module_utils.aws import aws_session, waiters
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from tests.unit.account.account import account


def refusal(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "CreateRoute")


class World:
    """Refuses with one error after the other, and has a clock that only sleeping moves."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.now, self.calls = list(errors), 0.0, 0

    def call(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def once_visible(self) -> str:
        with patch.object(waiters, "time", self):
            return waiters.once_visible(self.call, aws_session.not_found)


def test_a_resource_that_is_not_visible_yet_is_requested_again() -> None:
    world = World(refusal("InvalidVpcID.NotFound"), refusal("InvalidVpcID.NotFound"))
    assert world.once_visible() == "done"
    assert world.calls == 3


def test_a_resource_that_never_becomes_visible_raises_its_error_in_time() -> None:
    world = World(*[refusal("InvalidVpcID.NotFound")] * 100)
    with pytest.raises(ClientError, match=r"InvalidVpcID\.NotFound"):
        world.once_visible()
    assert 60 < world.now <= 90


def test_another_error_is_raised_at_once() -> None:
    world = World(refusal("UnauthorizedOperation"))
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        world.once_visible()
    assert world.now == 0


def test_only_the_named_codes_mean_missing() -> None:
    assert aws_session.unless_missing(World(refusal("NoSuchEntity")).call, "NoSuchEntity") is None
    assert aws_session.unless_missing(World().call, "NoSuchEntity") == "done"
    with pytest.raises(ClientError, match="Throttling"):
        aws_session.unless_missing(World(refusal("Throttling")).call, "NoSuchEntity")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NoCredentialsError(), "There are no AWS credentials: run `aws configure`"),
        (refusal("AccessDenied", "not you"), "AWS refused CreateRoute with AccessDenied: not you"),
        (refusal("AccessDenied"), "AWS refused CreateRoute with AccessDenied: no reason given"),
        (refusal("AuthFailure", "Not authorized for images: [ami-1]"), "AWS refused CreateRoute with AuthFailure: Not"),
        (EndpointConnectionError(endpoint_url="https://ec2"), "AWS did not answer: Could not connect"),
    ],
)
def test_errors_are_sentences(error: Exception, sentence: str) -> None:
    assert aws_session.sentence(error).startswith(sentence)


def test_a_client_is_created_once() -> None:
    with account() as world:
        assert world.aws.client("ec2") is world.aws.client("ec2")
