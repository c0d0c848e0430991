"""Allows calls, or refuses them as AWS does."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from lab.aws import credentials, world
from lab.aws.calls import Call, CallLog, Record
from lab.aws.credentials import Administrator, Caller, Role, User
from lab.aws.errors import AwsError
from lab.aws.iam import accesses
from lab.aws.iam.judgements import Judgements
from lab.aws.iam.policy import Access, Principal, Verdict, judge, queue_policies
from lab.state import ACCOUNT_ID, REGION

log = logging.getLogger(__name__)
_EVERYTHING: Mapping[str, Any] = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
_KEY_POLICY: Mapping[str, Any] = {
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": Administrator.arn}, "Action": "kms:*", "Resource": "*"}]
}
# Code, message and HTTP status of each refusal, by service, or by the kind of protocol for all other services.
_Errors = Mapping[str, tuple[str, str, int]]
_NO_TOKEN, _OLD_TOKEN = (f"The security token included in the request is {what}" for what in ("invalid.", "expired"))
_UNKNOWN_KEY: _Errors = {
    "s3": ("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403),
    "ec2": ("AuthFailure", "AWS was not able to validate the provided access credentials", 401),
    "json": ("UnrecognizedClientException", _NO_TOKEN, 400),
    "xml": ("InvalidClientTokenId", _NO_TOKEN, 403),
}
_EXPIRED: _Errors = {
    "s3": ("ExpiredToken", "The provided token has expired.", 400),
    "ec2": ("RequestExpired", "Request has expired.", 400),
    "json": ("ExpiredTokenException", _OLD_TOKEN, 400),
    "xml": ("ExpiredToken", _OLD_TOKEN, 403),
}
_DENIED: _Errors = {
    "ec2": ("UnauthorizedOperation", "You are not authorized to perform this operation. ", 403),
    **dict.fromkeys(("s3", "sqs", "route53", "autoscaling", "elbv2", "iam", "sts"), ("AccessDenied", "", 403)),
}


class Gate:
    """Authenticates callers and authorizes calls. Callers hold the world's lock."""

    def __init__(self, calls: CallLog, judgements: Judgements) -> None:
        self._calls, self._judgements = calls, judgements

    def admit(self, call: Call) -> None:
        """Raises AwsError if the call is not allowed."""
        if call.access_key is None:
            raise _unsigned(call)
        caller = Administrator() if call.access_key == world.ADMINISTRATOR else self._caller(call)
        wanted = accesses.of(call, _context(call, caller))
        refused = self._refused(call, wanted, caller)
        self._calls.add(
            Record(
                service=call.service or "",
                action=call.action,
                caller=caller.name,
                allowed=refused is None,
                resources=[access.resource for access in wanted or []],
                accesses=[asdict(access) for access in wanted or []],
            )
        )
        if refused is not None:
            log.info("refused %s the action %s on %s", caller.session_arn, refused.action, refused.resource)
            raise _denied(call, refused, caller)

    @staticmethod
    def _caller(call: Call) -> Caller:
        caller = credentials.caller_with_key(call.access_key or "")
        if caller is None or call.token != caller.token:
            raise _error(call, _UNKNOWN_KEY)
        if caller.expires is not None and caller.expires <= datetime.now(UTC):
            raise _error(call, _EXPIRED)
        return caller

    def _refused(self, call: Call, wanted: list[Access] | None, caller: Caller) -> Access | None:
        """The first access that is not allowed."""
        if not isinstance(caller, Administrator) and (wanted is None or not call.action):
            return Access(f"{call.service}:{call.action or 'Unknown'}")
        policies = _policies(caller)
        for access in wanted or []:
            allowed = _allowed(access, policies, caller)
            self._judgements.add(
                caller.name,
                caller.session_arn,
                access,
                {
                    "identity": policies.identity,
                    "boundary": policies.boundary or [],
                    "resource_policies": _resource_policies(access),
                },
                allowed=allowed,
            )
            if not allowed:
                return access
        return _hidden(call, policies, caller)


@dataclass(frozen=True)
class _Policies:
    """A caller's policies, and their permissions boundary if they have any."""

    identity: list[Mapping[str, Any]]
    boundary: list[Mapping[str, Any]] | None = None

    def judge(self, access: Access) -> Verdict:
        own = judge(self.identity, access)
        bound = Verdict.ALLOW if self.boundary is None else judge(self.boundary, access)
        return bound if own is Verdict.ALLOW else own


def allows(caller: Caller, access: Access) -> bool:
    """Whether a caller has an access that is not an API call."""
    return _allowed(access, _policies(caller), caller)


