"""What an account lets Auto Scaling launch: the types in each zone, the quota of vCPUs, and the key of the volumes."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Iterator, Mapping, Sequence

from ..aws.aws_session import AWS_ERRORS, AwsSession, listed, sentence, unless_missing
from .configuration_rules import KEY

# Running on-demand standard instances, in vCPUs, and their families.
QUOTA = "L-1216C47A"
STANDARD = re.compile(r"(a|c|d|h|i|im|is|m|r|t|z)\d")
AWS_KEY = "alias/aws/ebs"
ROLE = "arn:{}:iam::{}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"


def zone_errors(
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


class LaunchLimits:
    """Compares a configuration with the account's quota and its default key."""

    def __init__(self, aws: AwsSession, config: Mapping[str, Any]) -> None:
        self._aws, self._config = aws, config
        self.errors: list[str] = []
        self.warnings: list[str] = []

    def check_quota(self, vcpus: Mapping[str, int]) -> None:
        """Compare the quota with the sizes of the groups; ``vcpus`` has the vCPUs of each type."""
        least = self._needed("desired", min, vcpus)
        most = self._needed("max", max, vcpus)
        if not most:
            return
        quota = self._read(
            "The quota of on-demand vCPUs (EC2, L-1216C47A) is not known",
            f"make sure that it is at least {least}, and {most} for the max of all node_groups.",
            lambda: self._aws.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode=QUOTA),
        )
        value = int(quota["Quota"]["Value"]) if quota else most
        if value >= most:
            return
        where = f"The account's quota of on-demand vCPUs (EC2, {QUOTA}) in {self._config['region']} is {value}, but "
        hint = "request an increase in Service Quotas, or use fewer or smaller instances."
        if value < least:
            self.errors.append(f"{where}node_groups needs at least {least}: {hint}")
        else:
            self.warnings.append(f"{where}node_groups can grow to {most}: {hint}")

    def _needed(self, size: str, choose: Callable[..., int], vcpus: Mapping[str, int]) -> int:
        """The on-demand vCPUs of the groups at a size, if Auto Scaling chooses the type that ``choose`` chooses."""
        return sum(
            _on_demand(group, group[size])
            * choose((vcpus.get(kind, 0) if STANDARD.match(kind) else 0 for kind in group["instance_types"]), default=0)
            for group in self._config["node_groups"]
        )

    def check_key(self) -> None:
        """Check that Auto Scaling can launch instances whose volumes are encrypted."""
        named = self._config["ebs_kms_key"]
        # The rules refuse other values.
        if named is not None and not KEY.fullmatch(named):
            return
        if named is None:
            answer = self._read(
                "The account's default key for volumes is not known",
                f"make sure that it is AWS's own, or set ebs_kms_key to {AWS_KEY}.",
                self._aws.client("ec2").get_ebs_default_kms_key_id,
            )
            key = answer["KmsKeyId"] if answer else AWS_KEY
            where = f"The account's default key for volumes is {key}"
        else:
            key, where = named, f"ebs_kms_key is {named}"
        if not key.endswith(AWS_KEY):
            self._check_key(key, where)

    def _check_key(self, key: str, where: str) -> None:
        kms, hint = self._aws.client("kms"), f"correct it, or set ebs_kms_key to {AWS_KEY}."
        role = ROLE.format(self._aws.partition, self._config["account_id"])
        unknown = f"make sure that its policy lets {role} use it."
        described = self._read(
            f"{where}, which cannot be read",
            unknown,
            lambda: unless_missing(kms.describe_key, "NotFoundException", KeyId=key) or {"KeyMetadata": None},
        )
        if not described:
            return
        found = described["KeyMetadata"]
        if found is None:
            self.errors.append(f"{where}, but this key does not exist in {self._config['region']}: {hint}")
        elif found["KeyState"] != "Enabled":
            self.errors.append(f"{where}, but this key is in the state {found['KeyState']}: {hint}")
        elif found["KeyManager"] != "AWS":
            usable = self._read(
                f"{where}, whose policy cannot be read",
                unknown,
                lambda: {"usable": _lets(kms, found["Arn"], role)},
            )
            if usable and not usable["usable"]:
                self.errors.append(
                    f"{where}, but neither its policy nor a grant lets Auto Scaling use it, so no instance would "
                    f"launch: allow it for {role}, or set ebs_kms_key to {AWS_KEY}."
                )

    def _read(self, what: str, hint: str, question: Callable[[], Any]) -> Any:
        """AWS's answer; None with a warning if AWS refuses."""
        try:
            return question()
        except AWS_ERRORS as error:
            self.warnings.append(f"{what} ({sentence(error).rstrip('.')}): {hint}")
            return None


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
