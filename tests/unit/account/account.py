"""An AWS account in memory, which knows what was written to it and can fail in the middle of it."""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import botocore.session
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.swarm.aws.plugins.module_utils.aws import waiters
from ansible_collections.swarm.aws.plugins.module_utils.aws.aws_session import AwsSession
from ansible_collections.swarm.aws.plugins.module_utils.aws.changes import Changes
from botocore.awsrequest import AWSResponse
from moto import mock_aws
from moto.autoscaling import models

from lab.aws import cloud_map, endpoints, ipv6, launch_failures, nat, repairs
from lab.aws.autoscaling import api
from lab.aws.autoscaling.backend import LabAutoScaling
from lab.aws.grafts import Grafts

REGION = "eu-west-1"
ACCOUNT_ID = "123456789012"
READS = ("Describe", "Get", "Head", "List")
# What differs from one account to the next although it says the same.
RANDOM = re.compile(
    r"\b(vpc|subnet|igw|nat|eipalloc|rtb|rtbassoc|vpce|sg|sgr|lt|acl)-[0-9a-f]{8,}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)


class Killed(BaseException):
    """The process ends here; nothing may catch it."""


class Account:
    """An empty account, and the modules' way to it."""

    def __init__(self, new_session: Callable[[], AwsSession] | None = None) -> None:
        self.reads: list[str] = []
        self.writes: list[str] = []
        self._killed_after: int | None = None
        self._new_session = new_session or (lambda: AwsSession(_session))
        self.aws = self._new_session()

    @property
    def scaling(self) -> LabAutoScaling:
        """Auto Scaling itself, of which ``step()`` is what happens in a second."""
        backend = models.autoscaling_backends[ACCOUNT_ID][REGION]
        assert isinstance(backend, LabAutoScaling)
        return backend

    @contextmanager
    def recording(self, killed_after: int | None = None) -> Iterator[list[str]]:
        """The operations that write, in their order; ``reads`` has the others.

        The process is killed when ``killed_after`` of them have taken effect.
        """
        writes: list[str] = []
        self.reads, self.writes, self._killed_after = [], writes, killed_after
        with _hooked("before-call", self._note), _hooked("after-call", self._kill):
            yield writes

    def kills(self, call: Callable[[], object], writes: int = 1) -> bool:
        """Whether a call came to so many writes, after which its process was killed."""
        try:
            with self.recording(killed_after=writes):
                call()
        except Killed:
            return True
        return False

    @contextmanager
    def passing_time(self, module: ModuleType) -> Iterator[None]:
        """A module's time passes only while it waits, and then Auto Scaling gets on."""
        now = [0.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds
            self.scaling.step()

        with patch.object(module, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)):
            yield

    @contextmanager
    def refusing(
        self, operation: str, code: str = "AccessDenied", message: str = "Forbidden", *, times: int | None = None
    ) -> Iterator[None]:
        """AWS refuses an operation, by default as to one who has no right to it, and ``times`` is how often."""
        left = [None] * times if times is not None else None
        # To a HEAD request there is no answer but the status.
        error = {"Code": "403" if operation.startswith("Head") else code, "Message": message}
        parsed = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 403}}

        def refuse(model: Any, **_: Any) -> Any:
            if model.name != operation or left == []:
                return None
            if left:
                left.pop()
            return AWSResponse("", 403, {}, None), parsed

        with _hooked("before-call", refuse):
            yield

    def changing(self, operation: str, change: Callable[..., None]) -> AbstractContextManager[None]:
        """What EC2 answers to an operation is changed on its way."""
        return _hooked(f"after-call.ec2.{operation}", change)

    def run(
        self, arguments: Mapping[str, Any], work: Callable[..., Any], params: Mapping[str, Any], *, check: bool = False
    ) -> dict[str, Any]:
        """Run a module's work as the module would, and return what it would."""
        validated = ArgumentSpecValidator(dict(arguments)).validate(dict(params))
        assert not validated.error_messages, validated.error_messages
        changes = Changes(check)
        # Clients of its own, as a module's process has. One that was made before a recording would not be recorded.
        result = work(self._new_session(), validated.validated_parameters, changes)
        return {**changes.result(), **result}

    def _note(self, model: Any, **_: Any) -> None:
        (self.reads if model.name.startswith(READS) else self.writes).append(model.name)

    def _kill(self, model: Any, http_response: Any, **_: Any) -> None:
        if model.name.startswith(READS) or http_response.status_code >= 300:
            return
        if self._killed_after is not None and len(self.writes) >= self._killed_after:
            raise Killed(f"after {model.name}")


@contextmanager
def account() -> Iterator[Account]:
    """An empty account for as long as the context lasts.

    It has the lab's Auto Scaling instead of moto's, which forgets hooks and policies, and what else the lab puts right.
    """
    grafts = Grafts()
    for part in (api, ipv6, launch_failures, nat, repairs, endpoints):
        part.install(grafts)
    cloud_map.install(grafts, seconds=0)
    # By which moto finds the API's addresses.
    grafts.attribute(LabAutoScaling, "__module__", models.__name__)
    models.autoscaling_backends.reset()
    try:
        with (
            # No machine is booted here, and moto takes longer to make up its images than all the rest takes.
            patch.dict(os.environ, {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false"}),
            # What was made is visible at once here, so that waiting for it would only make a failing test slow.
            patch.object(waiters, "SECONDS", 0),
            mock_aws(),
        ):
            # A lab may be up for other tests.
            os.environ.pop("AWS_ENDPOINT_URL", None)
            yield Account()
    finally:
        grafts.remove()
        models.autoscaling_backends.reset()


def settled(found: Any) -> Any:
    """What AWS told, without what is random in it and in an order that can be compared."""
    return _sorted(json.loads(RANDOM.sub(lambda match: match[1] or "uuid", json.dumps(found, default=str))))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted((_sorted(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    return value


@contextmanager
def _hooked(event: str, handler: Callable[..., Any]) -> Iterator[None]:
    """Clients that are made meanwhile call the handler."""
    events = _session().get_component("event_emitter")
    events.register(event, handler)
    try:
        yield
    finally:
        events.unregister(event, handler)


@functools.cache
def _session() -> Any:
    """One for all accounts, since reading the services' models takes far longer than the calls."""
    session = botocore.session.get_session()
    session.set_credentials("test", "test")
    session.set_config_variable("region", REGION)
    return session
