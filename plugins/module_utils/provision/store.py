"""The cluster's bucket, the key that encrypts it, and the objects that the operator puts there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Mapping

from . import tags
from .changes import Changes
from .errors import ProvisionError
from .shell import Aws, ClientError, code, once_visible, unless_missing

# How long a superseded version of an object, such as a rotated join token, is kept.
OLD_VERSION_DAYS = 30
LIFECYCLE = {
    "ID": "expire-old-versions",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "NoncurrentVersionExpiration": {"NoncurrentDays": OLD_VERSION_DAYS},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
}
PRIVATE = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


@dataclass(frozen=True)
class Store:
    """What to build."""

    cluster: str
    bucket: str
    # Without the prefix 'alias/'.
    key_alias: str
    bucket_policy: Mapping[str, Any]
    tags: Mapping[str, str]


class Keeper:
    """Brings a cluster's bucket and key to what they should be."""

    def __init__(self, aws: Aws, wanted: Store, changes: Changes) -> None:
        self._aws, self._wanted, self._changes = aws, wanted, changes
        self._tags = tags.of_cluster(wanted.cluster, wanted.tags)

    # The key

    def key(self) -> str | None:
        """The key's ARN; None in check mode if it is to come."""
        kms, alias = self._aws.kms, f"alias/{self._wanted.key_alias}"
        described = unless_missing(lambda: kms.describe_key(KeyId=alias), "NotFoundException")
        found = described["KeyMetadata"] if described else self._key_without_alias()
        if found is None:
            arn = self._changes.apply(
                f"KMS key {self._wanted.key_alias}", None, {"rotation": True, "tags": self._tags}, self._create_key
            )
        elif found.get("KeyState", "Enabled") != "Enabled":
            raise ProvisionError(
                f"The KMS key of the cluster '{self._wanted.cluster}' ({alias}) is in the state {found['KeyState']}: "
                "cancel its deletion and enable it, since the bucket cannot be read without it."
            )
        else:
            arn = found["Arn"]
            self._keep_key(arn)
        if described is None:
            self._changes.apply(
                f"KMS alias {self._wanted.key_alias}",
                None,
                {"key": arn or self._wanted.key_alias},
                lambda: kms.create_alias(AliasName=alias, TargetKeyId=arn),
            )
        return arn

    def _create_key(self) -> str:
        kms = self._aws.kms
        arn = kms.create_key(
            Description=f"Encrypts the bucket of the swarm '{self._wanted.cluster}'",
            Tags=[{"TagKey": key, "TagValue": value} for key, value in sorted(self._tags.items())],
        )["KeyMetadata"]["Arn"]
        kms.enable_key_rotation(KeyId=arn)
        return arn

    def _key_without_alias(self) -> Mapping[str, Any] | None:
        """The cluster's key if a run was interrupted before it gave the key its alias."""
        kms = self._aws.kms
        for page in kms.get_paginator("list_keys").paginate():
            for key in page["Keys"]:
                try:
                    present = self._key_tags(key["KeyId"])
                except ClientError as error:
                    # Someone else's key.
                    if code(error) == "AccessDeniedException":
                        continue
                    raise
                if present.get(tags.CLUSTER) == self._wanted.cluster:
                    metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
                    if metadata["KeyState"] == "Enabled":
                        return metadata
        return None

    def _key_tags(self, key: str) -> dict[str, str]:
        found = self._aws.kms.list_resource_tags(KeyId=key)["Tags"]
        return {tag["TagKey"]: tag["TagValue"] for tag in found}

    def _keep_key(self, arn: str) -> None:
        kms, resource = self._aws.kms, f"KMS key {self._wanted.key_alias}"
        if not kms.get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]:
            self._changes.apply(
                resource, {"rotation": False}, {"rotation": True}, lambda: kms.enable_key_rotation(KeyId=arn)
            )
        before = self._key_tags(arn)
        self._changes.add_tags(
            resource,
            before,
            self._tags,
            lambda missing: kms.tag_resource(
                KeyId=arn, Tags=[{"TagKey": key, "TagValue": value} for key, value in sorted(missing.items())]
            ),
        )

    # The secret

    def secret(self, name: str, key_arn: str | None) -> None:
        """Keep a secret, whose value is the agents' own."""
        client, resource = self._aws.secretsmanager, f"secret {name}"
        found = unless_missing(lambda: client.describe_secret(SecretId=name), "ResourceNotFoundException")
        if found is None:
            self._changes.apply(
                resource,
                None,
                {"key": key_arn or self._wanted.key_alias, "tags": self._tags},
                lambda: client.create_secret(
                    Name=name,
                    Description=f"Unlock keys of the managers of the swarm '{self._wanted.cluster}'",
                    KmsKeyId=key_arn,
                    Tags=tags.to_list(self._tags),
                ),
            )
            return
        if found.get("DeletedDate"):
            raise ProvisionError(
                f"The secret {name} is being deleted: restore it (`aws secretsmanager restore-secret`), since the "
                "managers cannot be unlocked without it."
            )
        before = tags.from_list(found.get("Tags", []))
        self._changes.add_tags(
            resource,
            before,
            self._tags,
            lambda missing: client.tag_resource(SecretId=name, Tags=tags.to_list(missing)),
        )

    # The bucket

    def bucket(self, key_arn: str | None) -> bool:
        """Build the bucket and tell whether it is there, which in check mode it may not be."""
        s3, name = self._aws.s3, self._wanted.bucket
        settings = self._settings(key_arn)
        if not self._bucket_exists():
            self._changes.apply(
                f"bucket {name}",
                None,
                {setting.label: setting.wanted for setting in settings},
                lambda: self._create_bucket(settings),
            )
            return not self._changes.check_mode
        for setting in settings:
            before = unless_missing(lambda read=setting.read: read(s3), *_NOT_SET)  # type: ignore[misc]
            if before != setting.wanted:
                self._changes.apply(
                    f"{setting.label} of the bucket {name}",
                    {setting.label: before} if before else None,
                    {setting.label: setting.wanted},
                    lambda write=setting.write: write(s3),  # type: ignore[misc]
                )
        return True

    def _bucket_exists(self) -> bool:
        name = self._wanted.bucket
        try:
            return unless_missing(lambda: self._aws.s3.head_bucket(Bucket=name), "404", "NoSuchBucket") is not None
        except ClientError as error:
            if code(error) in ("403", "301"):
                raise ProvisionError(
                    f"The bucket {name} belongs to another account or region, or your credentials may not look at it: "
                    "choose another cluster_name, or ask for the right to it."
                ) from error
            raise

    def _create_bucket(self, settings: list[Setting]) -> None:
        s3, name = self._aws.s3, self._wanted.bucket
        arguments: dict[str, Any] = {"Bucket": name, "ObjectOwnership": "BucketOwnerEnforced"}
        if self._aws.region != "us-east-1":
            arguments["CreateBucketConfiguration"] = {"LocationConstraint": self._aws.region}
        s3.create_bucket(**arguments)
        for setting in settings:
            once_visible(
                lambda write=setting.write: write(s3),  # type: ignore[misc]
                lambda error: code(error) in ("NoSuchBucket", "OperationAborted"),
            )

    def _settings(self, key_arn: str | None) -> list[Setting]:
        name = self._wanted.bucket
        encryption = {
            "ApplyServerSideEncryptionByDefault": {
                "SSEAlgorithm": "aws:kms",
                "KMSMasterKeyID": key_arn or f"alias/{self._wanted.key_alias}",
            },
            "BucketKeyEnabled": True,
        }

        def read_encryption(s3: Any) -> Any:
            rules = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
            # AWS may add settings that are not declared here.
            return {key: rules[0].get(key) for key in encryption}

        def read_lifecycle(s3: Any) -> Any:
            rules = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
            ours = next((rule for rule in rules if rule.get("ID") == LIFECYCLE["ID"]), {})
            return {key: ours.get(key) for key in LIFECYCLE}

        return [
            Setting(
                "public access block",
                PRIVATE,
                lambda s3: s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"],
                lambda s3: s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=PRIVATE),
            ),
            Setting(
                "policy",
                dict(self._wanted.bucket_policy),
                lambda s3: json.loads(s3.get_bucket_policy(Bucket=name)["Policy"]),
                lambda s3: s3.put_bucket_policy(Bucket=name, Policy=json.dumps(self._wanted.bucket_policy)),
            ),
            Setting(
                "versioning",
                "Enabled",
                lambda s3: s3.get_bucket_versioning(Bucket=name).get("Status"),
                lambda s3: s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"}),
            ),
            Setting(
                "encryption",
                encryption,
                read_encryption,
                lambda s3: s3.put_bucket_encryption(
                    Bucket=name, ServerSideEncryptionConfiguration={"Rules": [encryption]}
                ),
            ),
            Setting(
                "lifecycle",
                LIFECYCLE,
                read_lifecycle,
                lambda s3: s3.put_bucket_lifecycle_configuration(
                    Bucket=name, LifecycleConfiguration={"Rules": [LIFECYCLE]}
                ),
            ),
            Setting(
                "tags",
                self._tags,
                lambda s3: tags.from_list(s3.get_bucket_tagging(Bucket=name)["TagSet"]),
                lambda s3: s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags.to_list(self._tags)}),
            ),
        ]

    # Its objects

    def bundle(self, content: bytes, digest: str, *, there: bool) -> str:
        """Put the agent's bundle under its digest, unless it is there, and return its key."""
        key = f"agent/{digest}.pyz"
        if not there or not self._object_exists(key):
            self._changes.apply(
                f"object {key}",
                None,
                {"bytes": len(content)},
                lambda: self._put(key, content, "application/octet-stream"),
            )
        return key

    def policy(self, policy: Mapping[str, Any], *, there: bool) -> None:
        """Put what the agents are to hold to."""
        key, before = "policy.json", None
        if there:
            answer = unless_missing(lambda: self._aws.s3.get_object(Bucket=self._wanted.bucket, Key=key), "NoSuchKey")
            before = _parsed(answer["Body"].read()) if answer else None
        if before != policy:
            content = json.dumps(policy, indent=2, sort_keys=True).encode()
            self._changes.apply(f"object {key}", before, policy, lambda: self._put(key, content, "application/json"))

    def _object_exists(self, key: str) -> bool:
        found = unless_missing(
            lambda: self._aws.s3.head_object(Bucket=self._wanted.bucket, Key=key), "404", "NoSuchKey"
        )
        return found is not None

    def _put(self, key: str, content: bytes, content_type: str) -> None:
        self._aws.s3.put_object(Bucket=self._wanted.bucket, Key=key, Body=content, ContentType=content_type)


@dataclass(frozen=True)
class Setting:
    """One setting of a bucket, and how to read and write it."""

    label: str
    wanted: Any
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]


_NOT_SET = (
    "NoSuchBucketPolicy",
    "NoSuchTagSet",
    "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
    "ServerSideEncryptionConfigurationNotFoundError",
)


def _parsed(content: bytes) -> Any:
    """What stands in the object; as text if someone has put there what is not JSON."""
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")
