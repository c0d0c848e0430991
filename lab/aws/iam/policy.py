"""Judges a request by policy documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from lab.aws.iam.conditions import Context, hold, substitute, wildcard
from lab.state import ACCOUNT_ID


class Verdict(Enum):
    """The result of policies for a request; SILENT is an implicit deny."""

    ALLOW = "allow"
    DENY = "explicit deny"
    SILENT = "no policy allows it"


@dataclass(frozen=True)
class Access:
    """An action on a resource."""

    action: str
    """Such as ``s3:GetObject``."""
    resource: str = "*"
    """An ARN, or ``*`` for actions without a resource."""
    context: Context = field(default_factory=dict)


@dataclass(frozen=True)
class Principal:
    """The caller, for resource policies."""

    arns: tuple[str, ...] = ()
    service: str | None = None


def lets(documents: Iterable[Mapping[str, Any]], service: str, access: Access, source: str) -> bool:
    """Whether a resource's policies allow an AWS service an access on behalf of the ARN ``source``."""
    context = {"aws:SourceArn": source, "aws:SourceAccount": ACCOUNT_ID, "aws:SecureTransport": "true"}
    asked = Access(access.action, access.resource, context)
    return judge(documents, asked, Principal(service=service)) is Verdict.ALLOW


def queue_policies(queue: Any) -> list[Mapping[str, Any]]:
    """The policy of moto's queue, if it has a policy."""
    policy = getattr(queue, "policy", None)
    return [json.loads(policy) if isinstance(policy, str) else policy] if policy else []


def judge(documents: Iterable[Mapping[str, Any]], access: Access, principal: Principal | None = None) -> Verdict:
    """The combined verdict of the policies; resource policies need the ``principal``."""
    verdict = Verdict.SILENT
    for document in documents:
        for statement in listed(document.get("Statement", [])):
            if not _applies(statement, access, principal):
                continue
            if statement["Effect"] == "Deny":
                return Verdict.DENY
            verdict = Verdict.ALLOW
    return verdict


def _applies(statement: Mapping[str, Any], access: Access, principal: Principal | None) -> bool:
    return (
        (principal is None or _names(statement, principal))
        and _matches(statement, "Action", lambda pattern: wildcard(pattern.lower(), access.action.lower()))
        and _matches(
            statement, "Resource", lambda pattern: _matches_arn(substitute(pattern, access.context), access.resource)
        )
        and hold(statement.get("Condition", {}), access.context)
    )


def _matches(statement: Mapping[str, Any], key: str, matches: Callable[[str], bool]) -> bool:
    """Whether a value of ``key`` matches, or no value of its ``Not…`` key. Without both, everything matches."""
    if key in statement:
        return any(map(matches, listed(statement[key])))
    return not any(map(matches, listed(statement.get(f"Not{key}", []))))


def _matches_arn(pattern: str, resource: str) -> bool:
    if pattern == "*" or not resource.startswith("arn:"):
        return wildcard(pattern, resource)
    # By segment, so that a wildcard does not match across segments; missing segments match everything.
    patterns, segments = pattern.split(":", 5), resource.split(":", 5)
    patterns += ["*"] * (6 - len(patterns))
    return all(wildcard(*pair) for pair in zip(patterns, segments, strict=True))


def _names(statement: Mapping[str, Any], principal: Principal) -> bool:
    if "NotPrincipal" in statement:
        return not _named(statement["NotPrincipal"], principal)
    return _named(statement.get("Principal", {}), principal)


def _named(named: Any, principal: Principal) -> bool:
    if named == "*":
        return True
    if principal.service is not None and principal.service in listed(named.get("Service", [])):
        return True
    for arn_or_account in listed(named.get("AWS", [])):
        account = arn_or_account.split(":")[4] if arn_or_account.count(":") >= 4 else arn_or_account
        whole_account = arn_or_account.endswith(":root") or arn_or_account.isdigit()
        if arn_or_account == "*" or arn_or_account in principal.arns:
            return True
        if whole_account and any(f":{account}:" in arn for arn in principal.arns):
            return True
    return False


def listed(value: Any) -> list[Any]:
    """A policy's value as a list; a single value may be given without a list."""
    return value if isinstance(value, list) else [value]
