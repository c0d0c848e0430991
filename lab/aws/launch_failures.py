"""What an account's quota, zones, defaults and keys refuse to launch, in AWS's words, and the calls that tell them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models.instance_types import INSTANCE_TYPES, InstanceTypeOfferingBackend
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.ec2.responses.settings import Settings
from moto.kms.models import Key
from moto.servicequotas.models import ServiceQuotasBackend

from lab.aws import account, world
from lab.aws.errors import AwsError
from lab.aws.grafts import Grafts
from lab.aws.iam.policy import Access, Principal, Verdict, judge
from lab.state import ACCOUNT_ID, REGION

QUOTA = "L-1216C47A"
UNLIMITED = 1920.0
"""The quota's value in an account without a limit of its own."""
SERVICE_ROLE = "AWSServiceRoleForAutoScaling"
SERVICE_ROLE_ARN = f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/autoscaling.amazonaws.com/{SERVICE_ROLE}"
ELSEWHERE = ("Unsupported", "InsufficientInstanceCapacity")
"""The errors after which Auto Scaling tries another zone."""
_STANDARD = re.compile(r"(a|c|d|h|i|im|is|m|r|t|z)\d")
_METADATA_KEY = re.compile(r"[0-9a-zA-Z\-_+=,.@:]{1,255}")
_RESERVED = (".", "..", "_index")


def install(grafts: Grafts) -> None:
    """Make moto answer for the account."""
    grafts.around(InstanceTypeOfferingBackend, "describe_instance_type_offerings", _offerings)
    grafts.around(ServiceQuotasBackend, "get_service_quota", _quota)
    grafts.new(ElasticBlockStore, "get_ebs_default_kms_key_id", _default_key)
    grafts.new(Settings, "get_instance_metadata_defaults", _metadata_defaults)
    grafts.new(Settings, "modify_instance_metadata_defaults", _change_metadata_defaults)


def plant() -> None:
    """Create what the profile presupposes: the default key and Auto Scaling's service-linked role."""
    if account.current.ebs_default_key:
        kms = world.kms()
        key = kms.create_key("", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "the account's default for volumes", None)
        del kms.keys[key.id]
        key.arn = account.current.ebs_default_key
        key.id = key.arn.rsplit("/", 1)[-1]
        kms.keys[key.id] = key
        world.ec2().default_kms_key_id = key.arn
    if account.current.service_role:
        create_service_role()


def create_service_role() -> None:
    """Create Auto Scaling's service-linked role if the account does not have it."""
    iam = world.iam()
    if SERVICE_ROLE not in {role.name for role in iam.roles.values()}:
        iam.create_service_linked_role("autoscaling.amazonaws.com", "", "")


def check(
    kind: str,
    zone: str,
    count: int,
    tag_keys: Iterable[str],
    metadata_tags: str | None,
    *,
    spot: bool,
    running: Callable[[], int],
) -> None:
    """Raises AwsError if EC2 would not launch ``count`` instances.

    :param metadata_tags: whether the launch enables tags in the metadata; None for the account's default.
    :param running: vCPUs of the running on-demand standard instances.
    """
    _check_tags(tag_keys, metadata_tags or _metadata_tags())
    _check_zone(
        kind,
        zone,
        account.current.absent_types,
        "Unsupported",
        "Your requested instance type ({kind}) is not supported in your requested Availability Zone ({zone}). Please "
        "retry your request by not specifying an Availability Zone or choosing {others}.",
    )
    _check_zone(
        kind,
        zone,
        account.current.exhausted_types,
        "InsufficientInstanceCapacity",
        "We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone}). Our "
        "system will be working on provisioning additional capacity. You can currently get {kind} capacity by not "
        "specifying an Availability Zone in your request or choosing {others}.",
    )
    quota = account.current.vcpu_quota
    if quota is not None and not spot and standard_vcpus(kind) and running() + count * standard_vcpus(kind) > quota:
        raise AwsError(
            "VcpuLimitExceeded",
            f"You have requested more vCPU capacity than your current vCPU limit of {quota} allows for the instance "
            "bucket that the specified instance type belongs to. Please visit "
            "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.",
        )


def standard_vcpus(kind: str) -> int:
    """The vCPUs of an instance type that count towards the quota of standard instances."""
    return int(INSTANCE_TYPES[kind]["VCpuInfo"]["DefaultVCpus"]) if _STANDARD.match(kind) else 0


