"""AWS's own interruptions of instances: spot interruptions, rebalance recommendations and scheduled events."""

from __future__ import annotations

import logging
import time
import uuid
from datetime import UTC, datetime, timedelta

from moto.core.utils import rfc_1123_datetime

from lab.aws import events, instances, world
from lab.aws.instances import LabInstance
from lab.state import ACCOUNT_ID, REGION

log = logging.getLogger(__name__)
SPOT_NOTICE = 120.0
SCHEDULED_NOTICE = 14 * 24 * 3600.0


_spot_interruptions: list[tuple[float, LabInstance]] = []
"""When EC2 terminates which spot instance, on the monotonic clock."""


def reset() -> None:
    """Forget all announced interruptions."""
    _spot_interruptions.clear()


def spot(instance_id: str, seconds: float = SPOT_NOTICE) -> None:
    """Send an interruption warning, and terminate the instance after ``seconds``. Raises KeyError."""
    instance = _alive(instance_id)
    at = world.timestamp(datetime.now(UTC) + timedelta(seconds=seconds))
    instance.interruption = {"action": "terminate", "time": at}
    _spot_interruptions.append((time.monotonic() + seconds, instance))
    _put_at_risk(instance)
    _publish(
        "EC2 Spot Instance Interruption Warning", {"instance-id": instance_id, "instance-action": "terminate"}, instance
    )


def rebalance(instance_id: str) -> None:
    """Send a rebalance recommendation. Raises KeyError for an unknown instance."""
    instance = _alive(instance_id)
    instance.rebalance_noticed = world.timestamp()
    _put_at_risk(instance)
    _publish("EC2 Instance Rebalance Recommendation", {"instance-id": instance_id}, instance)


def scheduled_event(instance_id: str, seconds: float = SCHEDULED_NOTICE) -> None:
    """Send the event of a scheduled retirement of the instance. Raises KeyError for an unknown instance."""
    _alive(instance_id)
    start = datetime.now(UTC) + timedelta(seconds=seconds)
    code = "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED"
    detail = {
        "eventArn": f"arn:aws:health:{REGION}::event/EC2/{code}/{code}_{uuid.uuid4()}",
        "service": "EC2",
        "eventTypeCode": code,
        "eventTypeCategory": "scheduledChange",
        "eventScopeCode": "ACCOUNT_SPECIFIC",
        "communicationId": uuid.uuid4().hex,
        "startTime": rfc_1123_datetime(start),
        "endTime": rfc_1123_datetime(start + timedelta(hours=1)),
        "lastUpdatedTime": rfc_1123_datetime(datetime.now(UTC)),
        "statusCode": "upcoming",
        "eventRegion": REGION,
        "eventDescription": [{"language": "en_US", "latestDescription": "The host of the instance will be retired."}],
        "affectedEntities": [
            {"entityValue": instance_id, "status": "PENDING", "lastUpdatedTime": rfc_1123_datetime(start)}
        ],
        "affectedAccount": ACCOUNT_ID,
        "page": "1",
        "totalPages": "1",
    }
    events.publish("aws.health", "AWS Health Event", detail, [instance_id])


def tick() -> None:
    """Terminate the spot instances that are due. The caller holds the world's lock."""
    due = [(at, instance) for at, instance in _spot_interruptions if time.monotonic() >= at]
    for at, instance in due:
        _spot_interruptions.remove((at, instance))
        if instance.alive:
            log.info("the spot instance %s is interrupted", instance.id)
            instance.terminate()
            instance.state_reason.code = "Server.SpotInstanceTermination"


def _alive(instance_id: str) -> LabInstance:
    instance = instances.find(instance_id)
    if instance is None or not instance.alive:
        raise KeyError(instance_id)
    return instance


def _put_at_risk(instance: LabInstance) -> None:
    for member in world.autoscaling().members():
        if member.instance is instance:
            member.at_risk = True


def _publish(kind: str, detail: dict[str, str], instance: LabInstance) -> None:
    zone_arn = f"arn:aws:ec2:{instance.placement.zone}:instance/{instance.id}"
    events.publish("aws.ec2", kind, detail, [zone_arn])
