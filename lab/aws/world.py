"""The one account that there is. moto keeps it in module-wide backends; everyone takes turns at it.

Whoever looks at or changes the account holds :data:`LOCK`. :data:`CHANGED` is notified after every change, so that
the control loop and the long polls need not look all the time.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

from lab.state import ACCOUNT_ID, REGION

LOCK = threading.RLock()
CHANGED = threading.Condition(LOCK)
ADMINISTRATOR = "lab"
"""The access key that may do everything, as the account's owner may."""


def ec2() -> Any:
    from moto.ec2.models import ec2_backends

    return ec2_backends[ACCOUNT_ID][REGION]


def iam() -> Any:
    from moto.iam.models import iam_backends

    return iam_backends[ACCOUNT_ID]["aws"]


def sts() -> Any:
    from moto.sts.models import sts_backends

    return sts_backends[ACCOUNT_ID]["aws"]


def autoscaling() -> Any:
    from moto.autoscaling.models import autoscaling_backends

    return autoscaling_backends[ACCOUNT_ID][REGION]


def events() -> Any:
    from moto.events.models import events_backends

    return events_backends[ACCOUNT_ID][REGION]


def sqs() -> Any:
    from moto.sqs.models import sqs_backends

    return sqs_backends[ACCOUNT_ID][REGION]


def route53() -> Any:
    from moto.route53.models import route53_backends

    return route53_backends[ACCOUNT_ID]["aws"]


def servicediscovery() -> Any:
    from moto.servicediscovery.models import servicediscovery_backends

    return servicediscovery_backends[ACCOUNT_ID][REGION]


def s3() -> Any:
    from moto.s3.models import s3_backends

    return s3_backends[ACCOUNT_ID]["aws"]


def ecr() -> Any:
    from moto.ecr.models import ecr_backends

    return ecr_backends[ACCOUNT_ID][REGION]


def elbv2() -> Any:
    from moto.elbv2.models import elbv2_backends

    return elbv2_backends[ACCOUNT_ID][REGION]


def kms() -> Any:
    from moto.kms.models import kms_backends

    return kms_backends[ACCOUNT_ID][REGION]


def secretsmanager() -> Any:
    from moto.secretsmanager.models import secretsmanager_backends

    return secretsmanager_backends[ACCOUNT_ID][REGION]


def ssm() -> Any:
    from moto.ssm.models import ssm_backends

    return ssm_backends[ACCOUNT_ID][REGION]


def logs() -> Any:
    from moto.logs.models import logs_backends

    return logs_backends[ACCOUNT_ID][REGION]


def cloudwatch() -> Any:
    from moto.cloudwatch.models import cloudwatch_backends

    return cloudwatch_backends[ACCOUNT_ID][REGION]


def sns() -> Any:
    from moto.sns.models import sns_backends

    return sns_backends[ACCOUNT_ID][REGION]


def reset() -> None:
    """Empty the account."""
    from moto.core.base_backend import BackendDict

    with LOCK:
        BackendDict.reset()


def timestamp(moment: datetime | None = None) -> str:
    """A time as AWS's documents write it, in whole seconds; now if none is given."""
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
