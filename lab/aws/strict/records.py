"""Route 53's checks of record sets that matter to the product."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from lab.aws import world
from lab.aws.errors import AwsError

MOST_VALUES = 400
MOST_CHANGES = 1000
MOST_CHARACTERS = 32000
_ADDRESSES = {"A": ipaddress.IPv4Address, "AAAA": ipaddress.IPv6Address}


def check(parameters: Mapping[str, Any]) -> None:
    """Check a ChangeResourceRecordSets; UPSERTs count twice. Raises AwsError."""
    changes = parameters.get("ChangeBatch", {}).get("Changes", [])
    zone_id = str(parameters.get("HostedZoneId") or parameters.get("Id") or "").rsplit("/", 1)[-1]
    counted = [*changes, *(change for change in changes if change["Action"] == "UPSERT")]
    characters = sum(len(value) for change in counted for value in _values(change["ResourceRecordSet"]))
    if not changes:
        raise _invalid(["The request contained no changes."])
    if len(counted) > MOST_CHANGES:
        raise _invalid([f"Number of records limit of {MOST_CHANGES} exceeded."])
    if characters > MOST_CHARACTERS:
        raise _invalid([f"Character limit of {MOST_CHARACTERS} exceeded."])
    zone = world.route53().zones.get(zone_id)
    present = {(_name(rrset.name), rrset.type, rrset.set_identifier): rrset for rrset in zone.rrsets} if zone else {}
    problems = [problem for change in changes for problem in _problems(change, zone, present)]
    if problems:
        raise _invalid(problems)


def _problems(change: Mapping[str, Any], zone: Any, present: Mapping[Any, Any]) -> list[str]:
    wanted = change["ResourceRecordSet"]
    name, kind, values = _name(wanted["Name"]), wanted["Type"], _values(wanted)
    shown = f"[name='{name}.', type='{kind}'"
    problems = []
    if zone is not None and name != _name(zone.name) and not name.endswith(f".{_name(zone.name)}"):
        return [f"RRSet with DNS name {name}. is not permitted in zone {_name(zone.name)}."]
    found = present.get((name, kind, wanted.get("SetIdentifier")))
    if change["Action"] == "DELETE":
        if found is None:
            problems.append(f"Tried to delete resource record set {shown}] but it was not found")
        elif sorted(values) != sorted(found.records or []) or str(wanted.get("TTL")) != str(found.ttl):
            problems.append(
                f"Tried to delete resource record set {shown}] but the values provided do not match the current values"
            )
        return problems
    if change["Action"] == "CREATE" and found is not None:
        problems.append(f"Tried to create resource record set {shown}] but it already exists")
    if kind != "CNAME" and any(record[:2] == (name, "CNAME") for record in present):
        problems.append(f"RRSet of type {kind} with DNS name {name}. is not permitted as a conflicting RRSet exists.")
    if wanted.get("AliasTarget"):
        return problems
    if wanted.get("TTL") is None or not values:
        problems.append(f"Invalid request: missing field 'TTL' or 'ResourceRecords' in Change with {shown}]")
    if len(values) > MOST_VALUES:
        problems.append(f"Number of values in {shown}] exceeds the limit of {MOST_VALUES}.")
    if len(set(values)) != len(values):
        problems.append(f"Duplicate Resource Record: '{next(value for value in values if values.count(value) > 1)}'")
    if kind == "CNAME" and len(values) > 1:
        problems.append("A CNAME record set has one value.")
    problems += [problem for value in values for problem in _value_problems(kind, value)]
    return problems


def _value_problems(kind: str, value: str) -> list[str]:
    if kind in _ADDRESSES:
        try:
            _ADDRESSES[kind](value)
        except ValueError:
            family = "IPv4" if kind == "A" else "IPv6"
            return [
                f"Invalid Resource Record: 'FATAL problem: ARRDATAIllegal{family}Address "
                f"(Value is not a valid {family} address) encountered with '{value}''"
            ]
    if kind == "TXT":
        quoted = len(value) >= 2 and value.startswith('"') and value.endswith('"')
        if not quoted:
            return [
                "Invalid Resource Record: 'FATAL problem: InvalidCharacterString "
                f"(Value should be enclosed in quotation marks) encountered with '{value}''"
            ]
        if any(len(part) > 255 for part in value[1:-1].split('" "')):
            return ["Invalid Resource Record: 'FATAL problem: CharacterStringTooLong' (255 characters at most)"]
    return []


def _values(record_set: Mapping[str, Any]) -> list[str]:
    return [resource_record["Value"] for resource_record in record_set.get("ResourceRecords") or []]


def _name(name: str) -> str:
    return name.rstrip(".").lower()


def _invalid(problems: Sequence[str]) -> AwsError:
    return AwsError("InvalidChangeBatch", f"[{', '.join(problems)}]", 400)
