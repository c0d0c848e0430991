"""The only account, which moto keeps in module-wide backends.

Every reader and writer of the account holds :data:`LOCK`. :data:`CHANGED` is notified after every change, for the
control loop and the long polls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from moto.backends import get_backend
from moto.core.base_backend import BackendDict

from lab.state import ACCOUNT_ID, REGION

LOCK = threading.RLock()
CHANGED = threading.Condition(LOCK)
ADMINISTRATOR = "lab"
"""The access key of the account's owner, who may do everything."""


def _backend(service: Any, region: str = REGION) -> Callable[[], Any]:
    """A function that returns moto's backend of a service, imported on first use."""
    return lambda: get_backend(service)[ACCOUNT_ID][region]


autoscaling = _backend("autoscaling")
cloudwatch = _backend("cloudwatch")
ec2 = _backend("ec2")
ecr = _backend("ecr")
elbv2 = _backend("elbv2")
events = _backend("events")
iam = _backend("iam", "aws")
kms = _backend("kms")
logs = _backend("logs")
route53 = _backend("route53", "aws")
s3 = _backend("s3", "aws")
secretsmanager = _backend("secretsmanager")
servicediscovery = _backend("servicediscovery")
sns = _backend("sns")
sqs = _backend("sqs")
ssm = _backend("ssm")
sts = _backend("sts", "aws")


def reset() -> None:
    """Empty the account."""
    with LOCK:
        BackendDict.reset()


def timestamp(moment: datetime | None = None) -> str:
    """A time in AWS's format, in whole seconds; now by default."""
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