def unusable_key(disks: Iterable[Mapping[str, Any]], *, scaling: bool) -> str:
    """Why an instance with these volumes ends before it boots, as EC2 says it; empty if it boots.

    :param scaling: whether Auto Scaling launches it, whose role needs the permission to use a customer's key.
    """
    for disk in disks:
        if str(disk.get("Encrypted")).lower() != "true" and not world.ec2().ebs_encryption_by_default:
            continue
        named = disk.get("KmsKeyId") or _default_key_id()
        if named.endswith("alias/aws/ebs"):
            continue
        key = _key(named)
        if key is None or key.key_state != "Enabled":
            return "Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state"
        if scaling and key.key_manager == "CUSTOMER" and not _usable_by_service_role(key):
            return "Client.InternalError: Client error on launch"
    return ""


def _usable_by_service_role(key: Key) -> bool:
    if any(grant.grantee_principal == SERVICE_ROLE_ARN for grant in key.grants.values()):
        return True
    # The role's own policy has no permission for keys, so the account's own entry does not help.
    document = json.loads(key.policy)
    statements = [
        statement
        for statement in document["Statement"]
        if statement.get("Principal") == "*" or SERVICE_ROLE_ARN in json.dumps(statement.get("Principal"))
    ]
    principal, context = Principal((SERVICE_ROLE_ARN,)), {"kms:GrantIsForAWSResource": "true"}
    return all(
        judge([{"Statement": statements}], Access(f"kms:{action}", key.arn, context), principal) is Verdict.ALLOW
        for action in ("CreateGrant", "Decrypt")
    )


def _key(named: str) -> Key | None:
    kms = world.kms()
    return kms.keys.get(kms.get_key_id_from_alias(kms.get_alias_name(named)) or kms.get_key_id(named))


def _check_tags(keys: Iterable[str], metadata_tags: str) -> None:
    if metadata_tags != "enabled":
        return
    for key in keys:
        if not key.startswith("aws:") and (not _METADATA_KEY.fullmatch(key) or key in _RESERVED):
            raise AwsError(
                "InvalidParameterValue",
                f"'{key}' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\\\-_+=,.@:]{{1,255}}), and "
                "must not be a reserved name ('.', '..', '_index')",
            )


def _check_zone(kind: str, zone: str, lacking: Mapping[str, frozenset[str]], code: str, message: str) -> None:
    if kind in lacking.get(zone, ()):
        zones = [name for name in (f"{REGION}{letter}" for letter in "abc") if kind not in lacking.get(name, ())]
        # The last sentence names the other zones.
        told = message if zones else message.rpartition(". ")[0] + "."
        raise AwsError(code, told.format(kind=kind, zone=zone, others=", ".join(zones)))


def _offerings(
    describe: Callable[..., list[Any]], self: Any, location_type: str | None, *rest: Any, **more: Any
) -> Any:
    found = describe(self, location_type, *rest, **more)
    absent = account.current.absent_types
    return [offer for offer in found if offer["InstanceType"] not in absent.get(offer["Location"], ())]


def _quota(get: Callable[..., dict[str, Any]], self: Any, service_code: str, quota_code: str) -> dict[str, Any]:
    if (service_code, quota_code) != ("ec2", QUOTA):
        return get(self, service_code, quota_code)
    limit = account.current.vcpu_quota
    return {
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaArn": f"arn:aws:servicequotas:{REGION}:{ACCOUNT_ID}:ec2/{QUOTA}",
        "QuotaCode": QUOTA,
        "QuotaName": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
        "Value": UNLIMITED if limit is None else float(limit),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }


def _default_key_id() -> str:
    # moto sets it to the key of alias/aws/ebs once a volume was encrypted.
    return str(world.ec2().default_kms_key_id or "alias/aws/ebs")


def _default_key(_: Any) -> ActionResult:
    return ActionResult({"KmsKeyId": _default_key_id()})


def _metadata_tags() -> str:
    return str(getattr(world.ec2(), "metadata_tags_default", account.current.metadata_tags_default))


def _metadata_defaults(_: Any) -> ActionResult:
    return ActionResult({"AccountLevel": {"InstanceMetadataTags": _metadata_tags(), "ManagedBy": "account"}})


def _change_metadata_defaults(self: Any) -> ActionResult:
    world.ec2().metadata_tags_default = self._get_param("InstanceMetadataTags")
    return ActionResult({"Return": True})
