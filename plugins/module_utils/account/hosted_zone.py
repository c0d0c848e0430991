"""The hosted zone of the cluster's record."""

from __future__ import annotations

from typing import Any, Mapping

from ..aws.aws_session import AwsSession
from ..aws.provision_error import ProvisionError
from .configuration_schema import suggestion


def find(aws: AwsSession, name: str) -> dict[str, Any]:
    """The public hosted zone of that name: ``{id, name}``. Raises ProvisionError unless it exists exactly once."""
    wanted = absolute(name)
    answer = aws.client("route53").list_hosted_zones_by_name(DNSName=wanted)
    zones = [zone for zone in answer["HostedZones"] if zone["Name"] == wanted]
    public = [zone for zone in zones if not zone.get("Config", {}).get("PrivateZone")]
    if not public:
        reason = "is private" if zones else f"does not exist in this account{_hint(aws, wanted)}"
        raise ProvisionError(
            f"dns.zone {name} {reason}: create a public hosted zone of that name in Route 53, or set dns to null."
        )
    if len(public) > 1:
        identifiers = ", ".join(_identifier(zone) for zone in public)
        raise ProvisionError(
            f"dns.zone {name} exists {len(public)} times ({identifiers}): delete the zones that are not delegated to."
        )
    return {"id": _identifier(public[0]), "name": name.rstrip(".")}


def _hint(aws: AwsSession, wanted: str) -> str:
    names = [zone["Name"].rstrip(".") for zone in aws.client("route53").list_hosted_zones()["HostedZones"]]
    return suggestion(wanted.rstrip("."), names).rstrip("?")


def absolute(name: str) -> str:
    """A domain name in Route 53's form."""
    return f"{name.rstrip('.').lower()}."


def _identifier(zone: Mapping[str, Any]) -> str:
    return zone["Id"].rsplit("/", 1)[-1]
