"""EC2's checks of a launch template: some when it is created, the rest when it is used.

EC2 accepts a template that cannot launch an instance, with a warning; Auto Scaling refuses it later.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPES

from lab.aws import world
from lab.aws.errors import AwsError

MOST_USER_DATA = 16384
_NAME = re.compile(r"[a-zA-Z0-9().\-/_]{3,128}")


def check_new(parameters: Mapping[str, Any]) -> None:
    """Raises AwsError."""
    name = parameters.get("LaunchTemplateName", "")
    if not _NAME.fullmatch(name):
        raise AwsError(
            "InvalidLaunchTemplateName.MalformedException",
            "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and "
            "the following characters: - ( ) . / _.",
        )
    check_version(parameters)


def check_version(parameters: Mapping[str, Any]) -> None:
    """Raises AwsError."""
    check_form(parameters.get("LaunchTemplateData") or {})


def check_form(data: Mapping[str, Any]) -> None:
    """Raises AwsError for data that EC2 refuses at creation."""
    _check_user_data(data.get("UserData"))
    hops = (data.get("MetadataOptions") or {}).get("HttpPutResponseHopLimit")
    if hops is not None and not 1 <= int(hops) <= 64:
        raise AwsError("InvalidParameterValue", "HttpPutResponseHopLimit must be between 1 and 64")


def check_launchable(data: Mapping[str, Any]) -> None:
    """Raises AwsError for data that cannot launch an instance."""
    kind = data.get("InstanceType")
    if kind and kind not in INSTANCE_TYPES:
        raise AwsError("InvalidParameterValue", f"The following supplied instance types do not exist: [{kind}]")
    image_id = data.get("ImageId")
    if image_id and not image_id.startswith(("ami-", "resolve:")):
        raise AwsError("InvalidAMIID.Malformed", f"The image ID '{image_id}' is not valid")
    if image_id and image_id.startswith("ami-"):
        _check_image(image_id, kind)
    interfaces = data.get("NetworkInterfaces") or []
    if interfaces and (data.get("SecurityGroupIds") or data.get("SecurityGroups")):
        raise AwsError(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level security groups may not be specified on the same request",
        )
    key_name = data.get("KeyName")
    if key_name and key_name not in world.ec2().key_pairs:
        raise AwsError("InvalidKeyPair.NotFound", f"The key pair '{key_name}' does not exist")


def _check_user_data(user_data: Any) -> None:
    if user_data is None:
        return
    try:
        content = base64.b64decode(str(user_data), validate=True)
    except binascii.Error:
        raise AwsError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.") from None
    if len(content) > MOST_USER_DATA:
        raise AwsError("InvalidParameterValue", f"User data is limited to {MOST_USER_DATA} bytes")


def _check_image(image_id: str, kind: str | None) -> None:
    image = world.ec2().amis.get(image_id)
    if image is None:
        raise AwsError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    if not kind:
        return
    architectures = INSTANCE_TYPES[kind].get("ProcessorInfo", {}).get("SupportedArchitectures", [])
    if architectures and image.architecture not in architectures:
        raise AwsError(
            "InvalidParameterValue",
            f"The architecture '{','.join(architectures)}' of the specified instance type does not match the "
            f"architecture '{image.architecture}' of the specified AMI.",
        )
