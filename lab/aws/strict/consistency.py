"""What other calls do not see yet, and what they still see: AWS's services are eventually consistent."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lab.aws import account, world
from lab.aws.calls import Call
from lab.aws.errors import AwsError

Contents = MutableMapping[str, Any]
_TAGGING = ("resourcegroupstaggingapi", "GetResources")


@dataclass(frozen=True)
class _Kind:
    """A kind of resource, created and deleted by calls of its service."""

    service: str
    contents: Callable[[], Contents]
    """moto's resources of this kind."""
    keys: tuple[str, ...] = ()
    """The parameters that name such a resource; none if it is visible at once."""
    create: str = ""
    missing: AwsError | None = None
    """The answer while it is not visible."""
    hidden_from: str = ""
    """Another service, which does not see it until then."""
    delete: str = ""
    seen_by: tuple[str, ...] = ()
    """Actions that still see a deleted resource, beside the tagging service."""
    seen_briefly_by: tuple[str, ...] = ()
    """Actions that see it only as long as others do not see what is new."""
    name: Callable[[Any], str] = lambda resource: str(resource.name)
    again: AwsError | None = None
    """The answer to its creation soon after its deletion."""


_NO_QUEUE = AwsError("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
_NO_ENTITY = AwsError("NoSuchEntity", "The entity cannot be found.", 404)
_KINDS = (
    _Kind(
        "sqs",
        lambda: world.sqs().queues,
        ("QueueName", "QueueUrl"),
        "CreateQueue",
        _NO_QUEUE,
        delete="DeleteQueue",
        seen_by=("ListQueues", "GetQueueAttributes", "ListQueueTags", "SendMessage"),
        again=AwsError(
            "AWS.SimpleQueueService.QueueDeletedRecently",
            "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
        ),
    ),
    _Kind(
        "s3",
        lambda: world.s3().buckets,
        create="CreateBucket",
        delete="DeleteBucket",
        seen_by=("ListBuckets",),
        seen_briefly_by=("HeadBucket",),
        again=AwsError(
            "OperationAborted",
            "A conflicting conditional operation is currently in progress against this resource. Please try again.",
            409,
        ),
    ),
    _Kind(
        "iam",
        lambda: world.iam().roles,
        ("RoleName",),
        "CreateRole",
        _NO_ENTITY,
        delete="DeleteRole",
        seen_by=("ListRoles", "GetRole"),
    ),
    _Kind(
        "iam",
        lambda: world.iam().instance_profiles,
        ("InstanceProfileName",),
        "CreateInstanceProfile",
        _NO_ENTITY,
        "autoscaling",
        "DeleteInstanceProfile",
        ("ListInstanceProfiles", "GetInstanceProfile"),
    ),
    _Kind(
        "kms",
        lambda: world.kms().keys,
        ("KeyId", "TargetKeyId"),
        "CreateKey",
        AwsError("NotFoundException", "The key does not exist"),
        name=lambda key: str(key.id),
    ),
    _Kind(
        "ec2",
        lambda: {group.id: group for groups in world.ec2().groups.values() for group in groups.values()},
        ("GroupId", "GroupIds"),
        "CreateSecurityGroup",
        AwsError("InvalidGroup.NotFound", "The security group does not exist"),
        name=lambda group: str(group.id),
    ),
    _Kind("sns", lambda: world.sns().topics, delete="DeleteTopic"),
    _Kind("logs", lambda: world.logs().groups, delete="DeleteLogGroup"),
    _Kind("cloudwatch", lambda: world.cloudwatch().alarms, delete="DeleteAlarms"),
    _Kind("secretsmanager", lambda: world.secretsmanager().secrets, delete="DeleteSecret"),
)


@dataclass
class _Past:
    """A resource as it was until a change, which some calls do not see before ``until``."""

    kind: _Kind
    key: str
    resource: Any
    until: float
    seen_by: tuple[str, ...]
    deleted: bool

    def is_seen_by(self, call: Call) -> bool:
        by = (call.service, call.action)
        return (self.deleted and by == _TAGGING) or (call.service == self.kind.service and call.action in self.seen_by)


class Consistency:
    """Delays what the calls of an account see. Callers hold the world's lock."""

    def __init__(self) -> None:
        self._born: list[tuple[_Kind, str, float]] = []
        """The kind and key of what is not visible, and until when."""
        self._past: list[_Past] = []

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """A call while it is answered. Raises AwsError if it names what is not visible or was deleted a moment ago."""
        profile, now = account.current, time.monotonic()
        if not profile.visible_seconds and not profile.linger_seconds:
            yield
            return
        self._born = [item for item in self._born if item[2] > now]
        self._past = [past for past in self._past if past.until > now]
        self._check(call)
        changing = [kind for kind in _KINDS if kind.service == call.service]
        before = {kind: dict(kind.contents()) for kind in changing if call.action in (kind.create, kind.delete)}
        if (call.service, call.action) == ("sqs", "SetQueueAttributes"):
            self._keep_attributes(changing[0], str(call.parameters.get("QueueUrl")).rsplit("/", 1)[-1], now)
        with self._shown(call):
            yield
        for kind, resources in before.items():
            present = kind.contents()
            for key in present:
                if key not in resources and kind.missing:
                    self._born.append((kind, key, now + profile.visible_seconds))
            for key, resource in resources.items():
                if key not in present:
                    for seconds, seen_by in (
                        (profile.linger_seconds, kind.seen_by),
                        (profile.visible_seconds, kind.seen_briefly_by),
                    ):
                        self._past.append(_Past(kind, key, resource, now + seconds, seen_by, deleted=True))

    def _check(self, call: Call) -> None:
        for kind, key, _ in self._born:
            if call.service != kind.service or call.action == kind.create or key not in kind.contents():
                continue
            named = {value.rsplit("/", 1)[-1] for value in _values(call.parameters, kind.keys)}
            if kind.name(kind.contents()[key]) in named and kind.missing:
                raise kind.missing
        for past in self._past:
            given = call.parameters.get("QueueName") or call.parameters.get("Bucket")
            if past.deleted and past.kind.again and call.action == past.kind.create and given == past.key:
                raise past.kind.again

    def _keep_attributes(self, kind: _Kind, name: str, now: float) -> None:
        queue = kind.contents().get(name)
        if queue is not None:
            until = now + account.current.visible_seconds
            self._past.append(_Past(kind, name, copy.copy(queue), until, ("GetQueueAttributes",), deleted=False))

    @contextmanager
    def _shown(self, call: Call) -> Iterator[None]:
        """Put the past where the call looks."""
        replaced: list[tuple[Contents, str, Any]] = []
        for kind, key, _ in self._born:
            if call.service == kind.hidden_from:
                contents = kind.contents()
                replaced.append((contents, key, contents.pop(key) if key in contents else None))
        for past in self._past:
            contents = past.kind.contents()
            if past.is_seen_by(call) and past.deleted == (past.key not in contents):
                replaced.append((contents, past.key, contents.get(past.key)))
                contents[past.key] = past.resource
        try:
            yield
        finally:
            for contents, key, resource in reversed(replaced):
                if resource is not None:
                    contents[key] = resource
                elif key in contents:
                    contents.pop(key)


def _values(parameters: Any, keys: tuple[str, ...]) -> Iterator[str]:
    """The strings under these keys, at any depth."""
    if isinstance(parameters, Mapping):
        for key, value in parameters.items():
            if key in keys:
                yield from (item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str))
            yield from _values(value, keys)
    elif isinstance(parameters, list):
        for item in parameters:
            yield from _values(item, keys)
