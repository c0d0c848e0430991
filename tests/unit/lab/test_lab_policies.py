"""The policy evaluator."""

from __future__ import annotations

from typing import Any

import pytest

from lab.aws.iam.conditions import hold
from lab.aws.iam.policy import Access, Principal, Verdict, judge


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


READ = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/worker/*"}


ALL_BUT = {"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::secret/*"}
QUEUE = {"Effect": "Allow", "Action": "sqs:*", "Resource": "arn:aws:sqs:*:queue"}
OWN = {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::b/${aws:PrincipalAccount}/*"}


@pytest.mark.parametrize(
    ("statement", "action", "resource", "verdict"),
    [
        (READ, "s3:GetObject", "arn:aws:s3:::b/worker/token", Verdict.ALLOW),
        (READ, "S3:getobject", "arn:aws:s3:::b/worker/a/b", Verdict.ALLOW),
        (READ, "s3:GetObject", "arn:aws:s3:::b/manager/token", Verdict.SILENT),
        (READ, "s3:PutObject", "arn:aws:s3:::b/worker/token", Verdict.SILENT),
        (READ, "s3:GetObject", "arn:aws:s3:::other/worker/token", Verdict.SILENT),
        (ALL_BUT, "s3:GetObject", "arn:aws:s3:::b/k", Verdict.ALLOW),
        (ALL_BUT, "iam:GetRole", "arn:aws:iam::1:role/r", Verdict.SILENT),
        (ALL_BUT, "s3:GetObject", "arn:aws:s3:::secret/k", Verdict.SILENT),
        # A wildcard does not match across parts of an ARN.
        (QUEUE, "sqs:SendMessage", "arn:aws:sqs:eu-west-1:1:queue", Verdict.SILENT),
        # Variables are replaced by values of the request.
        (OWN, "s3:GetObject", "arn:aws:s3:::b/42/k", Verdict.ALLOW),
        (OWN, "s3:GetObject", "arn:aws:s3:::b/43/k", Verdict.SILENT),
    ],
)
def test_a_statement_matches_actions_and_resources(
    statement: dict[str, Any], action: str, resource: str, verdict: Verdict
) -> None:
    access = Access(action, resource, {"aws:PrincipalAccount": "42"})
    assert judge([document(statement)], access) is verdict


def test_an_explicit_deny_overrides_every_allow() -> None:
    denial = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    access = Access("s3:GetObject", "arn:aws:s3:::b/worker/token")
    assert judge([document(denial), document(READ)], access) is Verdict.DENY
    assert judge([document(READ), document(denial)], access) is Verdict.DENY


def test_resource_policies_apply_to_their_principals() -> None:
    statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Principal": {"Service": "events.amazonaws.com"}}
    access = Access("sqs:SendMessage", "arn:aws:sqs:eu-west-1:1:q")
    assert judge([document(statement)], access, Principal(service="events.amazonaws.com")) is Verdict.ALLOW
    assert judge([document(statement)], access, Principal(("arn:aws:iam::1:role/r",))) is Verdict.SILENT
    account = {**statement, "Principal": {"AWS": "arn:aws:iam::1:root"}}
    assert judge([document(account)], access, Principal(("arn:aws:iam::1:role/r",))) is Verdict.ALLOW
    assert judge([document(account)], access, Principal(("arn:aws:iam::2:role/r",))) is Verdict.SILENT


CONTEXT = {
    "aws:SecureTransport": "true",
    "aws:SourceIp": "10.20.1.4",
    "aws:SourceArn": "arn:aws:events:eu-west-1:1:rule/example-events",
    "aws:ResourceTag/Env": "live",
    "names": ["a", "b"],
    "none": [],
}


@pytest.mark.parametrize(
    ("operator", "key", "value", "holds"),
    [
        ("StringEquals", "aws:resourcetag/env", "live", True),
        ("StringEquals", "aws:ResourceTag/Env", ["test", "live"], True),
        ("StringEquals", "aws:ResourceTag/Other", "live", False),
        ("StringEqualsIfExists", "aws:ResourceTag/Other", "live", True),
        ("StringNotEquals", "aws:ResourceTag/Other", "live", True),
        ("StringNotEquals", "aws:ResourceTag/Env", "live", False),
        ("StringLike", "aws:ResourceTag/Env", "l?v*", True),
        ("StringNotLike", "aws:ResourceTag/Env", "l?v*", False),
        ("ArnLike", "aws:SourceArn", "arn:aws:events:*:*:rule/example-*", True),
        ("ArnEquals", "aws:SourceArn", "arn:aws:events:eu-west-1:2:rule/example-events", False),
        ("Bool", "aws:SecureTransport", "false", False),
        ("Bool", "aws:SecureTransport", True, True),
        ("Null", "aws:ResourceTag/Other", "true", True),
        ("Null", "aws:ResourceTag/Env", "true", False),
        ("ForAllValues:StringEquals", "names", ["a", "b", "c"], True),
        ("ForAllValues:StringEquals", "names", ["a"], False),
        ("ForAllValues:StringEquals", "none", ["a"], True),
        ("ForAllValues:StringEquals", "missing", ["a"], True),
        ("ForAnyValue:StringEquals", "names", ["b"], True),
        ("ForAnyValue:StringEquals", "names", ["c"], False),
        ("ForAnyValue:StringEquals", "missing", ["a"], False),
    ],
)
def test_conditions_are_evaluated(operator: str, key: str, value: Any, holds: bool) -> None:
    assert hold({operator: {key: value}}, CONTEXT) is holds


def test_an_unknown_operator_is_an_error() -> None:
    with pytest.raises(ValueError, match="BinaryEquals"):
        hold({"BinaryEquals": {"aws:SourceIp": "x"}}, CONTEXT)
