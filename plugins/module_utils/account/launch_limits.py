"""What an account lets Auto Scaling launch: the types in each zone, the quota of vCPUs, and the key of the volumes."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Iterator, Mapping, Sequence

from ..aws.aws_session import AWS_ERRORS, AwsSession, listed, sentence, unless_missing
from .configuration_rules import KEY, Advice

# Running on-demand standard instances, in vCPUs, and their families.
QUOTA = "L-1216C47A"
STANDARD = re.compile(r"(a|c|d|h|i|im|is|m|r|t|z)\d")
AWS_KEY = "alias/aws/ebs"
ROLE = "arn:{}:iam::{}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"


def zone_problems(
    aws: AwsSession, config: Mapping[str, Any], kinds: Sequence[str], zones: Sequence[str]
) -> Iterator[str]:
    """The zones that offer none of a group's types, as sentences; ``kinds`` and ``zones`` are what the region has."""
    if not kinds:
        return
    offers = listed(
        aws.client("ec2"),
        "describe_instance_type_offerings",
        "InstanceTypeOfferings",
        LocationType="availability-zone",
        Filters=[{"Name": "instance-type", "Values": list(kinds)}],
    )
    offered = {(offer["InstanceType"], offer["Location"]) for offer in offers}
    for group in config["node_groups"]:
        types = [kind for kind in group["instance_types"] if kind in kinds]
        having = sorted({zone for kind, zone in offered if kind in types})
        for zone in group["zones"] or config["zones"]:
            if types and zone in zones and zone not in having:
                yield (
                    f"node_groups[{group['name']}]: the zone {zone} has no {' and no '.join(types)}, but "
                    f"{', '.join(having)} {'has' if len(having) == 1 else 'have'}: choose another type, or set the "
                    "group's zones."
                )


def quota_problems(aws: AwsSession, config: Mapping[str, Any], vcpus: Mapping[str, int]) -> Iterator[str]:
    """Compare the quota with the sizes of the groups; ``vcpus`` has the vCPUs of each type."""
    least, most = _needed(config, "desired", min, vcpus), _needed(config, "max", max, vcpus)
    if not most:
        return
    try:
        quota = aws.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode=QUOTA)["Quota"]
    except AWS_ERRORS as error:
        yield _unknown(
            "The quota of on-demand vCPUs (EC2, L-1216C47A) is not known",
            error,
            f"make sure that it is at least {least}, and {most} for the max of all node_groups.",
        )
        return
    value = int(quota["Value"])
    where = f"The account's quota of on-demand vCPUs (EC2, {QUOTA}) in {config['region']} is {value}, but node_groups"
    hint = "request an increase in Service Quotas, or use fewer or smaller instances."
    if value < least:
        yield f"{where} needs at least {least}: {hint}"
    elif value < most:
        yield Advice(f"{where} can grow to {most}: {hint}")


def _needed(config: Mapping[str, Any], size: str, choose: Callable[..., int], vcpus: Mapping[str, int]) -> int:
    """The on-demand vCPUs of the groups at a size, if Auto Scaling chooses the type that ``choose`` chooses."""
    return sum(
        _on_demand(group, group[size])
        * choose((vcpus.get(kind, 0) if STANDARD.match(kind) else 0 for kind in group["instance_types"]), default=0)
        for group in config["node_groups"]
    )


def key_problems(aws: AwsSession, config: Mapping[str, Any]) -> Iterator[str]:
    """Check that Auto Scaling can launch instances whose volumes are encrypted."""
    key, where = config["ebs_kms_key"], f"ebs_kms_key is {config['ebs_kms_key']}"
    # The rules refuse other values.
    if key is not None and not KEY.fullmatch(key):
        return
    if key is None:
        try:
            key = aws.client("ec2").get_ebs_default_kms_key_id()["KmsKeyId"]
        except AWS_ERRORS as error:
            hint = f"make sure that it is AWS's own, or set ebs_kms_key to {AWS_KEY}."
            yield _unknown("The account's default key for volumes is not known", error, hint)
            return
        where = f"The account's default key for volumes is {key}"
    if key.endswith(AWS_KEY):
        return
    kms, hint = aws.client("kms"), f"correct it, or set ebs_kms_key to {AWS_KEY}."
    role = ROLE.format(aws.partition, config["account_id"])
    unread = "which cannot be read"
    try:
        described = unless_missing(kms.describe_key, "NotFoundException", KeyId=key)
        if described is None:
            yield f"{where}, but this key does not exist in {config['region']}: {hint}"
            return
        found = described["KeyMetadata"]
        unread = "whose policy cannot be read"
        if found["KeyState"] != "Enabled":
            yield f"{where}, but this key is in the state {found['KeyState']}: {hint}"
        elif found["KeyManager"] != "AWS" and not _lets(kms, found["Arn"], role):
            yield (
                f"{where}, but neither its policy nor a grant lets Auto Scaling use it, so no instance would "
                f"launch: allow it for {role}, or set ebs_kms_key to {AWS_KEY}."
            )
    except AWS_ERRORS as error:
        yield _unknown(f"{where}, {unread}", error, f"make sure that its policy lets {role} use it.")


def _unknown(what: str, error: Exception, hint: str) -> Advice:
    """A warning that AWS refused to answer."""
    return Advice(f"{what} ({sentence(error).rstrip('.')}): {hint}")


def _on_demand(group: Mapping[str, Any], size: int) -> int:
    """The number of on-demand instances among ``size``."""
    spot = group["spot"]
    if spot is None:
        return size
    base = min(size, spot["on_demand_base"])
    # Auto Scaling rounds in favour of on-demand instances.
    return base - (base - size) * (100 - spot["share"]) // 100


def _lets(kms: Any, key: str, role: str) -> bool:
    """Whether a key's policy or a grant names the role. IAM gives that role no permission for keys."""
    document = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    statements = document["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        named = statement.get("Principal") or {}
        named = named if isinstance(named, str) else named.get("AWS", [])
        if statement["Effect"] == "Allow" and {"*", role} & {*([named] if isinstance(named, str) else named)}:
            return True
    return any(grant.get("GranteePrincipal") == role for grant in listed(kms, "list_grants", "Grants", KeyId=key))
