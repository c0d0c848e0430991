"""Elastic Load Balancing's target groups, of network and application load balancers alike."""

from __future__ import annotations

from typing import Mapping, Sequence

from .aws import Aws, ClientError, code


class TargetGroups:
    """The core's ``Balancing``."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def health(self, target_group: str) -> Mapping[str, str]:
        with self._aws.asked(f"tell the health of the targets of {target_group}"):
            try:
                # Without naming any, it tells of those that are targets, and those that still have requests to answer.
                answer = self._aws.client("elbv2").describe_target_health(TargetGroupArn=target_group)
            except ClientError as error:
                # Nobody is sent anywhere by one that was deleted, so it keeps no instance; to register says so.
                if code(error) == "TargetGroupNotFound":
                    return {}
                raise
            return {
                description["Target"]["Id"]: str(description["TargetHealth"]["State"])
                for description in answer["TargetHealthDescriptions"]
            }

    def register(self, target_group: str, instances: Sequence[str]) -> None:
        with self._aws.asked(f"register targets in {target_group}"):
            self._aws.client("elbv2").register_targets(TargetGroupArn=target_group, Targets=_named(instances))

    def deregister(self, target_group: str, instances: Sequence[str]) -> None:
        with self._aws.asked(f"deregister targets from {target_group}"):
            self._aws.client("elbv2").deregister_targets(TargetGroupArn=target_group, Targets=_named(instances))


def _named(instances: Sequence[str]) -> list[dict[str, str]]:
    return [{"Id": instance} for instance in instances]
