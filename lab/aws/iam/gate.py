"""Lets calls in, or refuses them as AWS would."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from lab.aws import credentials, world
from lab.aws.calls import Call, CallLog, Record
from lab.aws.credentials import Role
from lab.aws.errors import AwsError
from lab.aws.iam import accesses
from lab.aws.iam.judgements import Judgements
from lab.aws.iam.policy import Access, Principal, Verdict, judge
from lab.aws.iam.queues import policy_of
from lab.state import ACCOUNT_ID, REGION

log = logging.getLogger(__name__)
ROOT = f"arn:aws:iam::{ACCOUNT_ID}:root"
_QUERY = ("autoscaling", "elbv2", "iam", "sts")


class Gate:
    """Knows who calls and judges what they may. Whoever calls holds the world's lock."""

    def __init__(self, calls: CallLog, judgements: Judgements) -> None:
        self._calls, self._judgements = calls, judgements

    def admit(self, call: Call) -> None:
        """Return if the call may go on. Raises AwsError."""
        if call.access_key is None:
            raise _unsigned(call)
        role = None if call.access_key == world.ADMINISTRATOR else self._role(call)
        wanted = accesses.of(call, _context(call, role))
        refused = self._refused(call, wanted, role)
        self._calls.add(
            Record(
                service=call.service or "",
                action=call.action,
                caller=role.name if role else world.ADMINISTRATOR,
                allowed=refused is None,
                resources=[access.resource for access in wanted or []],
                accesses=[asdict(access) for access in wanted or []],
            )
        )
        if refused is not None:
            log.info("refused %s the action %s on %s", role and role.session_arn, refused.action, refused.resource)
            raise _denied(call, refused, role)

    @staticmethod
    def _role(call: Call) -> Role:
        role = credentials.role_with_key(call.access_key or "")
        if role is None or call.token != role.token:
            raise _unknown_key(call)
        if role.expires <= datetime.now(UTC):
            raise _expired(call)
        return role

    def _refused(self, call: Call, wanted: list[Access] | None, role: Role | None) -> Access | None:
        """The first access that is not allowed."""
        if role is None:
            denied = [one for one in wanted or [] if _resource_verdict(one, None) is Verdict.DENY]
            return denied[0] if denied else None
        if wanted is None or not call.action:
            return Access(f"{call.service}:{call.action or 'Unknown'}")
        documents = _documents(role)
        for access in wanted:
            allowed = _allowed(access, documents, role)
            self._judgements.add(role.name, access, documents, _resource_policies(access), allowed=allowed)
            if not allowed:
                return access
        return _hidden(call, documents, role)


def allows(role: Role, access: Access) -> bool:
    """Whether a role may do something that is no call of the API's."""
    return _allowed(access, _documents(role), role)


def _allowed(access: Access, documents: list[Mapping[str, Any]], role: Role) -> bool:
    verdicts = {judge(documents, access), _resource_verdict(access, role)}
    return Verdict.DENY not in verdicts and Verdict.ALLOW in verdicts


def _resource_verdict(access: Access, role: Role | None) -> Verdict:
    """What the policy of the bucket or queue says."""
    principal = Principal((role.arn, role.session_arn) if role else (ROOT,))
    # A key's says that IAM decides, which the lab takes for granted.
    policies = [] if access.action.startswith("kms:") else _resource_policies(access)
    return judge(policies, access, principal)


def _resource_policies(access: Access) -> list[Mapping[str, Any]]:
    """The policy of the bucket, queue or key that is asked for, if it has one."""
    service = access.action.split(":")[0]
    name = access.resource.rsplit(":", 1)[-1].split("/")[0]
    if service == "s3":
        bucket = world.s3().buckets.get(name)
        return [json.loads(bucket.policy)] if bucket is not None and bucket.policy else []
    if service == "sqs" and name in world.sqs().queues:
        return list(policy_of(world.sqs().queues[name]))
    if service == "kms":
        key = accesses.find_key(access.resource)
        return [json.loads(key.policy)] if key is not None else []
    return []


def _hidden(call: Call, documents: list[Mapping[str, Any]], role: Role) -> Access | None:
    """Who may not list a bucket is not told that an object is not there, but that it may not be read."""
    if call.service != "s3" or call.action not in ("GetObject", "HeadObject"):
        return None
    name, key = call.parameters["Bucket"], call.parameters["Key"]
    bucket = world.s3().buckets.get(name)
    if bucket is None or accesses.stored_object(bucket, key) is not None:
        return None
    listing = Access("s3:ListBucket", f"arn:aws:s3:::{name}", {**_context(call, role), "s3:prefix": key})
    return None if _allowed(listing, documents, role) else Access("s3:GetObject", f"arn:aws:s3:::{name}/{key}")


def _documents(role: Role) -> list[Mapping[str, Any]]:
    found = next((one for one in world.iam().roles.values() if one.arn == role.arn), None)
    if found is None:
        return []
    inline = [json.loads(text) for text in found.policies.values()]
    versions = [one for policy in found.managed_policies.values() for one in policy.versions if one.is_default]
    attached = [json.loads(one.document) for one in versions]
    return inline + attached


def _context(call: Call, role: Role | None) -> dict[str, Any]:
    context: dict[str, Any] = {
        # The lab speaks plain HTTP on a wire that nobody else is on; a client cannot tell, and nor shall policies.
        "aws:SecureTransport": "true",
        "aws:SourceIp": call.source,
        "aws:RequestedRegion": call.region or REGION,
        "aws:PrincipalAccount": ACCOUNT_ID,
        "aws:PrincipalArn": role.arn if role else ROOT,
        "aws:PrincipalType": "AssumedRole" if role else "Account",
        "aws:CurrentTime": world.timestamp(),
    }
    if role:
        context["aws:userid"] = f"AROALAB:{role.session}"
        if role.session.startswith("i-"):
            context["ec2:SourceInstanceARN"] = f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:instance/{role.session}"
    return context


# AWS's many ways to say no


def _denied(call: Call, access: Access, role: Role | None) -> AwsError:
    who = role.session_arn if role else ROOT
    text = f"User: {who} is not authorized to perform: {access.action} on resource: {access.resource}"
    if call.service == "ec2":
        return AwsError("UnauthorizedOperation", f"You are not authorized to perform this operation. {text}", 403)
    if call.service in ("s3", "sqs", "route53", *_QUERY):
        return AwsError("AccessDenied", text, 403)
    return AwsError("AccessDeniedException", text, 400)


def _unknown_key(call: Call) -> AwsError:
    if call.service == "s3":
        return AwsError("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403)
    if call.service == "ec2":
        return AwsError("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
    text = "The security token included in the request is invalid."
    if call.protocol == "json" and call.service != "sqs":
        return AwsError("UnrecognizedClientException", text, 400)
    return AwsError("InvalidClientTokenId", text, 403)


def _expired(call: Call) -> AwsError:
    if call.service == "s3":
        return AwsError("ExpiredToken", "The provided token has expired.", 400)
    if call.service == "ec2":
        return AwsError("RequestExpired", "Request has expired.", 400)
    text = "The security token included in the request is expired"
    if call.protocol == "json" and call.service != "sqs":
        return AwsError("ExpiredTokenException", text, 400)
    return AwsError("ExpiredToken", text, 403)


def _unsigned(call: Call) -> AwsError:
    if call.protocol == "rest-xml":
        return AwsError("AccessDenied", "Access Denied", 403)
    return AwsError("MissingAuthenticationToken", "Missing Authentication Token", 403)
