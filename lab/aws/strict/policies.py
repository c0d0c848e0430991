"""What IAM checks of a policy document: its size, of which white space is no part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lab.aws.errors import AwsError

_MOST = {"RoleName": 10240, "GroupName": 5120, "UserName": 2048}
MANAGED = 6144


def check(parameters: Mapping[str, Any]) -> None:
    """Raises AwsError for one that is too large. What an entity's own policies have together is not counted."""
    most = next((most for name, most in _MOST.items() if parameters.get(name)), MANAGED)
    if len(re.sub(r"\s", "", str(parameters.get("PolicyDocument") or ""))) > most:
        raise AwsError("LimitExceeded", f"Cannot exceed quota for PolicySize: {most}", 409)