def _allowed(access: Access, policies: _Policies, caller: Caller) -> bool:
    principal = Principal((caller.arn, caller.session_arn))
    # The lab assumes that a key's policy lets IAM decide.
    of_resource = [] if access.action.startswith("kms:") else _resource_policies(access)
    verdicts = {policies.judge(access), judge(of_resource, access, principal)}
    return Verdict.DENY not in verdicts and Verdict.ALLOW in verdicts


def _resource_policies(access: Access) -> list[Mapping[str, Any]]:
    """The policy of the requested bucket, queue or key, if it has a policy."""
    service = access.action.split(":")[0]
    name = access.resource.rsplit(":", 1)[-1].split("/")[0]
    if service == "s3":
        bucket = world.s3().buckets.get(name)
        return [json.loads(bucket.policy)] if bucket is not None and bucket.policy else []
    if service == "sqs" and name in world.sqs().queues:
        return queue_policies(world.sqs().queues[name])
    if service == "kms":
        key = accesses.find_key(access.resource)
        # The policy of a new key lets IAM decide.
        return [json.loads(key.policy) if key is not None else _KEY_POLICY]
    return []


def _hidden(call: Call, policies: _Policies, caller: Caller) -> Access | None:
    """Without s3:ListBucket, S3 answers AccessDenied for a missing object, so that it does not reveal its absence."""
    if call.service != "s3" or call.action not in ("GetObject", "HeadObject"):
        return None
    name, key = call.parameters["Bucket"], call.parameters["Key"]
    bucket = world.s3().buckets.get(name)
    if bucket is None or accesses.stored_object(bucket, key) is not None:
        return None
    listing = Access("s3:ListBucket", f"arn:aws:s3:::{name}", {**_context(call, caller), "s3:prefix": key})
    return None if _allowed(listing, policies, caller) else Access("s3:GetObject", f"arn:aws:s3:::{name}/{key}")


def _policies(caller: Caller) -> _Policies:
    if isinstance(caller, Administrator):
        return _Policies([_EVERYTHING])
    iam, entity = world.iam(), caller.entity()
    if entity is None:
        return _Policies([])
    # A user also has the policies of its groups.
    holders = [entity, *(group for group in iam.groups.values() if entity in group.users)]
    inline = [json.loads(text) for holder in holders for text in holder.policies.values()]
    attached = [policy for holder in holders for policy in holder.managed_policies.values()]
    boundary = getattr(entity, "permissions_boundary_arn", None)
    # A deleted boundary allows nothing.
    bound = _documents(filter(None, [iam.managed_policies.get(boundary)])) if boundary else None
    return _Policies(inline + _documents(attached), bound)


def _documents(managed: Iterable[Any]) -> list[Mapping[str, Any]]:
    versions = [version for policy in managed for version in policy.versions if version.is_default]
    return [json.loads(version.document) for version in versions]


def _context(call: Call, caller: Caller) -> dict[str, Any]:
    context: dict[str, Any] = {
        # The lab uses plain HTTP on a private network; policies should see TLS.
        "aws:SecureTransport": "true",
        "aws:SourceIp": call.source,
        "aws:RequestedRegion": call.region or REGION,
        "aws:PrincipalAccount": ACCOUNT_ID,
        "aws:PrincipalArn": caller.arn,
        "aws:PrincipalType": caller.kind,
        "aws:CurrentTime": world.timestamp(),
    }
    if isinstance(caller, Role):
        context["aws:userid"] = f"AROALAB:{caller.session}"
        if caller.session.startswith("i-"):
            context["ec2:SourceInstanceARN"] = f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:instance/{caller.session}"
    elif isinstance(caller, User):
        context["aws:username"] = caller.name
    return context


def _denied(call: Call, access: Access, caller: Caller) -> AwsError:
    text = f"User: {caller.session_arn} is not authorized to perform: {access.action} on resource: {access.resource}"
    code, opening, status = _DENIED.get(call.service or "", ("AccessDeniedException", "", 400))
    return AwsError(code, opening + text, status)


def _error(call: Call, errors: _Errors) -> AwsError:
    kind = "json" if call.protocol == "json" and call.service != "sqs" else "xml"
    return AwsError(*errors.get(call.service or "", errors[kind]))


def _unsigned(call: Call) -> AwsError:
    if call.protocol == "rest-xml":
        return AwsError("AccessDenied", "Access Denied", 403)
    return AwsError("MissingAuthenticationToken", "Missing Authentication Token", 403)
