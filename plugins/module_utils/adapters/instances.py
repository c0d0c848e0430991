"""The cluster's instances in EC2."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Optional, Sequence, Set

from .._core.cluster import LAUNCH_WAIT, WARMED
from .._core.join.ports import MANAGER, Peer
from ..aws import tags
from ..aws.aws_session import AwsSession, ClientError, code


class Ec2Instances:
    """The core's ``Instances`` in EC2."""

    def __init__(self, aws: AwsSession, cluster: str) -> None:
        self._aws, self._cluster = aws, cluster

    def running_managers(self) -> Sequence[Peer]:
        filters = [
            *tags.of_cluster_filter(self._cluster),
            {"Name": f"tag:{tags.ROLE}", "Values": [MANAGER]},
            # An instance stays pending in EC2 for some seconds after its engine is up.
            {"Name": "instance-state-name", "Values": ["pending", "running"]},
        ]
        with self._aws.asked("list the managers' instances"):
            return [
                Peer(instance["InstanceId"], instance["PrivateIpAddress"])
                for instance in describe(self._aws, Filters=filters)
                if instance.get("PrivateIpAddress")
            ]

    def state(self, instance: str) -> Optional[str]:
        with self._aws.asked(f"describe the instance {instance}"):
            try:
                return next(
                    (str(found["State"]["Name"]) for found in describe(self._aws, InstanceIds=[instance])), None
                )
            except ClientError as error:
                if code(error).startswith("InvalidInstanceID."):
                    return None
                raise

    def launching(self, instances: Sequence[str]) -> Set[str]:
        with self._aws.asked("describe the managers' Auto Scaling instances"):
            answer = self._aws.client("autoscaling").describe_auto_scaling_instances(InstanceIds=list(instances))
            return {
                found["InstanceId"]
                for found in answer["AutoScalingInstances"]
                if found["LifecycleState"] in ("Pending", LAUNCH_WAIT) or found["LifecycleState"].startswith(WARMED)
            }


def describe(aws: AwsSession, **arguments: Any) -> Iterator[Dict[str, Any]]:
    """EC2's descriptions of the instances that the arguments of DescribeInstances select."""
    for page in aws.client("ec2").get_paginator("describe_instances").paginate(**arguments):
        for reservation in page["Reservations"]:
            yield from reservation["Instances"]
