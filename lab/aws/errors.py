"""AWS errors, serialized for the caller's protocol."""

from __future__ import annotations

import json
import warnings
from typing import Any

from botocore.exceptions import UnknownServiceError
from botocore.model import OperationNotFoundError
from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel
from moto.core.serialize import XFormedAttributePicker, get_serializer_class
from moto.core.utils import get_service_model


class AwsError(ServiceException):
    """A service's error; a subclass of moto's error, so that moto's services can raise it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code, message)
        self.status = status


def invalid(message: str) -> AwsError:
    """Auto Scaling's usual error for an invalid request."""
    return AwsError("ValidationError", message)


def body(error: AwsError, service: str, operation: str, protocol: str) -> tuple[dict[str, str], bytes]:
    """The headers and the body of the answer.

    :param service: botocore's name, such as ``ec2``.
    :param operation: such as ``RunInstances``; may be unknown to the service.
    :param protocol: such as ``rest-xml``.
    """
    try:
        model = get_service_model(service)
    except UnknownServiceError:
        content = json.dumps({"__type": error.code, "message": error.message})
        return {"Content-Type": "application/x-amz-json-1.1"}, content.encode()
    try:
        operation_model = model.operation_model(operation)
    except OperationNotFoundError:
        operation_model = OperationModel({}, model)
    serializer: Any = get_serializer_class(model.service_name, protocol)(
        operation_model=operation_model, pretty_print=False, value_picker=XFormedAttributePicker()
    )
    with warnings.catch_warnings():
        # A service's model lacks the codes that all services share, such as AccessDenied.
        warnings.simplefilter("ignore")
        answer = serializer.serialize(error)
    content = answer["body"]
    return dict(answer["headers"]), content.encode() if isinstance(content, str) else content
