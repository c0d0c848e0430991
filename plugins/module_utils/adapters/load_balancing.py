"""Target groups of Elastic Load Balancing, for network and application load balancers."""

from __future__ import annotations

from typing import Mapping, Sequence

from ..aws.aws_session import AwsSession, ClientError, code


class TargetGroups:
    """The core's ``Balancing``."""

    def __init__(self, aws: AwsSession) -> None:
        self._aws = aws

    def health(self, target_group: str) -> Mapping[str, str]:
        with self._aws.asked(f"describe the health of the targets of {target_group}"):
            try:
                # Without a list it describes all targets, and those that are still draining.
                answer = self._aws.client("elbv2").describe_target_health(TargetGroupArn=target_group)
            except ClientError as error:
                # A deleted target group has no targets and holds no instance back. `register` reports the error.
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
