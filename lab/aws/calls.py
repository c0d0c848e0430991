"""Parses requests into AWS calls, and logs all calls."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model

from lab.state import REGION

log = logging.getLogger(__name__)
# Signing names that differ from botocore's service names.
_SERVICES = {
    "monitoring": "cloudwatch",
    "eventbridge": "events",
    "tagging": "resourcegroupstaggingapi",
    "elasticloadbalancing": "elbv2",
    "servicequotas": "service-quotas",
}
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_CBOR_PATH = re.compile(r"/service/[^/]+/operation/(\w+)$")
KEPT = 10000


@dataclass(frozen=True)
class Call:
    """A parsed request."""

    service: str | None
    """botocore's name; None for an unsigned request."""
    action: str
    parameters: Mapping[str, Any]
    protocol: str
    access_key: str | None
    token: str | None
    source: str
    region: str | None = None


@dataclass
class Record:
    """A logged call."""

    service: str
    action: str
    caller: str
    allowed: bool
    resources: list[str] = field(default_factory=list)
    accesses: list[dict[str, Any]] = field(default_factory=list)
    """The accesses that IAM judged, as ``{action, resource, context}``, for another evaluator to judge again."""


class CallLog:
    """The last calls, oldest first. Callers hold the world's lock."""

    def __init__(self) -> None:
        self._records: deque[Record] = deque(maxlen=KEPT)
        self.add, self.clear = self._records.append, self._records.clear

    def as_json(self) -> list[dict[str, Any]]:
        return [asdict(record) for record in self._records]


def read(environ: dict[str, Any]) -> Call:
    """The call that a request makes; an unreadable request has no action."""
    request = Request(environ, populate_request=False)
    found = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    presigned = {name.lower(): value for name, value in parse_qsl(environ.get("QUERY_STRING", ""))}
    if found:
        access_key, region, signed_for = found.groups()
    elif "x-amz-credential" in presigned:
        access_key, _, region, signed_for = presigned["x-amz-credential"].split("/")[:4]
    elif "awsaccesskeyid" in presigned:
        # boto3 still presigns S3 URLs with signature version 2.
        access_key, region, signed_for = presigned["awsaccesskeyid"], REGION, "s3"
    else:
        return Call(None, "", {}, "rest-xml", None, None, environ.get("REMOTE_ADDR", ""))
    service = _SERVICES.get(signed_for, signed_for)
    action, protocol, parameters = "", "rest-xml", {}
    try:
        model = get_service_model(service)
        protocol = determine_request_protocol(model, None if service == "s3" else request.content_type)
        action, uri = _action(service, request)
        parameters = _parameters(model, action, protocol, request, uri) if action else {}
    except Exception as error:
        log.info("a request to %s could not be read: %r", service, error)
    return Call(
        service=service,
        action=action,
        parameters=parameters,
        protocol=protocol,
        access_key=access_key,
        token=environ.get("HTTP_X_AMZ_SECURITY_TOKEN") or presigned.get("x-amz-security-token"),
        source=environ.get("REMOTE_ADDR", ""),
        region=region,
    )


def _action(service: str, request: Request) -> tuple[str, dict[str, Any]]:
    target = request.headers.get("X-Amz-Target")
    if target:
        return target.rsplit(".", 1)[-1], {}
    if "Action" in request.values:
        return request.values["Action"], {}
    found = _CBOR_PATH.search(request.path)
    if found:
        return found.group(1), {}
    operation, uri = get_service_router(service).match(request)
    return str(operation.name), dict(uri)


def _parameters(model: Any, action: str, protocol: str, request: Request, uri: dict[str, Any]) -> dict[str, Any]:
    parser = PROTOCOL_PARSERS[protocol](model.operation_model(action), map_type=dict)
    parsed: dict[str, Any] = parser.parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": request.data,
            "url_path": request.path,
            "url_params": uri,
        }
    )
    return parsed
