"""Deletes a cluster's resources, each after the resources that depend on it."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Callable, Iterator, Mapping, Sequence, Tuple

from ...aws.aws_session import AwsSession, ClientError, code, listed, sentence, unless_missing
from ...aws.changes import Changes
from ...aws.provision_error import ProvisionError
from ...aws.scaling_groups import groups_named
from ..name_clashes import NO_QUEUE
from . import published
from .model import RANKS, Resource, batches, staying
from .survey import BACKUPS, Survey

# KMS's minimum.
KEY_DAYS = 7
# S3's maximum per request.
MOST_OBJECTS = 1000
# AWS's error codes if there is nothing to delete, or if a record has changed; the next pass reads it again.
MISSING = (
    *NO_QUEUE,
    "InvalidChangeBatch",
    "NoSuchBucket",
    "NoSuchEntity",
    "NoSuchHostedZone",
    "NotFoundException",
    "NotFound",
    "NatGatewayNotFound",
    "ParameterNotFound",
    "ResourceNotFound",
    "ResourceNotFoundException",
    "ServiceNotFound",
)
# The request that deletes a resource of a kind: the service, the operation and its arguments.
REQUESTS: Mapping[str, Tuple[str, str, Callable[[Resource], Mapping[str, Any]]]] = {
    "policy of the IAM role": ("iam", "delete_role_policy", lambda resource: resource.facts),
    "alarm": ("cloudwatch", "delete_alarms", lambda resource: {"AlarmNames": [resource.name]}),
    # An instance that waits at the hook continues at once.
    "lifecycle hook": ("autoscaling", "delete_lifecycle_hook", lambda resource: resource.facts),
    "scaling policy": ("autoscaling", "delete_policy", lambda resource: resource.facts),
    "Auto Scaling group": (
        "autoscaling",
        "delete_auto_scaling_group",
        lambda resource: {"AutoScalingGroupName": resource.id, "ForceDelete": True},
    ),
    "instance": ("ec2", "terminate_instances", lambda resource: {"InstanceIds": [resource.id]}),
    "volume": ("ec2", "delete_volume", lambda resource: {"VolumeId": resource.id}),
    "launch template": ("ec2", "delete_launch_template", lambda resource: {"LaunchTemplateId": resource.id}),
    "network interface": ("ec2", "delete_network_interface", lambda resource: {"NetworkInterfaceId": resource.id}),
    "NAT gateway": ("ec2", "delete_nat_gateway", lambda resource: {"NatGatewayId": resource.id}),
    "elastic IP address": ("ec2", "release_address", lambda resource: {"AllocationId": resource.id}),
    "gateway endpoint": ("ec2", "delete_vpc_endpoints", lambda resource: {"VpcEndpointIds": [resource.id]}),
    "interface endpoint": ("ec2", "delete_vpc_endpoints", lambda resource: {"VpcEndpointIds": [resource.id]}),
    "rules of the security group": ("ec2", "revoke_security_group_ingress", lambda resource: resource.facts),
    "security group": ("ec2", "delete_security_group", lambda resource: {"GroupId": resource.id}),
    "subnet": ("ec2", "delete_subnet", lambda resource: {"SubnetId": resource.id}),
    "route table": ("ec2", "delete_route_table", lambda resource: {"RouteTableId": resource.id}),
    "VPC": ("ec2", "delete_vpc", lambda resource: {"VpcId": resource.id}),
    "queue": ("sqs", "delete_queue", lambda resource: {"QueueUrl": resource.facts["url"]}),
    "topic": ("sns", "delete_topic", lambda resource: {"TopicArn": resource.facts["arn"]}),
    "dashboard": ("cloudwatch", "delete_dashboards", lambda resource: {"DashboardNames": [resource.name]}),
    "log group": ("logs", "delete_log_group", lambda resource: {"logGroupName": resource.name}),
    "parameter": ("ssm", "delete_parameter", lambda resource: {"Name": resource.name}),
    # Otherwise its name is reserved for weeks, and a new cluster of that name could not be created.
    "secret": (
        "secretsmanager",
        "delete_secret",
        lambda resource: {"SecretId": resource.id, "ForceDeleteWithoutRecovery": True},
    ),
    "bucket": ("s3", "delete_bucket", lambda resource: {"Bucket": resource.id}),
    "KMS alias": ("kms", "delete_alias", lambda resource: {"AliasName": resource.id}),
    "KMS key": (
        "kms",
        "schedule_key_deletion",
        lambda resource: {"KeyId": resource.id, "PendingWindowInDays": KEY_DAYS},
    ),
}
# AWS may still be deleting a dependent resource, such as the interface of a terminated instance.
IN_USE = (
    "DependencyViolation",
    "DeleteConflict",
    "ResourceInUse",
    "BucketNotEmpty",
    "ScalingActivityInProgress",
    "VolumeInUse",
)
# Seconds in which AWS may show a deleted resource; a queue takes one minute. Passes in this time also delete what was
# created meanwhile, such as by an agent that could still write.
LINGERING = 180
# EC2's maximum in the filters of a request.
MOST_VALUES = 200


class Destroyer:
    """Deletes the resources that a survey finds. After an interruption, the next run continues."""

    def __init__(self, aws: AwsSession, survey: Survey, changes: Changes, *, timeout: float) -> None:
        self._aws, self._survey, self._changes, self._timeout = aws, survey, changes, timeout
        self._deleted: set[str] = set()

    def run(self, *, instances_only: bool = False) -> dict[str, Any]:
        """Delete all resources, or only up to the instances. Reports the remaining and the pending deletions.

        Raises ProvisionError if a deletion takes too long.
        """
        left = self._survey.find()
        deadline, delay = time.monotonic() + LINGERING, 1.0
        while any(batches(left)):
            self._pass(left, instances_only=instances_only)
            if self._changes.check_mode:
                break
            left = self._survey.find()
            if instances_only or not any(batches(left)):
                break
            if time.monotonic() + delay > deadline:
                back = ", ".join(str(resource) for batch in batches(left) for resource in batch)
                raise ProvisionError(
                    f"Deleted, but still found after {LINGERING} s: {back}. If something creates them again, stop it; "
                    "then run this again."
                )
            time.sleep(delay)
            delay = min(delay * 2, 10)
        reasons = staying(left)
        return {
            "left": [{**resource.report(), "why": reasons[resource.id]} for resource in left if resource.id in reasons],
            "going": [resource.report() for resource in left if resource.going],
        }

    def _pass(self, found: Sequence[Resource], *, instances_only: bool) -> None:
        for batch in batches(found):
            if instances_only and RANKS[batch[0].kind] > RANKS["instance"]:
                return
            self._delete(batch)

    def _delete(self, batch: Sequence[Resource]) -> None:
        still_there = getattr(self, f"_left_{_method(batch[0])}", None)
        for resource in batch:
            if resource.id in self._deleted:
                # IAM may refuse it, since what is gone has no tags. What does not go is named after the last pass.
                with contextlib.suppress(ClientError):
                    self._once_unused(resource)
                continue
            self._deleted.add(resource.id)
            before = {"id": resource.id, **({"note": resource.note} if resource.note else {})}
            self._changes.apply(str(resource), before, None, lambda resource=resource: self._once_unused(resource))  # type: ignore[misc]
        if still_there is not None and not self._changes.check_mode:
            self._until(lambda: not still_there(batch), f"the deletion of {', '.join(map(str, batch))}")

    def _delete_resource(self, resource: Resource) -> None:
        if resource.kind in REQUESTS:
            service, operation, arguments = REQUESTS[resource.kind]
            getattr(self._aws.client(service), operation)(**arguments(resource))
        else:
            getattr(self, f"_{_method(resource)}")(resource)

    def _once_unused(self, resource: Resource) -> None:
        """Delete the resource; retry while AWS reports that it is in use."""
        last: list[Exception] = []

        def deleted() -> bool:
            try:
                self._delete_resource(resource)
            except ClientError as error:
                if _is_missing(error):
                    return True
                if not _is_in_use(error):
                    raise
                last[:] = [error]
                return False
            return True

        self._until(deleted, f"the {resource} to be unused", lambda: sentence(last[0]) if last else "")

    def _until(self, holds: Callable[[], bool], what: str, said: Callable[[], str] = lambda: "") -> None:
        deadline, delay = time.monotonic() + self._timeout, 0.5
        while not holds():
            if time.monotonic() + delay > deadline:
                reason = f": {said()}" if said() else ""
                raise ProvisionError(
                    f"Timed out after {self._timeout:.0f} s, waiting for {what}{reason}. Correct that, and run this "
                    "again to continue."
                )
            time.sleep(delay)
            delay = min(delay * 1.5, 5)

    # Kinds whose deletion takes several requests.

    def _event_rule(self, resource: Resource) -> None:
        events = self._aws.client("events")
        targets = events.list_targets_by_rule(Rule=resource.name)["Targets"]
        if targets:
            events.remove_targets(Rule=resource.name, Ids=[target["Id"] for target in targets])
        events.delete_rule(Name=resource.name)

    def _dns_record(self, resource: Resource) -> None:
        changes = [{"Action": "DELETE", "ResourceRecordSet": record} for record in resource.facts["sets"]]
        self._aws.client("route53").change_resource_record_sets(
            HostedZoneId=resource.facts["zone"],
            ChangeBatch={"Comment": "swarm.aws: the cluster is destroyed", "Changes": changes},
        )

    def _cloud_map_service(self, resource: Resource) -> None:
        published.delete_service(self._aws, resource.id)

    def _left_auto_scaling_group(self, batch: Sequence[Resource]) -> list[str]:
        # A group exists until its last instance is terminated.
        found = groups_named(self._aws.client("autoscaling"), [resource.id for resource in batch])
        return [group["AutoScalingGroupName"] for group in found]

    def _left_instance(self, batch: Sequence[Resource]) -> list[str]:
        reservations = self._filtered("describe_instances", "Reservations", "instance-id", batch)
        instances = [instance for reservation in reservations for instance in reservation["Instances"]]
        return [instance["InstanceId"] for instance in instances if instance["State"]["Name"] != "terminated"]

    def _left_gateway_endpoint(self, batch: Sequence[Resource]) -> list[str]:
        ec2, ids = self._aws.client("ec2"), [resource.id for resource in batch]
        found = unless_missing(ec2.describe_vpc_endpoints, "InvalidVpcEndpointId.NotFound", VpcEndpointIds=ids)
        endpoints = found["VpcEndpoints"] if found else []
        return [endpoint["VpcEndpointId"] for endpoint in endpoints if endpoint["State"].lower() != "deleted"]

    _left_interface_endpoint = _left_gateway_endpoint

    def _left_nat_gateway(self, batch: Sequence[Resource]) -> list[str]:
        # Its address is in use until then, for a minute or two.
        found = self._filtered("describe_nat_gateways", "NatGateways", "nat-gateway-id", batch)
        return [gateway["NatGatewayId"] for gateway in found if gateway["State"] not in ("deleted", "failed")]

    def _filtered(self, operation: str, key: str, name: str, batch: Sequence[Resource]) -> Iterator[Mapping[str, Any]]:
        """What EC2 lists for the batch's IDs. An unknown ID is no error in a filter."""
        for start in range(0, len(batch), MOST_VALUES):
            values = [resource.id for resource in batch[start : start + MOST_VALUES]]
            yield from listed(self._aws.client("ec2"), operation, key, Filters=[{"Name": name, "Values": values}])

    def _internet_gateway(self, resource: Resource) -> None:
        ec2 = self._aws.client("ec2")
        for vpc in resource.facts["vpcs"]:
            unless_missing(ec2.detach_internet_gateway, "Gateway.NotAttached", InternetGatewayId=resource.id, VpcId=vpc)
        ec2.delete_internet_gateway(InternetGatewayId=resource.id)

    def _instance_profile(self, resource: Resource) -> None:
        for role in resource.facts["roles"]:
            unless_missing(
                self._aws.client("iam").remove_role_from_instance_profile,
                "NoSuchEntity",  # type: ignore[misc]
                InstanceProfileName=resource.name,
                RoleName=role,
            )
        self._aws.client("iam").delete_instance_profile(InstanceProfileName=resource.name)

    def _iam_role(self, resource: Resource) -> None:
        iam = self._aws.client("iam")
        # Policies that others attached stay.
        for policy in iam.list_attached_role_policies(RoleName=resource.name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=resource.name, PolicyArn=policy["PolicyArn"])
        iam.delete_role(RoleName=resource.name)

    def _objects_of_the_bucket(self, resource: Resource) -> None:
        s3, bucket = self._aws.client("s3"), resource.name
        doomed = [
            {"Key": version["Key"], "VersionId": version["VersionId"]}
            for version in self._survey.versions()
            if not (resource.facts["keep"] and version["Key"].startswith(BACKUPS))
        ]
        for start in range(0, len(doomed), MOST_OBJECTS):
            part = doomed[start : start + MOST_OBJECTS]
            refused = s3.delete_objects(Bucket=bucket, Delete={"Objects": part, "Quiet": True}).get("Errors", [])
            if refused:
                raise ProvisionError(
                    f"S3 did not delete {refused[0]['Key']} from the bucket {bucket}: {refused[0].get('Message')}"
                )
        for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])


def _method(resource: Resource) -> str:
    return resource.kind.lower().replace(" ", "_")


def _is_in_use(error: ClientError) -> bool:
    """For a network interface in use EC2 only says so, with a general code."""
    return code(error) in IN_USE or code(error).endswith(".InUse") or "currently in use" in str(error)


def _is_missing(error: ClientError) -> bool:
    text = str(error).lower()
    # Auto Scaling raises ValidationError for missing resources too.
    if code(error) == "ValidationError":
        return "not found" in text or "no lifecycle hook found" in text
    return code(error) in MISSING or code(error).endswith((".NotFound", ".NotFoundException"))
