"""Finds a cluster's resources: by its tag, by names with the cluster's name, and by TXT records in hosted zones."""

from __future__ import annotations

import re
from typing import Any, Callable, Iterator, Mapping

from ..._core import names
from ..._core.counting import counted
from ...aws import tags
from ...aws.aws_session import AwsSession, ClientError, code, listed, unless_missing
from ...aws.provision_error import ProvisionError
from ...aws.scaling_groups import groups_of, template_of
from .. import cloudwatch, warm_pools
from ..name_clashes import NO_QUEUE, NO_TOPIC
from .ec2 import Ec2Survey
from .model import Resource, unique
from .published import owned_records, owned_services

BACKUPS = "backups/"
UNKNOWN = "swarm.aws does not create this kind, and cannot delete it"


class Survey:
    """Queries every service that a cluster uses, and the tagging service for all others."""

    def __init__(
        self, aws: AwsSession, cluster: str, account: str, *, keep_backups: bool = False, zone_id: str | None = None
    ) -> None:
        """``zone_id`` is the only hosted zone to read, if any: Route 53 allows an account few requests a second."""
        self._aws, self.cluster, self._account = aws, cluster, account
        self._keep_backups, self._zone_id = keep_backups, zone_id
        self._names = names.resource_names(cluster, account, aws.region)
        self.bucket = self._names["bucket"]

    def find(self) -> list[Resource]:
        """All resources. Changes nothing."""
        found = [
            *Ec2Survey(self._aws, self.cluster).find(),
            *self._groups(),
            *self._queues(),
            *self._rules(),
            *self._watchers(),
            *owned_records(self._aws, self.cluster, self._zone_id),
            *owned_services(self._aws, self.cluster),
            *self._roles(),
            *self._keys(),
            *self._bucket(),
        ]
        return unique(
            [
                *found,
                *self._others({resource.id for resource in found} | {resource.facts.get("arn") for resource in found}),
            ]
        )

    # Auto Scaling

    def _groups(self) -> Iterator[Resource]:
        autoscaling = self._aws.client("autoscaling")
        for group in groups_of(autoscaling, self.cluster):
            name = group["AutoScalingGroupName"]
            template, subnets = template_of(group), group.get("VPCZoneIdentifier") or ""
            own = tags.from_list(group.get("Tags", []))
            inside = group.get("Instances", [])
            warm = unless_missing(warm_pools.instances, "ValidationError", autoscaling=autoscaling, group=group)
            yield Resource(
                "Auto Scaling group",
                name,
                on=tuple(filter(None, [template.get("LaunchTemplateId"), *subnets.split(",")])),
                # A warm pool is deleted with its group.
                note=counted(len(inside), "instance") + (f" and {len(warm)} in its warm pool" if warm else ""),
                facts={
                    "arn": group.get("AutoScalingGroupARN"),
                    "group": own.get(tags.GROUP, ""),
                    "template": template.get("LaunchTemplateId"),
                    "versions": {template.get("Version")}
                    | {instance.get("LaunchTemplate", {}).get("Version") for instance in (*inside, *(warm or ()))},
                },
            )
            hooks = unless_missing(autoscaling.describe_lifecycle_hooks, "ValidationError", AutoScalingGroupName=name)
            # Target tracking's alarms are deleted with the policies.
            policies = unless_missing(autoscaling.describe_policies, "ValidationError", AutoScalingGroupName=name)
            for kind, found, key in (
                ("lifecycle hook", (hooks or {}).get("LifecycleHooks", []), "LifecycleHookName"),
                ("scaling policy", (policies or {}).get("ScalingPolicies", []), "PolicyName"),
            ):
                for item in found:
                    facts = {"AutoScalingGroupName": name, key: item[key]}
                    yield Resource(kind, f"{name}/{item[key]}", on=(name,), facts=facts)

    # Events

    def _queues(self) -> Iterator[Resource]:
        sqs = self._aws.client("sqs")
        for url in listed(sqs, "list_queues", "QueueUrls", QueueNamePrefix=f"{self.cluster}-"):
            # A deleted queue is listed for another minute.
            found = unless_missing(sqs.list_queue_tags, *NO_QUEUE, QueueUrl=url)
            if found is None:
                continue
            name = url.rsplit("/", 1)[-1]
            # A queue gets its tags last, so a killed run may have left a queue without tags.
            untagged = self.cluster if name in (self._names["queue"], self._names["dead_letter_queue"]) else None
            if found.get("Tags", {}).get(tags.CLUSTER, untagged) == self.cluster:
                yield Resource("queue", f"queue/{name}", name, facts={"url": url, "arn": self._queue_arn(name)})

    def _rules(self) -> Iterator[Resource]:
        events, name = self._aws.client("events"), self._names["event_rule"]
        rule = unless_missing(events.describe_rule, "ResourceNotFoundException", Name=name)
        if rule is None:
            return
        # It has no tags: its name and target identify it. A killed run may have left it without a target.
        targets = [target["Arn"] for target in events.list_targets_by_rule(Rule=name)["Targets"]]
        if not targets or self._queue_arn(self._names["queue"]) in targets:
            yield Resource("event rule", f"rule/{name}", name, facts={"arn": rule["Arn"]})

    def _queue_arn(self, name: str) -> str:
        return f"arn:{self._aws.partition}:sqs:{self._aws.region}:{self._account}:{name}"

    # Monitoring

    def _watchers(self) -> Iterator[Resource]:
        sns = self._aws.client("sns")
        for alarm in cloudwatch.alarms_of(self._aws, self.cluster):
            name = alarm["AlarmName"]
            yield Resource("alarm", f"alarm/{name}", name, facts={"arn": alarm["AlarmArn"]})
        dashboard = self._names["dashboard"]
        described = self._aws.client("cloudwatch").get_dashboard
        if unless_missing(described, *cloudwatch.NO_DASHBOARD, DashboardName=dashboard):
            # Dashboards have no tags: the name identifies it.
            yield Resource("dashboard", f"dashboard/{dashboard}", dashboard)
        name = self._names["alarm_topic"]
        arn = f"arn:{self._aws.partition}:sns:{self._aws.region}:{self._account}:{name}"
        found = unless_missing(sns.list_tags_for_resource, *NO_TOPIC, ResourceArn=arn)
        if found and tags.from_list(found["Tags"]).get(tags.CLUSTER) == self.cluster:
            yield Resource("topic", f"topic/{name}", name, facts={"arn": arn})

    # Identities

    def _roles(self) -> Iterator[Resource]:
        iam = self._aws.client("iam")
        for name in self._named("list_roles", "Roles", "RoleName"):
            role = (unless_missing(iam.get_role, "NoSuchEntity", RoleName=name) or {}).get("Role")
            if not self._is_ours(role):
                continue
            # A deleted role may still be listed, and described.
            policies = unless_missing(iam.list_role_policies, "NoSuchEntity", RoleName=name)
            if policies is None:
                continue
            yield Resource("IAM role", f"role/{name}", name, facts={"arn": role["Arn"]})
            for policy in policies["PolicyNames"]:
                facts = {"RoleName": name, "PolicyName": policy}
                yield Resource(
                    "policy of the IAM role", f"role/{name}/{policy}", name, on=(f"role/{name}",), facts=facts
                )
        for name in self._named("list_instance_profiles", "InstanceProfiles", "InstanceProfileName"):
            found = unless_missing(iam.get_instance_profile, "NoSuchEntity", InstanceProfileName=name) or {}
            profile = found.get("InstanceProfile")
            if self._is_ours(profile):
                held = [role["RoleName"] for role in profile["Roles"]]
                yield Resource(
                    "instance profile",
                    f"instance-profile/{name}",
                    name,
                    on=tuple(f"role/{role}" for role in held),
                    facts={"arn": profile["Arn"], "roles": held},
                )

    def _named(self, listing: str, key: str, name: str) -> list[str]:
        """Names of IAM entities with the cluster's prefix; IAM cannot search by tag, and its lists have no tags."""
        found = listed(self._aws.client("iam"), listing, key)
        return [item[name] for item in found if item[name].startswith(f"{self.cluster}-")]

    def _is_ours(self, found: Mapping[str, Any] | None) -> bool:
        return found is not None and tags.from_list(found.get("Tags", [])).get(tags.CLUSTER) == self.cluster

    # The bucket and its key

    def _keys(self) -> Iterator[Resource]:
        alias = f"alias/{self.cluster}-swarm"
        described = unless_missing(self._aws.client("kms").describe_key, "NotFoundException", KeyId=alias)
        if described is None:
            return
        metadata = described["KeyMetadata"]
        key = self._key(metadata)
        if key is not None:
            yield Resource("KMS alias", alias, on=(key.id,))
            yield key

    def _key(self, metadata: Mapping[str, Any]) -> Resource | None:
        """A key with the cluster's tag; None if it is somebody else's."""
        identifier = metadata["KeyId"]
        found = self._aws.client("kms").list_resource_tags(KeyId=identifier)["Tags"]
        if {tag["TagKey"]: tag["TagValue"] for tag in found}.get(tags.CLUSTER) != self.cluster:
            return None
        going = ""
        if metadata["KeyState"] == "PendingDeletion":
            moment = metadata.get("DeletionDate")
            going = f"{moment:%Y-%m-%d}" if moment else "within a month"
        return Resource("KMS key", identifier, going=going, facts={"arn": metadata["Arn"]})

    def _bucket(self) -> Iterator[Resource]:
        s3, name = self._aws.client("s3"), self.bucket
        try:
            if unless_missing(s3.head_bucket, "404", "NoSuchBucket", Bucket=name) is None:
                return
        except ClientError as error:
            if code(error) == "403":
                raise ProvisionError(
                    f"The bucket {name} belongs to another account, or your credentials cannot read it: ask for access."
                ) from error
            raise
        try:
            own = unless_missing(s3.get_bucket_tagging, "NoSuchTagSet", Bucket=name)
        except ClientError as error:
            # HeadBucket may still see a deleted bucket.
            if code(error) == "NoSuchBucket":
                return
            raise
        # A bucket gets its tags last; until then its name identifies it.
        if tags.from_list((own or {}).get("TagSet", [])).get(tags.CLUSTER, self.cluster) != self.cluster:
            return
        backups, others = [], 0
        for version in self.versions():
            if version["Key"].startswith(BACKUPS):
                if version.get("IsLatest") and "Size" in version:
                    backups.append(version["Key"])
            else:
                others += 1
        count = len(backups)
        note = f"{counted(count, 'backup')}, the newest is {max(backups)}" if backups else ""
        kept = "keep_backups is set" if backups and self._keep_backups else ""
        on = (f"alias/{self.cluster}-swarm", *self._keys_of_the_bucket())
        yield Resource(
            "bucket", name, on=on, note=note, kept=kept, facts={"arn": f"arn:{self._aws.partition}:s3:::{name}"}
        )
        if others or (backups and not kept):
            yield Resource(
                "objects of the bucket",
                f"{name}/*",
                name,
                on=(name,),
                note=counted(others, "version") + (" and all versions of the backups" if backups and not kept else ""),
                facts={"keep": BACKUPS if kept else None},
            )

    def _keys_of_the_bucket(self) -> list[str]:
        """IDs of the keys that encrypt the bucket."""
        none = "ServerSideEncryptionConfigurationNotFoundError"
        found = unless_missing(self._aws.client("s3").get_bucket_encryption, none, Bucket=self.bucket)
        rules = found["ServerSideEncryptionConfiguration"]["Rules"] if found else []
        named = [rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID") for rule in rules]
        return [key.rsplit("/", 1)[-1] for key in named if key]

    def versions(self) -> Iterator[Mapping[str, Any]]:
        """All object versions and delete markers of the bucket."""
        for page in self._aws.client("s3").get_paginator("list_object_versions").paginate(Bucket=self.bucket):
            yield from page.get("Versions", [])
            yield from page.get("DeleteMarkers", [])

    # Other resources with the tag

    def _others(self, known: set[Any]) -> Iterator[Resource]:
        tagging, ours = self._aws.client("resourcegroupstaggingapi"), [{"Key": tags.CLUSTER, "Values": [self.cluster]}]
        # Names for which the services were asked above. The tagging service also lists what was deleted.
        asked = {
            "sns:": re.escape(self._names["alarm_topic"]),
            "s3:": re.escape(self.bucket),
            "cloudwatch:alarm": f"{re.escape(names.alarm_prefix(self.cluster))}.*",
            "iam:instance-profile": f"{re.escape(self.cluster)}-.*",
            "servicediscovery:service": ".*",
        }
        looks: dict[str, Callable[[str], Resource | None]] = {
            "kms:key": self._tagged_key,
            "secretsmanager:secret": self._secret,
            "logs:log-group": self._log_group,
            "ssm:parameter": self._parameter,
            "sqs": self._tagged_queue,
        }
        for mapping in listed(tagging, "get_resources", "ResourceTagMappingList", TagFilters=ours):
            arn = mapping["ResourceARN"]
            service, kind, name = _parts(arn)
            if arn in known or name in known or service == "autoscaling" or f"{service}:{kind}" in _LOOKED_AT:
                continue
            if re.fullmatch(asked.get(f"{service}:{kind}", ""), name):
                continue
            look = looks.get(f"{service}:{kind}") or looks.get(service)
            found = (
                look(arn) if look else Resource(f"{service} {kind}".strip(), arn, kept=UNKNOWN, facts={"tagged": True})
            )
            if found is not None:
                yield found

    def _tagged_key(self, arn: str) -> Resource | None:
        described = unless_missing(self._aws.client("kms").describe_key, "NotFoundException", KeyId=arn)
        return self._key(described["KeyMetadata"]) if described else None

    def _secret(self, arn: str) -> Resource | None:
        secrets = self._aws.client("secretsmanager")
        found = unless_missing(secrets.describe_secret, "ResourceNotFoundException", SecretId=arn)
        if found is None:
            return None
        kept = "keep_backups is set, and a backup may need it" if self._keep_backups else ""
        moment = found.get("DeletedDate")
        on = tuple(filter(None, [(found.get("KmsKeyId") or "").rsplit("/", 1)[-1]]))
        if found.get("KmsKeyId", "").startswith("alias/"):
            on = (found["KmsKeyId"],)
        going = f"{moment:%Y-%m-%d}" if moment else ""
        return Resource("secret", arn, found["Name"], on=on, kept="" if going else kept, going=going)

    def _log_group(self, arn: str) -> Resource | None:
        name = arn.split(":log-group:", 1)[1].removesuffix(":*")
        found = self._aws.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        return (
            Resource("log group", f"log-group/{name}", name)
            if any(group["logGroupName"] == name for group in found)
            else None
        )

    def _parameter(self, arn: str) -> Resource | None:
        # From an ARN it is unclear whether the name starts with a slash.
        name = arn.split(":parameter", 1)[1]
        names = [{"Key": "Name", "Values": [name, name[1:]]}]
        found = [
            parameter["Name"]
            for parameter in self._aws.client("ssm").describe_parameters(ParameterFilters=names)["Parameters"]
        ]
        return Resource("parameter", f"parameter/{found[0]}", found[0]) if found else None

    def _tagged_queue(self, arn: str) -> Resource | None:
        name = arn.rsplit(":", 1)[-1]
        found = unless_missing(self._aws.client("sqs").get_queue_url, *NO_QUEUE, QueueName=name)
        return Resource("queue", f"queue/{name}", name, facts={"url": found["QueueUrl"], "arn": arn}) if found else None


# Kinds that EC2 itself reports, more up to date than the tagging service.
_LOOKED_AT = {
    f"ec2:{kind}"
    for kind in (
        "elastic-ip",
        "instance",
        "internet-gateway",
        "launch-template",
        "natgateway",
        "network-interface",
        "route-table",
        "security-group",
        "security-group-rule",
        "spot-instances-request",
        "subnet",
        "volume",
        "vpc",
        "vpc-endpoint",
    )
}


def _parts(arn: str) -> tuple[str, str, str]:
    """Service, kind and name of an ARN, for both separators of the last two."""
    parts = arn.split(":", 5)
    *kind, name = re.split("[/:]", parts[5], maxsplit=1)
    return parts[2], "".join(kind), name
