"""What Auto Scaling checks of the launch template that a group is to use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.core.exceptions import ServiceException

from lab.aws.autoscaling.launching import specification, template_version
from lab.aws.errors import AwsError
from lab.aws.strict.launch_templates import check_launchable


def check(parameters: Mapping[str, Any]) -> None:
    """Raises AwsError if no instance could be launched from the template."""
    named = specification(parameters)
    if not named:
        return
    try:
        check_launchable(template_version(named).data)
    except ServiceException as error:
        raise AwsError(
            "ValidationError", f"You must use a valid fully-formed launch template. {error.message}"
        ) from error
