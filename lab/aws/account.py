"""How strict and how slow the lab's AWS account is. Readers use ``account.current``.

A test changes single values: ``dataclasses.replace(account.STRICT, vcpu_quota=5)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_EVERY_TYPE: Mapping[str, frozenset[str]] = MappingProxyType({})


@dataclass(frozen=True)
class AccountProfile:
    """An account's quotas, defaults and delays; without arguments, the kindest. Seconds are shorter than AWS's."""

    name: str
    seed: int = 1
    """Decides which calls are throttled."""
    vcpu_quota: int | None = None
    """vCPUs of running on-demand standard instances (L-1216C47A); None: no limit."""
    absent_types: Mapping[str, frozenset[str]] = field(default=_EVERY_TYPE)
    """Instance types that a zone does not offer, by the zone's name."""
    exhausted_types: Mapping[str, frozenset[str]] = field(default=_EVERY_TYPE)
    """Instance types for which a zone has no capacity now, by the zone's name."""
    service_role: bool = True
    """Whether the account has Auto Scaling's service-linked role; otherwise its first group creates it."""
    metadata_tags_default: str = "disabled"
    """The account's default for an instance's tags in its metadata: ``enabled`` or ``disabled``."""
    ebs_default_key: str = ""
    """ARN of the customer's KMS key that encrypts volumes by default; empty: AWS's own key, ``alias/aws/ebs``."""
    visible_seconds: float = 0
    """Until other calls see what a call has created (AWS: a second or two, for IAM some more)."""
    linger_seconds: float = 0
    """In which lists still show what was deleted, a name is refused and a deleted queue answers (AWS: 60)."""
    throttled: float = 0
    """Share of the calls that are refused because there were too many."""
    busy_seconds: float = 0
    """In which a second change of an Auto Scaling group or of an event rule is refused."""
    filter_values: int | None = None
    """The most values in the filters of a call to EC2; None: no limit."""
    normalized_policies: bool = False
    """Whether resource policies are returned as AWS stores them, not as they were given."""


STRICT = AccountProfile(
    "strict",
    vcpu_quota=64,
    absent_types=MappingProxyType({"eu-west-1c": frozenset({"t3.micro", "t3a.micro"})}),
    service_role=False,
    metadata_tags_default="enabled",
    visible_seconds=1.5,
    linger_seconds=8,
    throttled=0.01,
    busy_seconds=0.3,
    filter_values=200,
    normalized_policies=True,
)
KIND = AccountProfile("kind")
PROFILES = {profile.name: profile for profile in (STRICT, KIND)}

current = KIND
"""The running server's account."""
