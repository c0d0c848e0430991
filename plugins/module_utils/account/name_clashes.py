"""Finds resources with names of the cluster that belong to somebody else: nothing may be written to them."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from ..aws import tags
from ..aws.aws_session import AwsSession, unless_missing
from ..aws.scaling_groups import groups_named

NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
NO_TOPIC = ("NotFound", "NotFoundException", "ResourceNotFound", "ResourceNotFoundException")
# The parts of their names after the cluster's.
SECURITY_GROUPS = ("member", "manager", "edge", "drill")
# Modules that create and tag a resource in two requests leave it without tags if the run is killed in between.
UNFINISHED = {tags.CLUSTER: ""}


def clashes(aws: AwsSession, cluster: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each resource with a name of the cluster and without the cluster's tag.

    ``cluster`` is the configuration with its ``names``. In an existing network the VPC may have security groups of
    these names.
    """
    for kind, name, found in _named(aws, cluster):
        owner = None if found is None else found.get(tags.CLUSTER, None)
        if found is None or owner in (cluster["cluster_name"], ""):
            continue
        whose = f"belongs to the cluster '{owner}'" if owner else f"has no tag {tags.CLUSTER}"
        yield (
            f"The {kind} {name} already exists and {whose}, so it is not changed: choose another name for the "
            f"cluster or its group, or, if it belongs to this cluster, set its tag {tags.CLUSTER} to "
            f"{cluster['cluster_name']}."
        )


def _named(aws: AwsSession, cluster: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, str] | None]]:
    """Kind, name and tags of each resource that is found by name; None for the tags if it does not exist."""
    names = cluster["names"]
    groups = [f"{cluster['cluster_name']}-{group['name']}" for group in cluster["node_groups"]]
    iam, roles = aws.client("iam"), (names["manager_role"], names["worker_role"])
    for name in roles:
        role = unless_missing(iam.get_role, "NoSuchEntity", RoleName=name)
        yield "IAM role", name, _tags(role and role["Role"])
        profile = unless_missing(iam.get_instance_profile, "NoSuchEntity", InstanceProfileName=name)
        yield "instance profile", name, _tags(profile and profile["InstanceProfile"])
    filters = [{"Name": "launch-template-name", "Values": groups}]
    for template in aws.client("ec2").describe_launch_templates(Filters=filters)["LaunchTemplates"]:
        yield "launch template", template["LaunchTemplateName"], tags.from_list(template.get("Tags", []))
    network = cluster["network"]
    if network is not None and network["vpc_id"]:
        security = [f"{cluster['cluster_name']}-{name}" for name in SECURITY_GROUPS]
        filters = [{"Name": "vpc-id", "Values": [network["vpc_id"]]}, {"Name": "group-name", "Values": security}]
        for group in aws.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]:
            yield "security group", group["GroupName"], tags.from_list(group.get("Tags", []))
    for group in groups_named(aws.client("autoscaling"), groups):
        yield "Auto Scaling group", group["AutoScalingGroupName"], tags.from_list(group.get("Tags", []))
    for name in (names["queue"], names["dead_letter_queue"]):
        yield "queue", name, _queue(aws, name)
    yield "event rule", names["event_rule"], _rule(aws, cluster)
    yield "bucket", names["bucket"], _bucket(aws, names["bucket"])
    yield "KMS key", f"alias/{names['key_alias']}", _key(aws, f"alias/{names['key_alias']}")
    name = names["unlock_secret"]
    secret = unless_missing(aws.client("secretsmanager").describe_secret, "ResourceNotFoundException", SecretId=name)
    yield "secret", name, _tags(secret)
    arn = f"arn:{aws.partition}:sns:{cluster['region']}:{cluster['account_id']}:{names['alarm_topic']}"
    topic = unless_missing(aws.client("sns").list_tags_for_resource, *NO_TOPIC, ResourceArn=arn)
    yield "topic", names["alarm_topic"], _tags(topic)
    yield "log group", names["log_group"], _log_group(aws, names["log_group"])


def _tags(found: Mapping[str, Any] | None) -> dict[str, str] | None:
    return None if found is None else tags.from_list(found.get("Tags", []))


def _queue(aws: AwsSession, name: str) -> Mapping[str, str] | None:
    found = unless_missing(aws.client("sqs").get_queue_url, *NO_QUEUE, QueueName=name)
    if found is None:
        return None
    url = found["QueueUrl"]
    own: dict[str, str] = aws.client("sqs").list_queue_tags(QueueUrl=url).get("Tags") or {}
    attributes = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    # As `community.aws.sqs_queue` creates it, before it tags it.
    untouched = not own and "Policy" not in attributes and attributes["ApproximateNumberOfMessages"] == "0"
    return UNFINISHED if untouched else own


def _rule(aws: AwsSession, cluster: Mapping[str, Any]) -> Mapping[str, str] | None:
    """The rule's module sets no tags: the rule is the cluster's if its only target is the cluster's queue."""
    name, queue = cluster["names"]["event_rule"], cluster["names"]["queue"]
    found = unless_missing(aws.client("events").list_targets_by_rule, "ResourceNotFoundException", Rule=name)
    if found is None:
        return None
    others = [target["Arn"] for target in found["Targets"] if not target["Arn"].endswith(f":{queue}")]
    return {} if others else UNFINISHED


def _bucket(aws: AwsSession, name: str) -> Mapping[str, str] | None:
    """A new bucket gets its tags last; until then its name, with account and region, identifies it."""
    # The preflight reports a bucket of another account or region.
    found = unless_missing(aws.client("s3").head_bucket, "404", "NoSuchBucket", "403", "301", Bucket=name)
    if found is None:
        return None
    # HeadBucket may still see a deleted bucket.
    own = unless_missing(aws.client("s3").get_bucket_tagging, "NoSuchTagSet", "NoSuchBucket", Bucket=name)
    return {**UNFINISHED, **tags.from_list((own or {}).get("TagSet", []))}


def _key(aws: AwsSession, alias: str) -> Mapping[str, str] | None:
    found = unless_missing(aws.client("kms").describe_key, "NotFoundException", KeyId=alias)
    if found is None:
        return None
    listed = aws.client("kms").list_resource_tags(KeyId=found["KeyMetadata"]["KeyId"])["Tags"]
    return {tag["TagKey"]: tag["TagValue"] for tag in listed}


def _log_group(aws: AwsSession, name: str) -> Mapping[str, str] | None:
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    found = next((group for group in groups if group["logGroupName"] == name), None)
    if found is None:
        return None
    return aws.client("logs").list_tags_for_resource(resourceArn=found["arn"].removesuffix(":*"))["tags"]  # type: ignore[no-any-return]
