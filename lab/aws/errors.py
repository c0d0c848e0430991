"""Errors as AWS words them, in the shape of the protocol that the caller speaks."""

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
    """An error that a service answers with; moto's own error, so that its services can raise it too."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code, message)
        self.status = status


def invalid(message: str) -> AwsError:
    """What Auto Scaling answers to nearly all that it does not take."""
    return AwsError("ValidationError", message)


def body(error: AwsError, service: str, operation: str, protocol: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of the answer.

    :param service: as botocore names it, such as ``ec2``.
    :param operation: such as ``RunInstances``; one that the service does not have is no obstacle.
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
        # Codes that all services share, such as AccessDenied, are not in each one's model.
        warnings.simplefilter("ignore")
        answer = serializer.serialize(error)
    content = answer["body"]
    return dict(answer["headers"]), content.encode() if isinstance(content, str) else content
